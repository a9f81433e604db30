"""What fits into a prompt: texts cut at the end of a sentence, the best-ranked passages first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.generate import blocks, sentences

CHARS_A_TOKEN = 3
"""A little less than a token of French takes (Qwen2.5: 3.4), so that a budget is kept."""
_LEAST_PIECE = 160
"""Characters below which the beginning of a further passage is not worth its place."""


def within(texts: Sequence[str], tokens: int) -> dict[int, str]:
    """The texts, best first, that fit into ``tokens``: whole, but for the last, by index.

    The first is always there, with its first sentence at least.
    """
    left = tokens * CHARS_A_TOKEN
    kept: dict[int, str] = {}
    for index, text in enumerate(texts):
        piece = text if len(text) <= left else cut(text, left, whole_first=not kept)
        if piece and (piece == text or not kept or len(piece) >= _LEAST_PIECE):
            kept[index] = piece
            left -= len(piece)
        if piece != text:
            break
    return kept


def cut(text: str, chars: int, *, whole_first: bool = False) -> str:
    """The longest beginning of ``text`` within ``chars`` that ends with a sentence or list item.

    A heading or the lead of a list is not left without what it announces. Empty when nothing
    fits, or with ``whole_first`` the first piece although it does not fit.
    """
    ends = list(_ends(text))
    fitting = (end for end in reversed(ends) if end <= chars)
    pieces = (text[:end] for end in fitting)
    best = next((piece for piece in pieces if not _announces(piece)), "")
    if best or not whole_first:
        return best
    return next((text[:end] for end in ends if not _announces(text[:end])), text)


def _ends(text: str) -> Iterator[int]:
    """Offsets behind each sentence and each item, row or heading of ``text``."""
    start = 0
    for line in text.splitlines(keepends=True):
        at, stop = start, start + len(line.rstrip())
        for sentence in sentences.split(line):
            found = text.find(sentence, at, stop)
            if found >= 0 and sentences.is_full(sentence):
                at = found + len(sentence)
                yield at
        if at < stop and not _goes_on(text[start:stop], text[stop:].lstrip()):
            yield stop
        start += len(line)


def _goes_on(line: str, rest: str) -> bool:
    """Whether a line breaks within a sentence."""
    return rest[:1].islower() and not line.endswith(";")


def _announces(piece: str) -> bool:
    """Whether the last thing said is a heading, or the lead of a list without items."""
    read = blocks.read(piece)
    if not read:
        return True
    return read[-1].kind == "heading" or piece.endswith((":", "："))
