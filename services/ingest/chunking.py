"""A document cut into chunks along its structure, measured in the embedder's tokens."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from semantic_text_splitter import TextSplitter

from services.ingest.formats.model import Block, ParsedDocument, shorten
from services.ingest.pieces import Group, Piece, Section, common_path, without_leads

FRAME = 12
"""Tokens kept free for the model's own marks: its prefix, separators, begin and end."""
MIN_TOKENS = 32
MAX_CHARACTERS = 4000
"""Characters of a chunk: text outside the vocabulary has next to no tokens at any length."""
_HEADING_LENGTH = 120
_SLICE = 20_000  # characters of one line given to the sentence splitter at once
_TINY = 5  # a section under a fifth of the target may join its neighbour
_LEAD = re.compile(r"(?::|[^.!?;,…»\d%€])$")
_LEAD_LENGTH = 90


class TokenCounter(Protocol):
    """The embedder's tokenizer, without the tokens it adds around a text."""

    def count(self, text: str) -> int:
        """How many tokens the text has."""

    def ends(self, text: str) -> Sequence[int]:
        """The character offset after each token, ascending."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text == document.text[start:end]`; `page` is where it starts, from 1.

    `heading_path` names the headings above the chunk from the outermost, the chunk's own
    included. `tokens` counts the text as it is embedded, after title and heading path.
    """

    ordinal: int
    text: str
    start: int
    end: int
    heading_path: tuple[str, ...]
    page: int | None
    tokens: int


def context(title: str, heading_path: Sequence[str]) -> str:
    """What stands before a chunk's text when it is embedded."""
    return " > ".join((title, *heading_path))


