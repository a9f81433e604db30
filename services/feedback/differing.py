"""The difference of two texts in words, as a reader follows it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from rapidfuzz.distance import Indel

from shared.envelope import Frozen

_TOKEN = re.compile(
    r"\[\d{1,3}(?:\s?,\s?\d{1,3})*\]|\d+(?:[.,]\d+)*|\w+(?:-\w+)*['’]?|\n+|[^\S\n]+|[^\w\s]"
)
_MOST_CELLS = 400_000_000
"""Bits of memory that a comparison may take; texts that need more differ as a whole."""

Kind = Literal["same", "removed", "added"]


class Piece(Frozen):
    """A run of text that both have, or only the first (``removed``), or only the second."""

    kind: Kind
    text: str


def differences(before: str, after: str) -> tuple[Piece, ...]:
    """``before`` and ``after`` in pieces: the same and removed ones are ``before``, the same and
    added ones ``after``; what was replaced is removed first, then added."""
    old, new = _tokens(before), _tokens(after)
    return tuple(_joined(_runs(old, new)))


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.replace("\r\n", "\n"))


def _runs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Pieces as (same, removed, added)."""
    if len(old) * len(new) > _MOST_CELLS:
        yield ("".join(old), "", "") if old == new else ("", "".join(old), "".join(new))
        return
    for step in Indel.opcodes(old, new):
        was = "".join(old[step.src_start : step.src_end])
        now = "".join(new[step.dest_start : step.dest_end])
        yield (was, "", "") if step.tag == "equal" else ("", was, now)


def _joined(runs: Iterator[tuple[str, str, str]]) -> Iterator[Piece]:
    """Changes that only blanks on a line keep apart are one change."""
    removed = added = ""
    for same, was, now in runs:
        blank = same and not same.strip() and "\n" not in same
        if blank and (removed or added):
            removed, added = removed + same, added + same
        elif same:
            yield from _change(removed, added)
            yield Piece(kind="same", text=same)
            removed = added = ""
        else:
            removed, added = removed + was, added + now
    yield from _change(removed, added)


def _change(removed: str, added: str) -> Iterator[Piece]:
    """A replacement; blanks at the end of both are no part of it."""
    shared = 0
    while shared < min(len(removed), len(added)) and (
        removed[-1 - shared] == added[-1 - shared] and removed[-1 - shared].isspace()
    ):
        shared += 1
    cut = len(removed) - shared
    found: tuple[tuple[Kind, str], ...] = (
        ("removed", removed[:cut]),
        ("added", added[: len(added) - shared]),
        ("same", removed[cut:]),
    )
    yield from (Piece(kind=kind, text=text) for kind, text in found if text)
