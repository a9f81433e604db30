"""How a text that was sent compares with a draft. Pure."""

from __future__ import annotations

import re

from pydantic import Field
from rapidfuzz.distance import Levenshtein

from shared.envelope import Frozen
from shared.newtext.visible import new_text

RESEMBLES = 0.5
"""Similarity from which a text that was sent is taken for the draft, edited elsewhere. Unrelated
answers of an administration's FAQ between the same courtesies have .12 (99 of 100 at most .24); an
answer of which half of the words were changed has .55."""
_MARK = re.compile(r"\s?\[\d{1,3}(?:\s?,\s?\d{1,3})*\]")
# The list of sources as replies carry it: a title alone on its line, then numbered lines. No two
# runs of blanks that meet, and none that starts at every line break: time grows with the text.
_REFERENCES = re.compile(
    r"(?<=\n)[^\S\n]*(?:sources|références|references)[^\S\n]?:?[^\S\n]*\n\s*\[1?\d?\d\] .*\Z",
    re.IGNORECASE | re.DOTALL,
)
_WORD = re.compile(r"\w+")


class Comparison(Frozen):
    """``edit_distance`` in characters; ``similarity`` of the words in their order, in [0, 1]."""

    edit_distance: int = Field(ge=0)
    words_changed: int = Field(ge=0)
    similarity: float = Field(ge=0, le=1)


def words_changed(before: str, after: str) -> int:
    """Words put in, taken out or replaced; a word is what stands between blanks."""
    return Levenshtein.distance(before.split(), after.split())


def written(text: str) -> str:
    """What its author wrote in a reply: no quotes, signature, or list of sources below."""
    without = _REFERENCES.sub("", text.replace("\r\n", "\n"))
    return new_text(without).strip()


def compare(draft: str, sent: str) -> Comparison:
    """``sent`` against ``draft``, both as their author wrote them and without [n]: mail systems
    drop signatures and marks of their own accord."""
    before, after = (_MARK.sub("", written(text)) for text in (draft, sent))
    return Comparison(
        edit_distance=Levenshtein.distance(before, after),
        words_changed=words_changed(before, after),
        similarity=Levenshtein.normalized_similarity(_words(before), _words(after)),
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
