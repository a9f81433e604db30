"""Which units of the passages answer a question: scores first, then the choice.

The score of a unit is a weighted sum of shares in [0, 1]: words in common with the question
(IDF over the units given), closeness of sentence vectors, rank of its passage, and whether it
looks like the kind of answer asked for.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from services.generate import asking, ranges, sentences
from services.generate.french import terms
from services.generate.pool import Pool, by_words, said_itself
from services.generate.units import Unit

MAX_UNITS = 4
MAX_CHARS = 900
_KEEP = 0.76
"""Share of the best unit's matter that a further unit must reach…"""
_KEEP_NEXT = 0.55
"""… and one that stands next to a chosen unit."""
_LEAST_FIRST = 0.5
"""Share of the most matter that any unit must reach: rank and kind do not make an answer."""
_ALONE = 240
"""Characters up to which a sentence alone is followed by the next one of its paragraph."""
_SAME = 0.75
"""Overlap of words beyond which two units say the same."""
_ASKING = 0.35
"""Share of the asking sentence's own words where the question carries what was told before."""
_SIZE = 0.15
"""For naming the very size asked about (« une commune de 3 200 habitants »)."""
_ASIDE = 0.4
"""For sentences about the document itself, and for worked examples."""
_SAME_ROW = 0.97
"""Share of the best row's words that another row of its table must reach."""
_LEAST_OWN = 0.1
"""Share of the question's words that a unit must say itself to have to do with it…"""
_LEAST_SHARED = 0.3
"""… or with its headings, as the « Oui. » under a question…"""
_LEAST_COSINE = 0.82
"""… or its cosine: multilingual-e5 puts unrelated French sentences below this one."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the parts of a score; ``vector`` goes to ``words`` when there are no vectors."""

    words: float = 0.42
    vector: float = 0.30
    rank: float = 0.16
    kind: float = 0.12


FRENCH = Weights()
FOREIGN = Weights(words=0.14, vector=0.66, rank=0.12, kind=0.08)
"""For questions in another language than the documents: few words are shared."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A unit's number in the pool with its scores for one question."""

    unit: int
    words: float
    total: float
    cosine: float | None = None
    own: float = 0.0
    """The part of ``words`` that the unit itself says, without headings and title."""
    matter: float = 0.0
    """Words and meaning only: whether to quote it does not hang on its passage's rank."""


def score(
    pool: Pool,
    question: str,
    ranks: Mapping[int, int],
    cosines: Mapping[int, float] | None = None,
    weights: Weights = FRENCH,
    background: str = "",
) -> list[Scored]:
    """Units for one question, best first.

    ``ranks``: rank (0 best) of each passage that found the question; other passages are left
    out. ``cosines``: by unit number, for the units that were compared as vectors;
    ``background``: the e-mail's own text, for a size that the question leaves out.
    """
    candidates = [i for i, unit in enumerate(pool.units) if unit.passage in ranks]
    asking_it = asking.last_sentence(question)
    wanted, asked = asking.kinds(asking_it), frozenset(terms(asking_it))
    words = _words(pool, question, asking_it, candidates)
    own = {index: said_itself(pool, question, index) for index in candidates}
    near = _spread(cosines or {})
    texts = {index: pool.units[index].text for index in candidates}
    sizes = ranges.agreeing(ranges.bands(question) or ranges.bands(background), texts)
    tables = {pool.units[index].lead for index, right in sizes.items() if right} - {""}
    found = []
    for index in candidates:
        unit = pool.units[index]
        right_size = sizes.get(index)
        # Where one row of a table is for the size asked about, the others are for other askers.
        other_row = unit.kind == "row" and unit.lead in tables and not right_size
        if asking.disclaims(unit) or right_size is False or other_row or _cut_off(unit, asked):
            continue
        near_it = near.get(index, 0.0) if cosines else words[index]
        matter = weights.words * words[index] + weights.vector * near_it
        matter = (matter + (_SIZE if right_size else 0.0)) * _worth(unit, question)
        rank = weights.rank / (1 + 0.5 * ranks[unit.passage])
        total = matter + rank + weights.kind * asking.fits(wanted, _as_quoted(unit, asked))
        cosine = cosines.get(index) if cosines else None
        found.append(Scored(index, words[index], total, cosine, own[index], matter))
    return sorted(found, key=lambda s: (-s.total, s.unit))


def _worth(unit: Unit, question: str) -> float:
    aside = asking.speaks_of_itself(unit) or asking.illustrates(question, unit)
    return _ASIDE if aside else 1.0


def _words(
    pool: Pool, question: str, asking_it: str, candidates: Sequence[int]
) -> dict[int, float]:
    """What the e-mail told before sets the scene; the answer is to what it asks."""
    whole = by_words(pool, question, candidates)
    if asking_it == question:
        return whole
    asked = by_words(pool, asking_it, candidates)
    return {index: whole[index] + _ASKING * (asked[index] - whole[index]) for index in candidates}


