"""What a reply may quote of a passage: full sentences, announced lists, rows of tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from services.generate import blocks, rows, sentences
from services.generate.blocks import Block
from services.generate.french import terms

MAX_ITEMS = 7
MAX_CHARS = 700
_MIN_WORDS = 4
ELLIPSIS_ITEM = "– […]"
"""Closes a list that is not quoted whole."""

_VERDICT = re.compile(r"^(?:Oui|Non)\s*[.,:!]\s+(?=\S)")
# « Oui, si … » is no sentence without its « Oui ».
_BARE_VERDICT = re.compile(r"^(?:Oui|Non)\s*[.!]\s+(?=\S)")
# A footnote would be taken for a citation mark of ours.
_FOOTNOTE = re.compile(r"[ \u00a0]?\[(?:\d{1,3}|[a-z])\]")
_LOOSE_MARK = re.compile(r" +([,)]|\.(?!\.))")
_TRAILING = re.compile(r"[\s;,]+(?:(?:et|ou)\s*)?$")


@dataclass(frozen=True, slots=True)
class Unit:
    """One quotable piece of passage number ``passage``.

    ``text`` is verbatim but for bullets, table separators and a capital at the start; ``order``
    counts units within the passage, ``block`` its blocks; ``context`` holds the headings above.
    A list keeps its ``lead`` and ``items``, so that a long one can be quoted in part; a row keeps
    its columns' names as ``lead`` and its values as ``items``.
    """

    text: str
    kind: Literal["sentence", "list", "row"]
    passage: int
    order: int
    block: int
    context: str = ""
    lead: str = ""
    items: tuple[str, ...] = ()

    @property
    def verdict(self) -> bool:
        """Whether it opens with « Oui. » or « Non. », which answers only its own heading."""
        return bool(_VERDICT.match(self.text))

    def without_verdict(self) -> str:
        """The text after « Oui. » or « Non. »; empty when it goes on (« Oui, si … »)."""
        rest = _BARE_VERDICT.sub("", self.text)
        return capitalised(rest) if rest != self.text else ""

    def answers_heading(self, asked: Set[str]) -> bool:
        """Whether a question of these terms is the heading's own, which « Oui. » answers."""
        return bool(asked) and len(asked & frozenset(terms(self.context))) >= 0.6 * len(asked)


def of_passage(
    index: int, text: str, heading_path: Sequence[str] = (), *, from_middle: bool = False
) -> list[Unit]:
    """Quotable units of passage number ``index``, in document order.

    ``from_middle``: the passage does not start its document, so a first sentence without capital
    is the rest of one that stands in another passage, and is left out.
    """
    found: list[Unit] = []
    read = blocks.read(text)
    if from_middle and read and read[0].kind == "paragraph":
        read[0].text = _without_tail(read[0].text)
    dropped = rows.constant_columns(rows.parse(b.text) for b in read if b.kind == "row")
    headings = list(heading_path)
    for number, block in enumerate(read):
        if block.kind == "heading":
            headings = [*heading_path, blocks.heading_text(block.text)]
            continue
        lead = block.text or _heading_as_lead(read, number, headings)
        context = " ".join(headings)
        for kind, piece in _pieces(block, lead, dropped):
            frame, items = _structure(block, lead)
            found.append(
                Unit(piece, kind, index, len(found), number, context, frame, items)
                if kind != "sentence"
                else Unit(piece, kind, index, len(found), number, context)
            )
    return found


def capitalised(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


def _without_tail(paragraph: str) -> str:
    pieces = sentences.split(paragraph)
    return " ".join(pieces[1:]) if pieces and pieces[0][0].islower() else paragraph


def _heading_as_lead(read: Sequence[Block], number: int, headings: Sequence[str]) -> str:
    """A heading announces the list right below it."""
    first = number == 0 or read[number - 1].kind == "heading"
    if not first or not headings or sentences.is_question(headings[-1]):
        return ""
    return f"{headings[-1].rstrip(' .:')} :"


def _structure(block: Block, lead: str) -> tuple[str, tuple[str, ...]]:
    """What frames a list or row, and what stands in it."""
    if block.kind == "row":
        cells = rows.parse(block.text).cells
        return " ".join(name for name, _ in cells), tuple(value for _, value in cells)
    return lead, tuple(block.items)


def _pieces(
    block: Block, lead: str, dropped: frozenset[str]
) -> Iterator[tuple[Literal["sentence", "list", "row"], str]]:
    if block.kind == "row":
        yield "row", rows.sentence(rows.parse(block.text), dropped)
    elif block.kind == "paragraph":
        yield from (("sentence", piece) for piece in _full_sentences([block.text]))
    elif whole := list_text(lead, block.items):
        yield "list", whole
    elif not lead:
        # An item alone may be half a thought (« Ce qui ne se cumule pas : … »): only without lead.
        yield from (("sentence", item) for item in _full_sentences(block.items))


def shortened(unit: Unit, worth: Callable[[str], float], chars: int = MAX_CHARS) -> str:
    """The unit's text; of a list over ``chars`` only the items of most ``worth``, in order."""
    chosen: list[int] = []
    size = len(unit.lead)
    for index in sorted(range(len(unit.items)), key=lambda i: (-worth(unit.items[i]), i)):
        size += len(unit.items[index])
        if len(chosen) == MAX_ITEMS or (chosen and size > chars):
            break
        chosen.append(index)
    if len(chosen) == len(unit.items):
        return unit.text
    kept = [unit.items[index] for index in sorted(chosen)]
    return f"{list_text(unit.lead, kept)}\n{ELLIPSIS_ITEM}"


def list_text(lead: str, items: Sequence[str]) -> str:
    """An announced list as lines; empty without lead or items."""
    kept = [_TRAILING.sub("", tidy(item)) for item in items]
    if kept and kept[-1].endswith(":"):
        kept.pop()
    if not kept or not lead.rstrip().endswith((":", "：")):
        return ""
    last = len(kept) - 1
    lines = [f"– {item}{_item_end(item, index == last)}" for index, item in enumerate(kept)]
    return "\n".join([capitalised(tidy(lead)), *lines])


def _item_end(item: str, last: bool) -> str:
    if sentences.is_full(item) or item.endswith(":"):
        return ""
    return "." if last else " ;"


def tidy(text: str) -> str:
    """Without what markup left behind: spaces before full stops, footnote numbers like [3]."""
    return _LOOSE_MARK.sub(r"\1", _FOOTNOTE.sub("", text.strip()))


def _full_sentences(paragraphs: Sequence[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        for piece in sentences.split(paragraph):
            enough = len(piece.split()) >= _MIN_WORDS and len(piece) <= MAX_CHARS
            if enough and sentences.is_full(piece) and not sentences.is_question(piece):
                yield capitalised(tidy(piece))
