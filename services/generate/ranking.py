"""The sentences of an e-mail's passages, ranked for each thing that it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from services.generate import asking, selection, units
from services.generate.answer import DraftRequest
from services.generate.pool import Pool
from services.generate.selection import FOREIGN, FRENCH, Scored
from services.generate.units import Unit
from shared.delivery import Unavailable
from shared.records import Check, Passage

MAX_COMPARED = 6
"""Sentences compared as vectors for one question. Each costs model time, and the answer was among
the sentences chosen for 81 % of 150 questions of PIAF with 6 or 10, 71 % with none."""
MAX_COMPARED_MORE = 3
"""Further sentences for each further question…"""
MAX_COMPARED_ALL = 16
"""… and the most for one e-mail."""
MAX_COMPARED_FOREIGN = 16
"""For an e-mail in another language, where words in common tell little…"""
MAX_COMPARED_A_PASSAGE = 3
"""… and the sentences of each passage are compared by turns."""
MAX_COMPARED_CHARS = 200

Cosines = dict[int, float]


@dataclass(frozen=True, slots=True)
class Facet:
    """One thing that question number ``question`` of the e-mail asks."""

    question: int
    text: str


class SentenceScorer(Protocol):
    """Compares questions with sentences by meaning."""

    async def cosines(
        self, questions: Sequence[str], sentences: Sequence[str]
    ) -> list[list[float]]:
        """One row per question, one cosine per sentence. Raises ``Unavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class Ranking:
    """Units of ``pool`` for each facet in ``asked``, best first; ``checks`` say what went wrong."""

    pool: Pool
    asked: tuple[Facet, ...]
    ranked: tuple[list[Scored], ...]
    checks: tuple[Check, ...] = ()

    def only(self, questions: Collection[int]) -> Ranking:
        """Without the facets of other questions, and without the checks, which are told once."""
        kept = [n for n, facet in enumerate(self.asked) if facet.question in questions]
        return Ranking(
            self.pool, tuple(self.asked[n] for n in kept), tuple(self.ranked[n] for n in kept)
        )


async def rank(request: DraftRequest, scorer: SentenceScorer) -> Ranking:
    """By words, then also by meaning for the units best by words; embed may be down.

    What the request brings along is not done again.
    """
    if request.ranking is not None:
        return request.ranking
    pool = _pool(request.passages)
    asked = tuple(facet for index in request.questions for facet in _facets(request, index))
    first = [_score(pool, request, facet) for facet in asked]
    cosines, checks = await _compare(pool, request, asked, first, scorer)
    ranked = (_score(pool, request, f, row) for f, row in zip(asked, cosines, strict=True))
    return Ranking(pool, asked, tuple(ranked), checks)


async def _compare(
    pool: Pool,
    request: DraftRequest,
    asked: Sequence[Facet],
    first: Sequence[list[Scored]],
    scorer: SentenceScorer,
) -> tuple[list[Cosines], tuple[Check, ...]]:
    """Cosines by facet and unit for the units best by words; none while embed is down."""
    numbers = _shortlist(pool, request, first)
    if not numbers:
        return [{} for _ in asked], ()
    sentences = [pool.units[number].text[:MAX_COMPARED_CHARS] for number in numbers]
    try:
        rows = await scorer.cosines([facet.text for facet in asked], sentences)
    except Unavailable as error:
        detail = (
            f"Phrases choisies par les mots seulement, sans comparaison de sens ({error}) : "
            "vérifiez qu'elles répondent bien."
        )
        check = Check(name="sentence-vectors", passed=False, detail=detail)
        return [{} for _ in asked], (check,)
    return [dict(zip(numbers, row, strict=True)) for row in rows], ()


def _pool(passages: Sequence[Passage]) -> Pool:
    found: list[Unit] = []
    for index, passage in enumerate(passages):
        found += units.of_passage(
            index, passage.text, passage.heading_path, from_middle=passage.start > 0
        )
    return Pool.of(found, [passage.title for passage in passages])


def _facets(request: DraftRequest, index: int) -> list[Facet]:
    """What a question asks, with the agent's wish if any: its words draw sentences too."""
    facets = asking.facets(request.mail.questions[index])
    return [Facet(index, f"{text} {request.instruction}".strip()) for text in facets]


def _score(
    pool: Pool, request: DraftRequest, facet: Facet, cosines: Mapping[int, float] | None = None
) -> list[Scored]:
    weights = FRENCH if request.language == "fr" else FOREIGN
    ranks = _ranks(request.passages, facet.question)
    return selection.score(pool, facet.text, ranks, cosines, weights, request.mail.new_text)


def _ranks(passages: Sequence[Passage], question: int) -> dict[int, int]:
    """Rank of each passage that found the question; all passages when none says so."""
    own = [i for i, passage in enumerate(passages) if question in passage.questions]
    return {index: rank for rank, index in enumerate(own or range(len(passages)))}


def _shortlist(pool: Pool, request: DraftRequest, first: Sequence[list[Scored]]) -> list[int]:
    """Units worth comparing: the best of each facet in turn."""
    foreign = request.language != "fr"
    most = min(MAX_COMPARED + MAX_COMPARED_MORE * (len(first) - 1), MAX_COMPARED_ALL)
    most = MAX_COMPARED_FOREIGN if foreign else most
    each = MAX_COMPARED_A_PASSAGE if foreign else most
    numbers: dict[int, None] = {}
    passages: Counter[int] = Counter()
    for turn in zip_longest(*first):
        for scored in turn:
            if scored is None or scored.unit in numbers or len(numbers) == most:
                continue
            passage = pool.units[scored.unit].passage
            if passages[passage] < each:
                passages[passage] += 1
                numbers[scored.unit] = None
    return sorted(numbers)
