"""One line of an e-mail as it is matched, and its quote marks.

No-break spaces, zero-width characters and composed accents are normalised, because mail programs
write U+00A0 or U+202F before the French colon and some write accents decomposed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# Longer lines are paragraphs; matching their start is enough and bounds every pattern's cost.
MAX_MATCHED_CHARS = 1000

_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u180e\u1427]")
_HYPHENS = re.compile("[‐‑−]")
_QUOTE_MARK = re.compile(r"^\s*>")
_QUOTE_PREFIX = re.compile(r"^[\s>]*>\s?")


def plain(line: str) -> str:
    """The start of `line` as it is matched: NFC, ordinary spaces, nothing invisible, no ends."""
    text = line[:MAX_MATCHED_CHARS]
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text)).replace("’", "'")
        text = _HYPHENS.sub("-", text)
    return " ".join(text.replace("&lt;", "<").replace("&gt;", ">").split())


def is_quoted(line: str) -> bool:
    """Whether `line` starts with a `>` mark."""
    return bool(_QUOTE_MARK.match(line))


def unquoted(line: str) -> str:
    """`line` without any of its leading `>` marks."""
    return _QUOTE_PREFIX.sub("", line) if is_quoted(line) else line


def one_level_less(line: str) -> str:
    """`line` without its first `>` mark and the space after it."""
    return re.sub(r"^\s*> ?", "", line)


def next_is_quoted(lines: Sequence[str]) -> bool:
    """Whether the first filled line of `lines` is quoted."""
    return is_quoted(next((line for line in lines if line.strip()), ""))
