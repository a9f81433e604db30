"""The lines of a passage into headings, paragraphs, lists and rows of tables.

A chunk is plain text: ingest keeps one paragraph, list item or row a line, marks items with
``-`` or a number where the format did, and writes rows as « En-tête : valeur ; … ».
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from services.generate import rows, sentences

Kind = Literal["heading", "paragraph", "list", "row"]

_BULLET = re.compile(r"^\s*(?:[-–—•*▪◦·‣●○■□✓➔→]|\d{1,2}[.)°]|[a-z]\))\s+(?=\S)")
_HASHES = re.compile(r"^\s*(?:#{1,6}\s+|>\s?)")
_HEADING_NUMBER = re.compile(r"^\s*(?:\d{1,2}(?:\.\d{1,2})*\s*[.)–-]?\s+|[IVX]{1,4}\s*[.)–-]\s+)")
_ASIDE = re.compile(
    r"^(?:attention|à noter|à savoir|exemple|rappel|important|bon à savoir|remarque|note)\s*[!:]?$",
    re.IGNORECASE,
)
_SPACES = re.compile(r"[ \t]+")
_LEAD = re.compile(r"[:：]\s*$")
_MAX_HEADING_WORDS = 18
_CONTINUES = re.compile(r"[,;]\s*(?:et|ou|puis)?\s*$")


@dataclass(slots=True)
class Block:
    """One block; ``text`` of a list announces its ``items`` and may be empty.

    ``marked``: the items had bullets or numbers, so an unmarked line is no item of its own.
    """

    kind: Kind
    text: str
    items: list[str] = field(default_factory=list)
    marked: bool = False


def read(text: str) -> list[Block]:
    """Blocks of ``text`` in order."""
    blocks: list[Block] = []
    for line, after_blank, alone in _lines(text):
        _add(blocks, line, after_blank, alone)
    return blocks


def strip_mark(line: str) -> str:
    """A line without its bullet, number or quotation mark."""
    return _BULLET.sub("", line).strip()


def _lines(text: str) -> Iterator[tuple[str, bool, bool]]:
    """Each line with whether a blank line stands before it and whether it stands alone."""
    # Only plain spaces are squeezed: no-break spaces belong to French figures.
    found = [_SPACES.sub(" ", _HASHES.sub("", raw)).strip() for raw in text.splitlines()]
    for index, line in enumerate(found):
        if line:
            before = index == 0 or not found[index - 1]
            yield line, before, before and (index + 1 == len(found) or not found[index + 1])


def _add(blocks: list[Block], line: str, after_blank: bool, alone: bool) -> None:
    last = blocks[-1] if blocks else None
    if rows.is_row(line):
        blocks.append(Block("row", strip_mark(line)))
    elif alone and _HEADING_NUMBER.match(line) and not sentences.is_full(line):
        blocks.append(Block("heading", line))
    elif _BULLET.match(line):
        _add_item(blocks, line)
    elif last is not None and last.kind == "list" and not after_blank and _is_item(last, line):
        last.items.append(line)
    elif last is not None and not after_blank and _continues(last, line):
        _join(last, line)
    elif _LEAD.search(line) and len(line) <= 400:
        _add_lead(blocks, line)
    elif sentences.is_full(line) and not sentences.is_question(line):
        blocks.append(Block("paragraph", line))
    else:
        blocks.append(Block("heading" if _looks_like_heading(line) else "paragraph", line))


def _add_item(blocks: list[Block], line: str) -> None:
    last = blocks[-1] if blocks else None
    item = strip_mark(line)
    if last is not None and last.kind == "list":
        last.items.append(item)
        last.marked = True
    else:
        blocks.append(Block("list", "", [item], marked=True))


def _add_lead(blocks: list[Block], line: str) -> None:
    """The last sentence of ``line`` announces a list; what stands before it is prose."""
    *before, lead = sentences.split(line)
    if before:
        blocks.append(Block("paragraph", " ".join(before)))
    blocks.append(Block("list", lead))


def _is_item(block: Block, line: str) -> bool:
    """Whether an unmarked line goes on with the list above it."""
    if block.marked:
        return False
    if not block.items:
        return bool(block.text)
    previous = block.items[-1]
    if previous.rstrip().endswith("."):
        return False
    if _CONTINUES.search(previous) or line[0].islower():
        return True
    return not sentences.is_full(line) and line.split()[0] == block.items[0].split()[0]


def _continues(last: Block, line: str) -> bool:
    """Whether ``line`` is the rest of a sentence that the line above breaks off."""
    text = last.items[-1] if last.items else last.text
    if last.kind == "row" or not line[0].islower() or sentences.is_full(text):
        return False
    return not _ASIDE.match(text) and len(text.split()) >= 5 and not _LEAD.search(text)


def _join(last: Block, line: str) -> None:
    if last.items:
        last.items[-1] = f"{last.items[-1]} {line}"
    else:
        last.text = f"{last.text} {line}"
        last.kind = "paragraph"


def _looks_like_heading(line: str) -> bool:
    short = len(line.split()) <= _MAX_HEADING_WORDS and not line[0].islower()
    # A sentence followed by the beginning of another is prose that a chunk cuts off.
    whole = sentences.is_question(line) or len(sentences.split(line)) == 1
    return line.isupper() or (whole and (short or sentences.is_question(line)))


def heading_text(line: str) -> str:
    """A heading without its number."""
    return _HEADING_NUMBER.sub("", line).strip()
