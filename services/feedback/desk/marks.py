"""The [n] of a text: found for a reader to follow, taken out when a citation is dropped. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from shared.envelope import Frozen

_MARK = re.compile(r"\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]")
_BLANK_BEFORE = " \u00a0\u202f"


class Run(Frozen):
    """A run of text, or the mark of source ``number``, which is ``known`` or names no source."""

    text: str
    number: int | None = None
    known: bool = True


def runs(text: str, numbers: Collection[int]) -> tuple[Run, ...]:
    """``text`` in runs; ``numbers`` are the known sources', and [1, 2] are two marks."""
    return tuple(_runs(text, numbers))


def _runs(text: str, numbers: Collection[int]) -> Iterator[Run]:
    at = 0
    for mark in _MARK.finditer(text):
        if mark.start() > at:
            yield Run(text=text[at : mark.start()])
        for number in map(int, mark[1].split(",")):
            yield Run(text=f"[{number}]", number=number, known=number in numbers)
        at = mark.end()
    if at < len(text):
        yield Run(text=text[at:])


def without(text: str, number: int) -> str:
    """``text`` without the marks of source ``number`` and the blank before each."""
    kept: list[str] = []
    at = 0
    for mark in _MARK.finditer(text):
        numbers = [int(n) for n in mark[1].split(",")]
        if number not in numbers:
            continue
        left = ", ".join(str(n) for n in numbers if n != number)
        before, next_is_mark = text[at : mark.start()], text[mark.end() : mark.end() + 1] == "["
        kept.append(before if left or next_is_mark else before.rstrip(_BLANK_BEFORE))
        kept.append(f"[{left}]" if left else "")
        at = mark.end()
    return "".join([*kept, text[at:]])
