"""The numbered sources of a draft and of what an agent added to it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from services.feedback.errors import Term, Unacceptable
from services.feedback.records import StoredDraft
from shared.records import Passage, Source

_MARK = re.compile(r"\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]")

Numbers = Mapping[UUID, int]
"""The number of each document that an agent added; a number once given is never given again, so
that a [n] in the text keeps its meaning when another passage is dropped."""


def marks(text: str) -> frozenset[int]:
    """The numbers n whose [n] stands in ``text``."""
    return frozenset(int(n) for found in _MARK.findall(text) for n in found.split(","))


def unknown_marks(text: str, sources: Iterable[Source]) -> None:
    """Raises Unacceptable when a [n] of ``text`` names none of ``sources``."""
    known = sorted(source.number for source in sources)
    unknown = sorted(marks(text) - set(known))
    if unknown:
        named, own = _named(unknown), _named(known) or Term("aucune")
        if len(unknown) == 1:
            raise Unacceptable(
                "Le texte renvoie à {marks}, qui n'est pas une source de ce brouillon"
                " (sources : {sources}).",
                marks=named,
                sources=own,
            )
        raise Unacceptable(
            "Le texte renvoie à {marks}, qui ne sont pas des sources de ce brouillon"
            " (sources : {sources}).",
            marks=named,
            sources=own,
        )


def removed_marks(text: str, sources: Iterable[Source], removed: Collection[UUID]) -> None:
    """Raises Unacceptable when ``text`` cites a document that was taken away."""
    used = marks(text)
    gone = [s.number for s in sources if s.number in used and s.document_id in removed]
    if len(gone) == 1:
        raise Unacceptable(
            "Le texte cite {marks}, dont le document a été retiré : ôtez cette citation ou"
            " remplacez-la par une autre source.",
            marks=_named(gone),
        )
    if gone:
        raise Unacceptable(
            "Le texte cite {marks}, dont les documents ont été retirés : ôtez ces citations ou"
            " remplacez-les par une autre source.",
            marks=_named(gone),
        )


def _named(numbers: Iterable[int]) -> str:
    return ", ".join(f"[{number}]" for number in numbers)


def own_sources(draft: StoredDraft) -> tuple[Source, ...]:
    """The sources that generate numbered; none for a declined draft."""
    return draft.ready.sources if draft.ready else ()


def numbers_with(draft: StoredDraft, numbers: Numbers, document_id: UUID) -> dict[UUID, int]:
    """``numbers`` with one for ``document_id``: a document that has one keeps it."""
    known = {source.document_id for source in own_sources(draft)}
    if document_id in known or document_id in numbers:
        return dict(numbers)
    used = [source.number for source in own_sources(draft)] + list(numbers.values())
    return {**numbers, document_id: max(used, default=0) + 1}


def sources_of(
    draft: StoredDraft, added: Iterable[Passage], numbers: Numbers
) -> tuple[Source, ...]:
    """The draft's sources and those of the passages ``added``, by number.

    A passage of a known document joins its source; where it is of a newer version, the source
    names that one from then on.
    """
    sources = {source.number: source for source in own_sources(draft)}
    own = {source.document_id: source.number for source in reversed(own_sources(draft))}
    for passage in added:
        number = own.get(passage.document_id) or numbers[passage.document_id]
        known = sources.get(number)
        if known is None:
            sources[number] = _source(passage, number)
        elif passage.passage_id not in known.passage_ids:
            sources[number] = _joined(known, passage)
    return tuple(sources[number] for number in sorted(sources))


def _source(passage: Passage, number: int) -> Source:
    return Source(
        number=number,
        document_id=passage.document_id,
        version=passage.version,
        title=passage.title,
        url=passage.url,
        heading_path=passage.heading_path,
        page=passage.page,
        passage_ids=(passage.passage_id,),
    )


def _joined(known: Source, passage: Passage) -> Source:
    ids = (*known.passage_ids, passage.passage_id)
    if not passage.version.is_after(known.version):
        return known.model_copy(update={"passage_ids": ids})
    return _source(passage, known.number).model_copy(update={"passage_ids": ids})
