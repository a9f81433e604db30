"""Which units of the passages answer a question: scores first, then the choice.

The score of a unit is a weighted sum of shares in [0, 1]: words in common with the question
(IDF over the units given), closeness of sentence vectors, rank of its passage, and whether it
looks like the kind of answer asked for.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from services.generate import asking
from services.generate.french import terms
from services.generate.units import Unit

MAX_UNITS = 4
MAX_CHARS = 900
_KEEP = 0.66
"""Share of the best score that a further unit must reach."""
_SAME = 0.75
"""Overlap of words beyond which two units say the same."""
_CONTEXT = 0.5
_TITLE = 0.25
_LEAST_SHARED = 0.12
_LEAST_COSINE = 0.80
"""multilingual-e5 puts unrelated French sentences below this cosine."""

_LEANS = re.compile(
    r"^(?:(?:il|elle|ils|elles)\b"
    r"|(?:toutefois|cependant|néanmoins|en revanche|de plus|en outre|par ailleurs|ainsi|aussi"
    r"|donc|c'est pourquoi|dans (?:ce|les deux|tous les) cas|à l'inverse|au contraire|de même"
    r"|celui-ci|celle-ci|ceux-ci|celles-ci|ce dernier|cette dernière|cela|ceci|leurs?|son|sa|ses"
    r"|lui|y|en|c'est|ce sont|elle-même|seul\w*|et|ou|mais|puis|ensuite|sinon|par exemple|ici)\b"
    r"|(?:\S+\s){0,4}?(?:ce|cet|cette|ces)\s(?!qui\b|que\b|qu'|dernier))",
    re.IGNORECASE,
)
_IMPERSONAL = re.compile(
    r"^il\s(?:(?:n'|ne\s)?(?:est|serait|faut|existe|convient|y a|suffit|s'agit|peut être"
    r"|vous faut|appartient))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the parts of a score; ``vector`` goes to ``words`` when there are no vectors."""

    words: float = 0.42
    vector: float = 0.30
    rank: float = 0.16
    kind: float = 0.12


FRENCH = Weights()
FOREIGN = Weights(words=0.14, vector=0.58, rank=0.20, kind=0.08)
"""For questions in another language than the documents: few words are shared."""


@dataclass(frozen=True, slots=True)
class Pool:
    """All units of the passages given, with their terms; built once for an e-mail."""

    units: Sequence[Unit]
    titles: Sequence[str]
    own: Sequence[frozenset[str]] = field(default=())
    bigrams: Sequence[frozenset[tuple[str, str]]] = field(default=())
    around: Sequence[frozenset[str]] = field(default=())
    idf: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, units: Sequence[Unit], titles: Sequence[str]) -> Pool:
        """The pool of ``units``; ``titles`` by passage index."""
        listed = [terms(unit.text) for unit in units]
        own = [frozenset(found) for found in listed]
        bigrams = [frozenset(pairwise(found)) for found in listed]
        around = [frozenset(terms(unit.context)) for unit in units]
        counts = Counter(term for found in own for term in found)
        total = len(units)
        idf = {t: math.log(1 + (total - n + 0.5) / (n + 0.5)) for t, n in counts.items()}
        return cls(units, titles, own, bigrams, around, idf)

    def weight(self, term: str) -> float:
        """IDF of a term; one that no unit holds weighs as the rarest."""
        return self.idf.get(term, math.log(1 + (len(self.units) + 0.5) / 0.5))


@dataclass(frozen=True, slots=True)
class Scored:
    """A unit's number in the pool with its scores for one question."""

    unit: int
    words: float
    total: float
    cosine: float | None = None


def by_words(pool: Pool, question: str, candidates: Sequence[int]) -> dict[int, float]:
    """Share of the question's words, weighted by IDF, that each candidate holds: in [0, 1]."""
    asked = terms(question)
    whole = sum(pool.weight(term) for term in set(asked)) or 1.0
    pairs = set(pairwise(asked))
    titles = [frozenset(terms(title)) for title in pool.titles]
    scores: dict[int, float] = {}
    for index in candidates:
        unit = pool.units[index]
        held = 0.0
        for term in set(asked):
            if term in pool.own[index]:
                held += pool.weight(term)
            elif term in pool.around[index]:
                held += _CONTEXT * pool.weight(term)
            elif term in titles[unit.passage]:
                held += _TITLE * pool.weight(term)
        phrase = len(pairs & pool.bigrams[index]) / len(pairs) if pairs else 0.0
        scores[index] = min(1.0, held / whole + 0.15 * phrase)
    return scores


