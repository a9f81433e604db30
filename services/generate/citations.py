"""From passage indices to citations and numbered sources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from services.generate.answer import EnginePart
from shared.records import Part, Passage, Source

_MARKS = re.compile(r"\s*\[\s*\d{1,3}(?:\s*[,;]\s*\d{1,3})*\s*\]")


def within(parts: Iterable[EnginePart], count: int) -> tuple[tuple[EnginePart, ...], int]:
    """Parts with only citations of the ``count`` passages given, and how many were dropped.

    Marks like [2] that an engine writes into its text are dropped too: numbers are ours to give.
    """
    kept: list[EnginePart] = []
    dropped = 0
    for part in parts:
        valid = tuple(dict.fromkeys(i for i in part.citations if 0 <= i < count))
        dropped += len(set(part.citations)) - len(valid)
        text = part.text if part.connective else unmarked(part.text)
        kept.append(replace(part, text=text, citations=valid))
    return tuple(kept), dropped


def unmarked(text: str) -> str:
    """The text without marks like [2]."""
    return _MARKS.sub("", text).strip()


def cited(parts: Iterable[EnginePart], passages: Sequence[Passage]) -> tuple[Part, ...]:
    """Parts with the ids of the passages they cite."""
    return tuple(
        Part(text=part.text, citations=tuple(passages[i].passage_id for i in part.citations))
        for part in parts
    )


def sources(parts: Iterable[Part], passages: Sequence[Passage]) -> tuple[Source, ...]:
    """Cited documents, numbered from 1 by first use, with their cited passages in that order.

    Heading path and page are those of the passage cited first.
    """
    by_id = {passage.passage_id: passage for passage in passages}
    used: dict[UUID, list[Passage]] = {}
    for part in parts:
        for passage_id in part.citations:
            passage = by_id[passage_id]
            listed = used.setdefault(passage.document_id, [])
            if passage not in listed:
                listed.append(passage)
    return tuple(
        Source(
            number=number,
            document_id=document,
            version=listed[0].version,
            title=listed[0].title,
            url=listed[0].url,
            heading_path=listed[0].heading_path,
            page=listed[0].page,
            passage_ids=tuple(passage.passage_id for passage in listed),
        )
        for number, (document, listed) in enumerate(used.items(), start=1)
    )


def numbers(found: Iterable[Source]) -> dict[UUID, int]:
    """The source number of each cited passage."""
    return {passage: source.number for source in found for passage in source.passage_ids}
