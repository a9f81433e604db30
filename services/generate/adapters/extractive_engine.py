"""The engine without a model: the passages' own sentences, chosen, arranged and cited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.generate import selection, units
from services.generate.answer import DraftRequest, EngineAnswer, Refusal
from services.generate.arrangement import Chosen, arrange
from services.generate.selection import FOREIGN, FRENCH, Pool, Scored
from services.generate.units import Unit
from shared.delivery import Unavailable
from shared.records import Check, Passage

VERSION = "extractive-1"
"""Raise with any change of the choice or arrangement: it is part of the drafts' identity."""
MAX_COMPARED = 28
"""Sentences compared as vectors for one e-mail: each costs model time."""
MAX_COMPARED_CHARS = 320

Cosines = dict[int, float]


class SentenceScorer(Protocol):
    """Compares questions with sentences by meaning."""

    async def cosines(
        self, questions: Sequence[str], sentences: Sequence[str]
    ) -> list[list[float]]:
        """One row per question, one cosine per sentence. Raises ``Unavailable``."""
        ...


class ExtractiveEngine:
    """Quotes; it never writes a statement of its own."""

    name = "extractive"
    fingerprint = VERSION

    def __init__(self, scorer: SentenceScorer) -> None:
        self._scorer = scorer
        self._started = False

    async def start(self) -> None:
        """Ready at once: there is nothing to load."""
        self._started = True

    async def stop(self) -> None:
        """Nothing to release."""
        self._started = False

    async def write(self, request: DraftRequest) -> EngineAnswer:
        """Parts for each question, or a refusal when no sentence has to do with any of them."""
        if not self._started:
            raise RuntimeError("the extractive engine is not started")
        pool = _pool(request.passages)
        asked = {index: _asked(request, index) for index in request.questions}
        first = {index: _score(pool, request, index, text) for index, text in asked.items()}
        cosines, checks = await self._compare(pool, asked, first)
        ranked = {
            index: _score(pool, request, index, text, cosines.get(index))
            for index, text in asked.items()
        }
        chosen = _choose(pool, ranked)
        unanswered = tuple(c.question for c in chosen if not c.units and not c.above)
        answered = [c for c in chosen if c.units or c.above]
        return EngineAnswer(
            engine=self.name,
            model=self.fingerprint,
            parts=arrange(pool, answered, request.mail.questions, request.language),
            refusal=None if answered else Refusal("unsupported"),
            unanswered=unanswered,
            checks=(*checks, *_instruction_check(request)),
        )

    async def _compare(
        self, pool: Pool, asked: Mapping[int, str], first: Mapping[int, list[Scored]]
    ) -> tuple[dict[int, Cosines], tuple[Check, ...]]:
        """Cosines by question and unit for the units best by words; none while embed is down."""
        numbers = _shortlist(first)
        if not numbers:
            return {}, ()
        sentences = [pool.units[number].text[:MAX_COMPARED_CHARS] for number in numbers]
        try:
            rows = await self._scorer.cosines(list(asked.values()), sentences)
        except Unavailable as error:
            detail = (
                f"Phrases choisies par les mots seulement, sans comparaison de sens ({error}) : "
                "vérifiez qu'elles répondent bien."
            )
            return {}, (Check(name="sentence-vectors", passed=False, detail=detail),)
        by_question = zip(asked, rows, strict=True)
        return {index: dict(zip(numbers, row, strict=True)) for index, row in by_question}, ()


def _pool(passages: Sequence[Passage]) -> Pool:
    found: list[Unit] = []
    for index, passage in enumerate(passages):
        found += units.of_passage(
            index, passage.text, passage.heading_path, from_middle=passage.start > 0
        )
    return Pool.of(found, [passage.title for passage in passages])


def _asked(request: DraftRequest, index: int) -> str:
    """The question, with the agent's wish when there is one: its words draw sentences too."""
    return f"{request.mail.questions[index]} {request.instruction}".strip()


def _score(
    pool: Pool,
    request: DraftRequest,
    index: int,
    question: str,
    cosines: Mapping[int, float] | None = None,
) -> list[Scored]:
    weights = FRENCH if request.language == "fr" else FOREIGN
    return selection.score(pool, question, _ranks(request.passages, index), cosines, weights)


def _ranks(passages: Sequence[Passage], question: int) -> dict[int, int]:
    """Rank of each passage that found the question; all passages when none says so."""
    own = [i for i, passage in enumerate(passages) if question in passage.questions]
    return {index: rank for rank, index in enumerate(own or range(len(passages)))}


def _shortlist(first: Mapping[int, list[Scored]]) -> list[int]:
    """Units worth comparing: the best of each question in turn, at most ``MAX_COMPARED``."""
    numbers: dict[int, None] = {}
    for rank in range(MAX_COMPARED):
        for ranking in first.values():
            if rank < len(ranking) and len(numbers) < MAX_COMPARED:
                numbers.setdefault(ranking[rank].unit)
    return sorted(numbers)


def _choose(pool: Pool, ranked: Mapping[int, list[Scored]]) -> list[Chosen]:
    """Units by question, none of them twice."""
    chosen: list[Chosen] = []
    taken: list[int] = []
    for index, ranking in ranked.items():
        numbers = selection.choose(pool, ranking, taken)
        again = not numbers and bool(selection.choose(pool, ranking))
        chosen.append(Chosen(index, tuple(numbers), above=again))
        taken += numbers
    return chosen


def _instruction_check(request: DraftRequest) -> tuple[Check, ...]:
    if not request.instruction:
        return ()
    detail = (
        "Le moteur extractif ne rédige pas : la consigne a seulement orienté le choix des phrases."
    )
    return (Check(name="instruction", passed=False, detail=detail),)
