"""The engine without a model: the passages' own sentences, chosen, arranged and cited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from services.generate import asking, selection, units
from services.generate.adapters.prompt_files import PromptFiles
from services.generate.answer import DraftRequest, EngineAnswer, Refusal
from services.generate.arrangement import Chosen, arrange
from services.generate.pool import Pool
from services.generate.selection import FOREIGN, FRENCH, Scored
from services.generate.units import Unit
from shared.delivery import Unavailable
from shared.records import Check, Passage

VERSION = "extractive-2"
"""Raise with any change of the choice or arrangement: it is part of the drafts' identity."""
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
MAX_UNITS_A_FACET = 3
"""Units for each of several questions that one sentence puts together."""
SURE_EVIDENCE = 0.88
"""Evidence from which sentences need not take up the question's words to be quoted."""

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


class ExtractiveEngine:
    """Quotes; it never writes a statement of its own."""

    name = "extractive"
    fingerprint = VERSION

    def __init__(self, scorer: SentenceScorer, prompts: PromptFiles) -> None:
        self._scorer = scorer
        self._prompts = prompts
        self.prompt = prompts.fingerprint
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
        asked = [facet for index in request.questions for facet in _facets(request, index)]
        first = [_score(pool, request, facet) for facet in asked]
        cosines, checks = await self._compare(pool, request, asked, first)
        ranked = [
            _score(pool, request, facet, row) for facet, row in zip(asked, cosines, strict=True)
        ]
        chosen = _well_founded(request, asked, ranked, _choose(pool, asked, ranked))
        unanswered = tuple(c.question for c in chosen if not c.units and not c.above)
        answered = [c for c in chosen if c.units or c.above]
        return EngineAnswer(
            engine=self.name,
            model=self.fingerprint,
            parts=arrange(pool, answered, request.mail.questions, request.language),
            refusal=None if answered else Refusal("unsupported"),
            unanswered=unanswered,
            checks=(*checks, *_instruction_check(request)),
            # Nobody was asked, but its corrections become pairs with the prompt of a model.
            messages=self._prompts.messages(request),
            prompt=self.prompt,
        )

    async def _compare(
        self,
        pool: Pool,
        request: DraftRequest,
        asked: Sequence[Facet],
        first: Sequence[list[Scored]],
    ) -> tuple[list[Cosines], tuple[Check, ...]]:
        """Cosines by facet and unit for the units best by words; none while embed is down."""
        numbers = _shortlist(pool, request, first)
        if not numbers:
            return [{} for _ in asked], ()
        sentences = [pool.units[number].text[:MAX_COMPARED_CHARS] for number in numbers]
        try:
            rows = await self._scorer.cosines([facet.text for facet in asked], sentences)
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


def _choose(pool: Pool, asked: Sequence[Facet], ranked: Sequence[list[Scored]]) -> list[Chosen]:
    """Units by question, none of them twice."""
    chosen: dict[int, Chosen] = {}
    taken: list[int] = []
    facets = Counter(facet.question for facet in asked)
    for facet, ranking in zip(asked, ranked, strict=True):
        before = chosen.get(facet.question, Chosen(facet.question))
        if ranking and ranking[0].unit in before.units:
            # The question's other half has the same answer: a lesser one would only blur it.
            continue
        most = selection.MAX_UNITS if facets[facet.question] == 1 else MAX_UNITS_A_FACET
        elsewhere = _reserved(facet, ranking, asked, ranked)
        numbers = selection.choose(pool, ranking, [*taken, *elsewhere], most)
        if facets[facet.question] == 1:
            numbers = selection.continued(pool, numbers, taken)
        again = not numbers and bool(selection.choose(pool, ranking))
        units = (*before.units, *numbers)
        chosen[facet.question] = Chosen(
            facet.question, units, above=not units and (again or before.above)
        )
        taken += numbers
    return list(chosen.values())


def _reserved(
    facet: Facet, own: Sequence[Scored], asked: Sequence[Facet], ranked: Sequence[list[Scored]]
) -> list[int]:
    """The best units of the other questions, which are to be quoted there."""
    best = own[0].unit if own else -1
    others = (
        r[0].unit for f, r in zip(asked, ranked, strict=True) if f.question != facet.question and r
    )
    return [unit for unit in others if unit != best]


def _well_founded(
    request: DraftRequest,
    asked: Sequence[Facet],
    ranked: Sequence[list[Scored]],
    chosen: Sequence[Chosen],
) -> list[Chosen]:
    """``chosen`` without the units of a question that its passages answer by their topic only."""
    if not request.evidence or request.language != "fr":
        return list(chosen)
    kept: list[Chosen] = []
    for answer in chosen:
        rankings = [r for facet, r in zip(asked, ranked, strict=True) if _of(facet, answer)]
        sure = request.evidence[answer.question] >= SURE_EVIDENCE
        told = sure or any(selection.speaks_to(ranking, answer.units) for ranking in rankings)
        kept.append(answer if told or answer.above else Chosen(answer.question))
    return kept


def _of(facet: Facet, answer: Chosen) -> bool:
    return facet.question == answer.question


def _instruction_check(request: DraftRequest) -> tuple[Check, ...]:
    if not request.instruction:
        return ()
    detail = (
        "Le moteur extractif ne rédige pas : la consigne a seulement orienté le choix des phrases."
    )
    return (Check(name="instruction", passed=False, detail=detail),)
