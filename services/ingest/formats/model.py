"""What every format reader shares: the limits, the refusal, the parsed document and its builder."""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

BlockKind = Literal["heading", "paragraph", "list", "table", "row"]
Code = Literal[
    "encrypted",
    "broken",
    "no-text",
    "empty",
    "bomb",
    "unsupported",
    "too-large",
    "undecodable",
    "crash",
    "timeout",
]

MAX_TITLE = 160
"""Characters kept of a title: it is repeated before every chunk that is embedded."""

# Control characters (PostgreSQL refuses NUL), zero-width marks, soft hyphens, lone surrogates.
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064"
    "\ufeff\ufffe\uffff\ud800-\udfff]"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[ \t]+")
_SPACED_ENDS = re.compile("[ \u00a0\u202f]*\n[ \u00a0\u202f]*")
_MANY_LINES = re.compile("\n{3,}")


class Unreadable(Exception):
    """The document cannot be read; `reason_fr` says why in words its sender can act on."""

    def __init__(self, reason_fr: str, code: Code) -> None:
        super().__init__(reason_fr)
        self.reason_fr = reason_fr
        self.code: Code = code


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may cost. Sizes in bytes, texts in characters."""

    max_bytes: int = 50 * 2**20
    max_text: int = 20_000_000
    max_pages: int = 5_000
    max_rows: int = 200_000
    max_members: int = 10_000
    max_expanded: int = 300 * 2**20
    max_ratio: int = 200
    max_nesting: int = 1_000
    max_parts: int = 500


@dataclass(frozen=True, slots=True)
class Block:
    """A span `text[start:end]` of the document. Blocks follow each other and never overlap.

    `level` is 1…6 for headings, the depth (from 1) for list items, 0 otherwise. One `list` block
    is one item, one `row` block one row, `table` the caption of the rows after it. `page` counts
    from 1 and is None where the format has no pages.
    """

    kind: BlockKind
    level: int
    start: int
    end: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """Plain text in NFC, the coordinate system of every span, and its structure.

    `pages` holds (page number from 1, start, end) for each page that has text.
    """

    title: str
    text: str
    blocks: tuple[Block, ...]
    pages: tuple[tuple[int, int, int], ...] = ()
    url: str | None = None


def clean(text: str) -> str:
    """NFC, `\\n` line ends, no control or zero-width characters, single spaces."""
    text = _LINE_ENDS.sub("\n", text)
    text = _UNWANTED.sub("", text)
    text = _SPACED_ENDS.sub("\n", _SPACES.sub(" ", text))
    return unicodedata.normalize("NFC", _MANY_LINES.sub("\n\n", text)).strip()


def one_line(text: str) -> str:
    """The cleaned text on one line."""
    return " ".join(clean(text).split("\n")).strip()


def shorten(text: str, length: int) -> str:
    """The text on one line, cut at a word and marked with an ellipsis beyond `length`."""
    text = one_line(text)
    if len(text) <= length:
        return text
    return text[: length - 1].rsplit(" ", 1)[0].rstrip(" ,;:-") + "…"


@dataclass(slots=True)
class Builder:
    """Collects blocks into one text; raises Unreadable beyond `limits.max_text`."""

    limits: Limits
    _parts: list[str] = field(default_factory=list)
    _blocks: list[Block] = field(default_factory=list)
    _pages: list[tuple[int, int, int]] = field(default_factory=list)
    _length: int = 0
    _page: int | None = None
    _page_start: int | None = None

    def add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        """Append a block; empty text adds nothing."""
        text = clean(text)
        if not text:
            return
        if self._blocks:
            tight = kind in ("list", "row") and self._blocks[-1].kind in ("list", "row", "table")
            self._append("\n" if tight else "\n\n")
        start = self._mark_page()
        self._append(text)
        self._blocks.append(Block(kind, level, start, self._length, self._page))

    def extend(self, text: str) -> None:
        """Continue the last block, a paragraph cut by a page break."""
        text = clean(text)
        last = self._blocks.pop()
        self._append(" ")
        self._mark_page()
        self._append(text)
        self._blocks.append(Block(last.kind, last.level, last.start, self._length, last.page))

    def page(self, number: int) -> None:
        """What is added from here on stands on this page."""
        self._close_page()
        self._page = number

    @property
    def last(self) -> Block | None:
        """The block added last."""
        return self._blocks[-1] if self._blocks else None

    @property
    def tail(self) -> str:
        """The end of the text so far."""
        return self._parts[-1] if self._parts else ""

    @property
    def head(self) -> str:
        """The text of the first block."""
        return self._parts[0] if self._parts else ""

    def first_heading(self) -> str | None:
        """The text of the first heading of the highest level, the usual place of a title."""
        headings = [block for block in self._blocks if block.kind == "heading"]
        if not headings:
            return None
        first = min(headings, key=lambda block: (block.level, block.start))
        return "".join(self._parts)[first.start : first.end]

    def build(self, title: str, url: str | None = None) -> ParsedDocument:
        """The document; raises Unreadable when nothing was added."""
        self._close_page()
        if not self._blocks:
            raise Unreadable("Le document ne contient aucun texte.", "empty")
        return ParsedDocument(
            title=shorten(title, MAX_TITLE),
            text="".join(self._parts),
            blocks=tuple(self._blocks),
            pages=tuple(self._pages),
            url=url,
        )

    def _append(self, text: str) -> None:
        self._length += len(text)
        if self._length > self.limits.max_text:
            raise Unreadable(
                f"Le texte du document dépasse {self.limits.max_text} caractères : "
                "découpez-le en plusieurs documents.",
                "too-large",
            )
        self._parts.append(text)

    def _mark_page(self) -> int:
        if self._page is not None and self._page_start is None:
            self._page_start = self._length
        return self._length

    def _close_page(self) -> None:
        if self._page is not None and self._page_start is not None:
            self._pages.append((self._page, self._page_start, self._length))
        self._page_start = None