def score(
    pool: Pool,
    question: str,
    ranks: Mapping[int, int],
    cosines: Mapping[int, float] | None = None,
    weights: Weights = FRENCH,
) -> list[Scored]:
    """Units for one question, best first.

    ``ranks``: rank (0 best) of each passage that found the question; other passages are left
    out. ``cosines``: by unit number, for the units that were compared as vectors.
    """
    candidates = [i for i, unit in enumerate(pool.units) if unit.passage in ranks]
    words = by_words(pool, question, candidates)
    near = _spread(cosines or {})
    wanted = asking.kinds(question)
    found = []
    for index in candidates:
        unit = pool.units[index]
        rank = 1 / (1 + 0.5 * ranks[unit.passage])
        match = words[index]
        if cosines:
            base = weights.words * match + weights.vector * near.get(index, 0.0)
        else:
            base = (weights.words + weights.vector) * match
        total = base + weights.rank * rank + weights.kind * asking.fits(wanted, unit)
        if asking.speaks_of_itself(unit):
            total *= 0.4
        cosine = cosines.get(index) if cosines else None
        found.append(Scored(index, match, total, cosine))
    return sorted(found, key=lambda s: (-s.total, s.unit))


def _spread(cosines: Mapping[int, float]) -> dict[int, float]:
    """Cosines stretched to [0, 1]: those of e5 all lie within a narrow band."""
    if not cosines:
        return {}
    low, high = min(cosines.values()), max(cosines.values())
    width = max(high - low, 0.02)
    return {index: (value - low) / width for index, value in cosines.items()}


def choose(pool: Pool, ranking: Sequence[Scored], taken: Sequence[int] = ()) -> list[int]:
    """Numbers of the units that answer, best first; empty when none does.

    ``taken``: units already quoted for an earlier question, not to be said again.
    """
    if not ranking or not _bears(ranking[0]):
        return []
    best = ranking[0].total
    chosen: list[int] = []
    size = 0
    totals = {scored.unit: scored.total for scored in ranking}
    for scored in ranking:
        bar = _KEEP * best - (0.08 if _touches(pool, chosen, scored.unit) else 0.0)
        if len(chosen) >= MAX_UNITS or (chosen and (scored.total < bar or not _bears(scored))):
            continue
        group = [u for u in _with_antecedent(pool, scored.unit, totals) if u not in chosen]
        length = sum(len(pool.units[u].text) for u in group)
        fits = len(chosen) + len(group) <= MAX_UNITS and size + length <= MAX_CHARS
        if not group or (chosen and not fits):
            continue
        if _said(pool, group[0], [*chosen, *taken]):
            continue
        chosen += group
        size += length
    return chosen


def _bears(scored: Scored) -> bool:
    """Whether a unit has to do with the question at all."""
    near = scored.cosine is not None and scored.cosine >= _LEAST_COSINE
    return scored.words >= _LEAST_SHARED or near


def leans(text: str) -> bool:
    """Whether a sentence takes up what stands before it (« Ce délai », « Toutefois », « Elle »)."""
    return bool(_LEANS.match(text)) and not _IMPERSONAL.match(text)


def _with_antecedent(pool: Pool, index: int, totals: Mapping[int, float]) -> list[int]:
    """The unit, after those of its block that it leans on; empty when they cannot be had."""
    group = [index]
    while leans(pool.units[group[0]].text):
        before = group[0] - 1
        first = pool.units[group[0]]
        same = before >= 0 and pool.units[before].passage == first.passage
        close = same and first.block - pool.units[before].block <= 1
        same_heading = close and pool.units[before].context == first.context
        if not same_heading or len(group) == 3 or before not in totals:
            return []
        group.insert(0, before)
    return group


def _touches(pool: Pool, chosen: Sequence[int], index: int) -> bool:
    """Whether the unit stands next to a chosen one in the same block."""
    return any(
        abs(index - other) == 1
        and pool.units[index].passage == pool.units[other].passage
        and pool.units[index].block == pool.units[other].block
        for other in chosen
    )


def _said(pool: Pool, index: int, others: Sequence[int]) -> bool:
    mine = pool.own[index]
    for other in others:
        shared = len(mine & pool.own[other])
        if shared >= _SAME * min(len(mine), len(pool.own[other])) and shared > 2:
            return True
    return False
