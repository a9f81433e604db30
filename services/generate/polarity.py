"""Whether a statement denies what its source affirms, or the other way round, by words alone.

Cheap and shallow: it compares a statement with the source's sentences that say nearly the same
words, and looks only whether one of the two is negative. Figures: docs/quality.md.
"""

from __future__ import annotations

import re

from services.generate import sentences
from services.generate.french import terms

SAME = 0.7
"""Share of a statement's content words from which a sentence is about the same…"""
_LEAST_WORDS = 3
"""… and the fewest that it must have."""
_LONGEST = 2.0
"""A sentence with more words than that many times the statement's says other things too."""
_NEGATION = re.compile(
    # Not « ne … que », which only restricts; « né » keeps its accent.
    r"\b(?:ne\s|n['’])(?!.{0,40}?\bqu(?:e\b|['’])(?!.{0,30}?\b(?:pas|jamais)\b))"
    r"|\b(?:non|aucune?s?|jamais|impossibles?|interdit\w*|exclue?s?|refus\w+|inéligibles?"
    r"|irrecevables?|incompatibles?)\b"
)
_NEGATIVE_TERMS = frozenset(
    terms("impossible interdit exclu exclue refusé refus inéligible irrecevable incompatible")
)


def denies(text: str) -> bool:
    """Whether ``text`` is negative, restrictions aside."""
    return bool(_NEGATION.search(text.lower()))


def contradicts(text: str, support: str) -> bool:
    """Whether a sentence of ``text`` is opposed by all sentences of ``support`` like it."""
    sources = [
        (frozenset(terms(piece)) - _NEGATIVE_TERMS, denies(piece))
        for line in support.splitlines()
        for piece in sentences.split(line)
    ]
    told = (piece for line in text.splitlines() for piece in sentences.split(line))
    return any(_opposed(piece, sources) for piece in told)


def _opposed(piece: str, sources: list[tuple[frozenset[str], bool]]) -> bool:
    said = frozenset(terms(piece)) - _NEGATIVE_TERMS
    if len(said) < _LEAST_WORDS:
        return False
    shares = [
        (len(said & held) / len(said), negative)
        for held, negative in sources
        if len(held) <= _LONGEST * len(said)
    ]
    best = max((share for share, _ in shares), default=0.0)
    if best < SAME:
        return False
    alike = [negative for share, negative in shares if share >= best - 0.1]
    return all(negative != denies(piece) for negative in alike)
