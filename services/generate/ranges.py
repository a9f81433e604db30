"""Sizes and their bands: « 3 200 habitants » lies in « de 2 000 à 9 999 habitants »."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.generate.french import fold, numbers, stem

_N = r"(\d[\d \u00a0\u202f]*(?:[.,]\d+)?)"
_NOUN = r"\s*(%|€|m2|m²|[a-z]{3,})"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"(?:de|entre)?\s*{_N}\s*(?:a|et)\s*{_N}{_NOUN}"), "between"),
    (
        re.compile(rf"(?:moins de|jusqu'a|inferieure?s? a|au plus|under|less than)\s*{_N}{_NOUN}"),
        "to",
    ),
    (
        re.compile(
            rf"(?:plus de|a partir de|au moins|superieure?s? a|over|more than)\s*{_N}{_NOUN}"
        ),
        "from",
    ),
    (re.compile(rf"{_N}{_NOUN}\s*(?:et plus|ou plus|au moins|and more|or more)"), "from"),
    (re.compile(rf"{_N}{_NOUN}\s*(?:au plus|ou moins|au maximum)"), "to"),
    (re.compile(rf"{_N}{_NOUN}"), "is"),
)


@dataclass(frozen=True, slots=True)
class Band:
    """From ``low`` to ``high`` of what ``noun`` (a stem) counts."""

    noun: str
    low: float
    high: float

    def meets(self, other: Band) -> bool:
        """Whether the two share a value."""
        return self.low <= other.high and other.low <= self.high


def bands(text: str) -> list[Band]:
    """Sizes that ``text`` names with their nouns, single values as bands of one value."""
    found: list[Band] = []
    left = " ".join(fold(text).split(" "))
    for pattern, kind in _PATTERNS:
        for match in pattern.finditer(left):
            *figures, noun = match.groups()
            values = [float(numbers(figure)[-1]) for figure in figures]
            low, high = _ends(kind, values)
            found.append(Band(stem(noun), low, high))
        left = pattern.sub(" | ", left)
    return found


def _ends(kind: str, values: list[float]) -> tuple[float, float]:
    if kind == "between":
        return min(values), max(values)
    if kind == "to":
        return 0.0, math.nextafter(values[0], 0.0)
    if kind == "from":
        return values[0], math.inf
    return values[0], values[0]


def agree(asked: list[Band], told: list[Band]) -> bool | None:
    """Whether ``told`` has to do with the size asked for; ``None`` when it names no such size."""
    pairs = [(a, t) for a in asked for t in told if a.noun == t.noun]
    if not pairs:
        return None
    return any(a.meets(t) for a, t in pairs)


def agreeing(asked: list[Band], texts: Mapping[int, str]) -> dict[int, bool]:
    """Whether a text has to do with the sizes asked for; only for the texts that name such."""
    told = {number: agree(asked, bands(text)) for number, text in texts.items()} if asked else {}
    return {number: right for number, right in told.items() if right is not None}