def chunk(
    document: ParsedDocument, counter: TokenCounter, max_tokens: int, target: int | None = None
) -> list[Chunk]:
    """The document's chunks in order; together they hold all text that is not white space.

    No chunk, with its title and heading path, is over `max_tokens`, and its text never over
    `MAX_CHARACTERS`; sections and runs of rows are filled up to about `target` tokens (default:
    three quarters of the maximum). A chunk holds several sections only when one of them is tiny
    and they share a parent.
    """
    if max_tokens < MIN_TOKENS:
        raise ValueError(f"max_tokens must be at least {MIN_TOKENS}")
    cutter = _Cutter(document, counter, max_tokens, target or max_tokens * 3 // 4)
    groups = _merged(list(cutter.groups()), cutter)
    short = (part for group in groups for part in cutter.shortened(group))
    return [cutter.chunk(ordinal, group) for ordinal, group in enumerate(short)]


class _Cutter:
    """Measures and cuts spans of one document."""

    def __init__(
        self, document: ParsedDocument, counter: TokenCounter, max_tokens: int, target: int
    ) -> None:
        self._document = document
        self._counter = counter
        self._max = max_tokens
        self._target = target
        self._ends = counter.ends(document.text)
        self._pages = [start for _, start, _ in document.pages]

    def room(self, path: tuple[str, ...]) -> int:
        """Tokens left for the text under these headings, at least half of the maximum."""
        return max(self._max - self._context(path), self._max // 2)

    def target(self, path: tuple[str, ...]) -> int:
        return min(self._target, self.room(path))

    def groups(self) -> Iterator[Group]:
        """The sections cut into groups that fit."""
        carried: list[Piece] = []
        sections = self._sections()
        for section, following in zip(sections, [*sections[1:], None], strict=True):
            pieces = carried + self._pieces(section)
            carried = []
            if following is not None and self._introduces(section, pieces, following):
                carried = pieces
            else:
                yield from self._packed(section.path, pieces)

    def _introduces(self, section: Section, pieces: list[Piece], following: Section) -> bool:
        """A heading straight above its first subsection, short enough to go with it."""
        above = len(section.path)
        below = len(following.path) > above and following.path[:above] == section.path
        tokens = sum(piece.tokens for piece in pieces)
        bare = all(piece.heading for piece in pieces)
        return below and bare and tokens <= self.room(following.path) // 2

    def chunk(self, ordinal: int, group: Group) -> Chunk:
        """The chunk of a group."""
        start, end = group.pieces[0].start, group.pieces[-1].end
        page = bisect_right(self._pages, start) - 1
        return Chunk(
            ordinal=ordinal,
            text=self._document.text[start:end],
            start=start,
            end=end,
            heading_path=group.path,
            page=self._document.pages[page][0] if page >= 0 else None,
            tokens=self._tokens(start, end) + self._context(group.path),
        )

    def shortened(self, group: Group) -> Iterator[Group]:
        """The group, in several when it is over `MAX_CHARACTERS`."""
        current: list[Piece] = []
        for piece in group.pieces:
            for part in self._shortened(piece):
                if current and part.end - current[0].start > MAX_CHARACTERS:
                    yield Group(group.path, current, whole=False)
                    current = []
                current.append(part)
        yield Group(group.path, current, whole=group.whole)

    def _shortened(self, piece: Piece) -> Iterator[Piece]:
        """The piece, cut at white space where there is some, else anywhere."""
        text, start = self._document.text, piece.start
        while piece.end - start > MAX_CHARACTERS:
            most = text[start : start + MAX_CHARACTERS]
            part = most if text[start + MAX_CHARACTERS].isspace() else most.rsplit(None, 1)[0]
            part = part.rstrip() if len(part) > MAX_CHARACTERS // 2 else most.rstrip()
            yield self._piece(start, start + len(part))
            start += len(part)
            start += len(text[start : piece.end]) - len(text[start : piece.end].lstrip())
        yield piece if start == piece.start else self._piece(start, piece.end)

    def _context(self, path: tuple[str, ...]) -> int:
        return self._counter.count(context(self._document.title, path)) + FRAME

    def _sections(self) -> list[Section]:
        sections: list[Section] = []
        stack: list[tuple[int, str]] = []
        for block in self._document.blocks:
            if block.kind == "heading":
                stack = [above for above in stack if above[0] < block.level]
                text = shorten(self._document.text[block.start : block.end], _HEADING_LENGTH)
                stack.append((block.level, text))
            if block.kind == "heading" or not sections:
                sections.append(Section(self._path([text for _, text in stack])))
            sections[-1].blocks.append(block)
        return sections

    def _path(self, headings: Sequence[str]) -> tuple[str, ...]:
        """The headings, without one that repeats the title, and the outermost dropped to fit."""
        title = self._document.title.casefold()
        path = tuple(text for text in headings if text.casefold() != title)
        while path and self._counter.count(context(self._document.title, path)) > self._max // 2:
            path = path[1:]
        return path

    def _tokens(self, start: int, end: int) -> int:
        # By their ends: a word's first token often begins at, or is, the space before it.
        spaced = start == 0 or self._document.text[start - 1].isspace()
        before = bisect_left(self._ends, start) if spaced else bisect_right(self._ends, start)
        # Alone, the rest of a word that is cut has a first token of its own.
        return bisect_right(self._ends, end) - before + (not spaced)

    def _pieces(self, section: Section) -> list[Piece]:
        room, target = self.room(section.path), self.target(section.path)
        pieces: list[Piece] = []
        for block in section.blocks:
            tokens = self._tokens(block.start, block.end)
            lines = block.kind == "paragraph" and tokens > target // 2
            if tokens <= room and not lines:
                pieces.append(self._piece(block.start, block.end, block.kind))
            else:
                pieces += self._lines(block, room, target)
        return pieces

    def _piece(self, start: int, end: int, kind: str = "paragraph") -> Piece:
        text = self._document.text
        short = end - start <= _LEAD_LENGTH and "\n" not in text[start:end]
        leads = kind == "heading" or (
            kind == "paragraph"
            and bool(_LEAD.search(text, start, end))
            and (short or text[end - 1] == ":")
        )
        return Piece(start, end, self._tokens(start, end), kind == "heading", leads)

    def _lines(self, block: Block, room: int, target: int) -> Iterator[Piece]:
        start = block.start
        for line in self._document.text[block.start : block.end].split("\n"):
            end = start + len(line)
            if line and self._tokens(start, end) <= room:
                yield self._piece(start, end)
            elif line:
                yield from self._sentences(start, end, target)
            start = end + 1

    def _sentences(self, start: int, end: int, target: int) -> Iterator[Piece]:
        """A line too long for a chunk, cut between sentences, else words, else characters."""
        # Four less: where a word is cut, tokens in the text and of the part alone differ.
        splitter = TextSplitter.from_callback(self._counter.count, target - 4)
        while start < end:
            stop = min(end, start + _SLICE)
            if stop < end:
                stop = max(self._document.text.rfind(" ", start + 1, stop), start) + 1
                stop = stop if stop > start + 1 else min(end, start + _SLICE)
            for offset, text in splitter.chunk_indices(self._document.text[start:stop]):
                yield self._piece(start + offset, start + offset + len(text))
            start = stop

    def _packed(self, path: tuple[str, ...], pieces: list[Piece]) -> Iterator[Group]:
        """The pieces in groups of even size that fit, each lead with what it introduces."""
        total = sum(piece.tokens for piece in pieces)
        room, target = self.room(path), self.target(path)
        if total <= room:
            if pieces:
                yield Group(path, pieces, whole=True)
            return
        even = total / -(-total // target)
        current: list[Piece] = []
        size = 0
        for piece in pieces:
            if current and (size >= even or size + piece.tokens > room):
                current, kept = without_leads(current, piece, room)
                yield Group(path, current, whole=False)
                current, size = kept, sum(lead.tokens for lead in kept)
            current.append(piece)
            size += piece.tokens
        yield Group(path, current, whole=False)


def _merged(groups: list[Group], cutter: _Cutter) -> list[Group]:
    """Neighbouring whole sections joined when one is tiny and both stand under one heading."""
    merged: list[Group] = []
    for group in groups:
        joined = _join(merged[-1], group, cutter) if merged else None
        if joined is None:
            merged.append(group)
        else:
            merged[-1] = joined
    return merged


def _join(first: Group, second: Group, cutter: _Cutter) -> Group | None:
    common = common_path(first.path, second.path)
    related = len(common) >= max(len(first.path), len(second.path)) - 1
    tiny = min(first.tokens, second.tokens) * _TINY < cutter.target(common)
    if not (related and tiny and first.whole and second.whole):
        return None
    # Sections right under the title have no heading in common: name where the chunk starts.
    path = second.path if first.bare else common or first.path
    if first.tokens + second.tokens > cutter.target(path):
        return None
    return Group(path, first.pieces + second.pieces, whole=True)
