"""The quotable units of an e-mail's passages with their words, and words shared with a question."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from services.generate.french import terms
from services.generate.units import Unit

_CONTEXT = 0.5
_TITLE = 0.35
_UNDER_HEADING = 0.4
"""For standing under a heading that asks the same question."""


@dataclass(frozen=True, slots=True)
class Pool:
    """All units of the passages given, with their terms; built once for an e-mail.

    ``own``: what a unit itself says; ``items``: of a list, what each item says; ``around``: what
    frames it (headings, column names, the items of a list beside its lead); ``headings``: the
    headings alone.
    """

    units: Sequence[Unit]
    titles: Sequence[frozenset[str]]
    own: Sequence[frozenset[str]]
    items: Sequence[tuple[frozenset[str], ...]]
    around: Sequence[frozenset[str]]
    headings: Sequence[frozenset[str]]
    bigrams: Sequence[frozenset[tuple[str, str]]]
    idf: Mapping[str, float]

    @classmethod
    def of(cls, units: Sequence[Unit], titles: Sequence[str]) -> Pool:
        """The pool of ``units``; ``titles`` by passage index."""
        listed = [terms(_own_text(unit)) for unit in units]
        own = [frozenset(found) for found in listed]
        headings = [frozenset(terms(unit.context)) for unit in units]
        counts = Counter(term for found in own for term in found)
        total = len(units)
        return cls(
            units=units,
            titles=[frozenset(terms(title)) for title in titles],
            own=own,
            items=[_items(unit) for unit in units],
            around=[
                found | frozenset(terms(_frame(unit)))
                for unit, found in zip(units, headings, strict=True)
            ],
            headings=headings,
            bigrams=[frozenset(pairwise(found)) for found in listed],
            idf={t: math.log(1 + (total - n + 0.5) / (n + 0.5)) for t, n in counts.items()},
        )

    def says(self, index: int, asked: Set[str]) -> Set[str]:
        """Those words of a question that the unit says: of a list its lead and the best item."""
        held = asked & self.own[index]
        best = max(
            (asked & item for item in self.items[index]),
            key=lambda found: sum(map(self.weight, sorted(found))),
            default=frozenset[str](),
        )
        return held | best

    def weight(self, term: str) -> float:
        """IDF of a term; one that no unit holds weighs as the rarest."""
        return self.idf.get(term, math.log(1 + (len(self.units) + 0.5) / 0.5))


def _own_text(unit: Unit) -> str:
    """A list is known by its lead and a row by its values: length must not win."""
    if unit.kind == "list":
        return unit.lead
    return " ".join(unit.items) if unit.kind == "row" else unit.text


def _items(unit: Unit) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(terms(item)) for item in unit.items) if unit.kind == "list" else ()


def _frame(unit: Unit) -> str:
    if unit.kind == "list":
        return " ".join(unit.items)
    return unit.lead


def by_words(pool: Pool, question: str, candidates: Sequence[int]) -> dict[int, float]:
    """Share of the question's words, weighted by IDF, that each candidate holds: in [0, 1]."""
    asked = terms(question)
    whole = sum(pool.weight(term) for term in set(asked)) or 1.0
    pairs = set(pairwise(asked))
    scores: dict[int, float] = {}
    for index in candidates:
        title = pool.titles[pool.units[index].passage]
        said = pool.says(index, set(asked))
        held = sum(
            pool.weight(term) * (1.0 if term in said else _share(pool, index, title, term))
            for term in set(asked)
        )
        phrase = len(pairs & pool.bigrams[index]) / len(pairs) if pairs else 0.0
        answers = _UNDER_HEADING * _under_heading(pool, index, set(asked), whole)
        scores[index] = min(1.0, held / whole + 0.15 * phrase + answers)
    return scores


def said_itself(pool: Pool, question: str, index: int) -> float:
    """Share of the question's words, weighted by IDF, that a reader of the unit sees in it: of a
    row its columns' names too."""
    asked = set(terms(question))
    unit = pool.units[index]
    seen = asked & set(terms(unit.lead)) if unit.kind == "row" else set()
    whole = sum(pool.weight(term) for term in asked) or 1.0
    return sum(pool.weight(term) for term in seen | pool.says(index, asked)) / whole


def _under_heading(pool: Pool, index: int, asked: set[str], whole: float) -> float:
    """How much the heading above asks the same, in [0, 1]: for what opens its section or
    shares a word with the question itself."""
    before = index - 1
    unit = pool.units[index]
    opens = (
        before < 0
        or pool.units[before].passage != unit.passage
        or pool.units[before].context != unit.context
    )
    if not opens and not asked & pool.own[index]:
        return 0.0
    under = sum(pool.weight(term) for term in asked & pool.headings[index]) / whole
    return max(0.0, 2 * under - 1)


def _share(pool: Pool, index: int, title: frozenset[str], term: str) -> float:
    """How much a word of the question counts that stands around the unit or in the title."""
    if term in pool.around[index]:
        return _CONTEXT
    return _TITLE if term in title else 0.0
