"""The form ``marks``: plain text with [n] into statements with their citations.

A mark speaks for the sentences of its line that stand before it, as a reader takes it: « A. B.
[1] » rests on passage 1 as a whole. Each sentence is a statement of its own, so that each is
checked. What stands after the last mark of a line has no source, and the checks will say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.generate import sentences

_LIST = r"\[[ \u00a0]*(?:passages?[ \u00a0]*)?\d{1,3}(?:\s*[,;]\s*\d{1,3})*[ \u00a0]*\]"
_MARK = re.compile(_LIST, re.IGNORECASE)
_BEHIND_END = re.compile(
    rf"([.!?…]+(?:[ \u00a0]?[»”\")])*)[ \t]*((?:{_LIST}[ \t]*)+)", re.IGNORECASE
)
_ALONE = re.compile(rf"\s*\n[ \t]*((?:{_LIST}[ \t]*)+)$", re.IGNORECASE | re.MULTILINE)
_FENCE = re.compile(r"^\s*```\w*|```\s*$|\*\*", re.MULTILINE)
_LABEL = re.compile(r"^\W{0,4}(?:question|q)\s*n?°?\s*(\d{1,2})\s*[:.)–—-]*\s*", re.IGNORECASE)
_REFUSAL = re.compile(r"^\W{0,4}(?:refus|refusal)\s*:\s*(.*)$", re.IGNORECASE)
_NO_ANSWER = re.compile(r"^\W{0,4}(?:sans réponse|no answer)\b", re.IGNORECASE)
_ITEM = re.compile(r"^\s*(?:[-–—•*]|\d{1,2}[.)])\s+(?=\S)")
_LOOSE = re.compile(r"[ \u00a0]+(?=[.,)]| )")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a model says; ``question`` and ``citations`` are numbers of the prompt."""

    text: str
    citations: tuple[int, ...]
    question: int | None = None


@dataclass(frozen=True, slots=True)
class Marked:
    """Statements of a text; ``open``: numbers of questions that it says have no answer."""

    statements: tuple[Statement, ...]
    open: frozenset[int] = frozenset()
    refusal: str | None = None


def read(raw: str) -> Marked:
    """Any text is read; one without statements and refusal has neither."""
    found: list[Statement] = []
    unanswered: set[int] = set()
    refusal: str | None = None
    question: int | None = None
    for block in _blocks(raw):
        label = _LABEL.match(block)
        if label:
            question = int(label.group(1))
        rest = block[label.end() :] if label else block
        refused = _REFUSAL.match(rest)
        if refused:
            refusal = refused.group(1).strip()
        elif _NO_ANSWER.match(rest):
            unanswered |= {question} if question is not None else set()
        elif rest.strip():
            found += _statements(rest, question)
    return Marked(tuple(found), frozenset(unanswered), refusal)


def prose(text: str) -> str:
    """The text without marks, for a reader while it is written."""
    return _LOOSE.sub("", _MARK.sub("", _FENCE.sub("", text))).strip()


def _blocks(raw: str) -> Iterator[str]:
    """Lines; the items of a list stay with the line that announces it."""
    text = _BEHIND_END.sub(r" \2\1 ", _ALONE.sub(r" \1", _FENCE.sub("", raw)))
    block = ""
    for line in [*text.splitlines(), ""]:
        announced = _without_marks(block.split("\n")[0]).endswith(":")
        if block and announced and _ITEM.match(line):
            block += "\n" + _ITEM.sub("– ", line).rstrip()
            continue
        if block.strip():
            yield block.strip()
        block = _ITEM.sub("– ", line)


def _statements(block: str, question: int | None) -> Iterator[Statement]:
    if "\n" in block:
        lines = "\n".join(_without_marks(line) for line in block.split("\n"))
        yield Statement(lines, _numbers(block), question)
        return
    waiting: list[str] = []
    for sentence in sentences.split(block):
        waiting.append(_without_marks(sentence))
        if numbers := _numbers(sentence):
            yield from (Statement(text, numbers, question) for text in waiting if text)
            waiting.clear()
    yield from (Statement(text, (), question) for text in waiting if text)


def _numbers(text: str) -> tuple[int, ...]:
    marks = " ".join(_MARK.findall(text))
    return tuple(dict.fromkeys(int(number) for number in re.findall(r"\d+", marks)))


def _without_marks(text: str) -> str:
    return _LOOSE.sub("", _MARK.sub("", text)).strip()
