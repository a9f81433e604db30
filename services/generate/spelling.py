"""Numbers written in words, into figures: « quatre-vingt-dix mille » is 90000."""

from __future__ import annotations

import re

_UNITS = {
    word: value
    for value, word in enumerate(
        [
            "zéro",
            "un",
            "deux",
            "trois",
            "quatre",
            "cinq",
            "six",
            "sept",
            "huit",
            "neuf",
            "dix",
            "onze",
            "douze",
            "treize",
            "quatorze",
            "quinze",
            "seize",
        ]
    )
} | {"une": 1}
_TENS = {"vingt": 20, "vingts": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60}
_SCALES = {"cent": 100, "cents": 100, "mille": 1000}
_ENGLISH = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ]
    )
} | {"fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60}
_ENGLISH |= {"eighty": 80, "ninety": 90, "hundred": 100, "thousand": 1000}
_WORD = "|".join(sorted({*_UNITS, *_TENS, *_SCALES, *_ENGLISH}, key=len, reverse=True))
_RUN = re.compile(rf"(?<![\w-])(?:{_WORD})(?:(?:-et-|[ -]|\set\s)(?:{_WORD}))*(?![\w-])", re.I)
_PIECE = re.compile(rf"(?:{_WORD})", re.I)
# « neuf » is also new, « un » an article, « cent » in « pour cent » a unit.
_COUNTED = re.compile(
    r"\s+(?:jours?|mois|ans?|années?|semaines?|heures?|euros?|points?|pour\s+cent|millions?"
    r"|milliards?)\b",
    re.I,
)
_BEFORE_THE_KNOWN = re.compile(r"\b(?:les|ces|nos|vos|ses|leurs|mes|the|these|both)\s+$", re.I)
_PERCENT = re.compile(r"\b(?:pour\s+cents?|per\s?cent)\b", re.I)
_AMBIGUOUS = {"un", "une", "one", "neuf"}


def in_figures(text: str) -> str:
    """``text`` with its numbers as figures and « pour cent » as %.

    An article stays a word, and so does what only points back (« les deux aides »).
    """
    return _RUN.sub(lambda found: _figure(text, found), _PERCENT.sub("%", text))


def _figure(text: str, found: re.Match[str]) -> str:
    words = [piece.lower() for piece in _PIECE.findall(found.group())]
    source = found.string
    if len(words) == 1 and words[0] in _AMBIGUOUS and not _COUNTED.match(source, found.end()):
        return found.group()
    if len(words) == 1 and _BEFORE_THE_KNOWN.search(
        source, max(0, found.start() - 12), found.start()
    ):
        return found.group()
    return str(_value(words))


def _value(words: list[str]) -> int:
    """« deux cent quatre-vingt-dix » read from left to right."""
    total, hundreds, below = 0, 0, 0
    for word in words:
        if word in ("mille", "thousand"):
            total += max(1, hundreds + below) * 1000
            hundreds = below = 0
        elif word in ("cent", "cents", "hundred"):
            hundreds, below = max(1, below) * 100, 0
        elif word in ("vingt", "vingts") and below == 4:
            below = 80
        else:
            below += {**_ENGLISH, **_UNITS, **_TENS}[word]
    return total + hundreds + below
