"""What a reader may see of the hits: of each document the one version that is live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from services.retrieve.passages import Found, StoredPassage
from services.retrieve.versions import State


def documents_of(found: Iterable[Found]) -> set[UUID]:
    """Documents that occur among the hits."""
    return {hit.passage.document_id for one in found for hit in one.hits}


def visible(found: Sequence[Found], states: Mapping[UUID, State]) -> tuple[list[Found], bool]:
    """The hits of live builds, and whether a new version overtook the reader.

    Overtaken: all hits of a document are of a build that ceased to be live, although the document
    has a newer live build, whose points may have come after the search: it is worth repeating.
    """
    kept = [
        replace(one, hits=tuple(hit for hit in one.hits if _is_live(hit.passage, states)))
        for one in found
    ]
    pairs = zip(found, kept, strict=True)
    return kept, any(_overtaken(before, after, states) for before, after in pairs)


def _is_live(passage: StoredPassage, states: Mapping[UUID, State]) -> bool:
    state = states.get(passage.document_id)
    return state is not None and state.token == passage.token


def _overtaken(before: Found, after: Found, states: Mapping[UUID, State]) -> bool:
    shown = {hit.passage.document_id for hit in after.hits}
    for hit in before.hits:
        state = states.get(hit.passage.document_id)
        if state is None or not state.live or hit.passage.document_id in shown:
            continue
        if hit.passage.rank < state.rank:
            return True
    return False