def _as_quoted(unit: Unit, asked: frozenset[str]) -> Unit:
    """The unit without the « Oui. » that another question got."""
    if not unit.verdict or unit.answers_heading(asked):
        return unit
    return replace(unit, text=unit.without_verdict())


def _cut_off(unit: Unit, asked: frozenset[str]) -> bool:
    """Whether the unit goes on from a « Oui » that another question got."""
    return unit.verdict and not unit.answers_heading(asked) and not unit.without_verdict()


def _spread(cosines: Mapping[int, float]) -> dict[int, float]:
    """Cosines stretched to [0, 1]: those of e5 all lie within a narrow band."""
    if not cosines:
        return {}
    # A little below the lowest: what is compared was chosen for its words and keeps some worth.
    low, high = min(cosines.values()) - 0.02, max(cosines.values())
    width = high - low
    return {index: (value - low) / width for index, value in cosines.items()}


def choose(
    pool: Pool, ranking: Sequence[Scored], taken: Sequence[int] = (), most: int = MAX_UNITS
) -> list[int]:
    """Numbers of the units that answer, best first; empty when none does.

    ``taken``: units already quoted, not to be said again; ``most``: how many units at the most.
    """
    bearing = [scored for scored in ranking if _bears(scored)]
    most_matter = max((scored.matter for scored in bearing), default=0.0)
    left = [
        scored
        for scored in bearing
        if scored.matter >= _LEAST_FIRST * most_matter and not said(pool, scored.unit, taken)
    ]
    if not left:
        return []
    known = {scored.unit for scored in ranking}
    best = max(left[0].matter, 1e-9)
    ranking = left
    chosen: list[int] = []
    for scored in ranking:
        touching = _touches(pool, chosen, scored.unit)
        bar = (_KEEP_NEXT if touching else _KEEP) * best
        lesser = scored.matter < bar or _lesser_row(pool, scored, ranking)
        if chosen and lesser:
            continue
        group = with_antecedent(pool, scored.unit, known)
        new = [unit for unit in group if unit not in chosen]
        if (
            new
            and not said(pool, scored.unit, [*chosen, *taken])
            and _fits(pool, chosen, new, most)
        ):
            chosen += new
    return chosen or []


def continued(pool: Pool, chosen: Sequence[int], taken: Sequence[int] = ()) -> list[int]:
    """``chosen``, with the sentence that goes on when a single short one stands alone."""
    if len(chosen) != 1 or pool.units[chosen[0]].kind != "sentence":
        return list(chosen)
    following = chosen[0] + 1
    if following >= len(pool.units) or len(pool.units[chosen[0]].text) > _ALONE:
        return list(chosen)
    first, second = pool.units[chosen[0]], pool.units[following]
    goes_on = (first.passage, first.block) == (second.passage, second.block)
    if not goes_on or asking.disclaims(second) or said(pool, following, [*chosen, *taken]):
        return list(chosen)
    return [*chosen, following]


def _fits(pool: Pool, chosen: Sequence[int], new: Sequence[int], most: int) -> bool:
    """Whether ``new`` may still be said; the first choice always may."""
    size = sum(min(len(pool.units[unit].text), MAX_CHARS) for unit in [*chosen, *new])
    return not chosen or (len(chosen) + len(new) <= most and size <= MAX_CHARS)


def _bears(scored: Scored) -> bool:
    """Whether a unit has to do with the question at all."""
    near = scored.cosine is not None and scored.cosine >= _LEAST_COSINE
    return near or scored.own >= _LEAST_OWN or scored.words >= _LEAST_SHARED


def with_antecedent(pool: Pool, index: int, known: Container[int]) -> list[int]:
    """The unit, after those of its block that it leans on; empty when they cannot be had."""
    group = [index]
    while sentences.leans(pool.units[group[0]].text):
        before = group[0] - 1
        first = pool.units[group[0]]
        same = before >= 0 and pool.units[before].passage == first.passage
        close = same and first.block - pool.units[before].block <= 1
        same_heading = close and pool.units[before].context == first.context
        if not same_heading or len(group) == 3 or before not in known:
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


def _lesser_row(pool: Pool, scored: Scored, ranking: Sequence[Scored]) -> bool:
    """Whether another row of the same table fits the question better."""
    unit = pool.units[scored.unit]
    if unit.kind != "row":
        return False
    rows = (s for s in ranking if pool.units[s.unit].kind == "row")
    best = max(s.words for s in rows if pool.units[s.unit].passage == unit.passage)
    return scored.words < _SAME_ROW * best


def said(pool: Pool, index: int, others: Sequence[int]) -> bool:
    """Whether ``others`` say in about the same words what unit ``index`` says."""
    if pool.units[index].kind == "row":
        # Rows of a table differ in few words, and those matter.
        return any(pool.units[other].text == pool.units[index].text for other in others)
    mine = pool.own[index]
    for other in others:
        if pool.units[index].text == pool.units[other].text:
            return True
        shared = len(mine & pool.own[other])
        if shared >= _SAME * min(len(mine), len(pool.own[other])) and shared > 2:
            return True
    return False
