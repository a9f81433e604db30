"""The embedder's tokenizer, read from its `tokenizer.json`."""

from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

NAME = "tokenizer.json"
_CACHED = 10_000
_CACHED_LENGTH = 500
_PART = 50_000
"""Characters given to the tokenizer at once: it makes some 200 bytes a character of them."""


def tokenizer_file(directory: Path) -> Path:
    """The tokenizer of a model directory; raises FileNotFoundError with what to do."""
    path = directory / NAME
    if not path.is_file():
        raise FileNotFoundError(f"no {NAME} in {directory}: [embedding] model must have one")
    return path


class FileTokenCounter:
    """Counts tokens with the tokenizer of a model directory; safe to use from threads."""

    def __init__(self, directory: Path) -> None:
        """Raises FileNotFoundError when there is no tokenizer."""
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file(directory)))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # Titles and heading paths come back for every chunk.
        self._short = lru_cache(maxsize=_CACHED)(self._count)

    def count(self, text: str) -> int:
        """How many tokens the text has, without the model's own marks."""
        return self._short(text) if len(text) <= _CACHED_LENGTH else self._count(text)

    def ends(self, text: str) -> Sequence[int]:
        """The character offset after each token, ascending."""
        found = array("q")
        for start, part in _parts(text):
            encoding = self._tokenizer.encode(part, add_special_tokens=False)
            found.extend(start + end for _, end in encoding.offsets)
        return found

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """The text in parts with their starts, cut after a line or word, where no token is cut."""
    start = 0
    while start < len(text):
        stop = start + _PART
        if stop < len(text):
            breaks = (text.rfind(mark, start, stop) + 1 for mark in ("\n", " "))
            stop = next((place for place in breaks if place > start), stop)
        yield start, text[start:stop]
        start = stop
