"""The engine without a model: the passages' own sentences, chosen, arranged and cited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from services.generate import selection
from services.generate.adapters.prompt_files import PromptFiles
from services.generate.answer import DraftRequest, EngineAnswer, Refusal
from services.generate.arrangement import Chosen, arrange
from services.generate.pool import Pool
from services.generate.prompting import of_passages
from services.generate.ranking import Facet, SentenceScorer, rank
from services.generate.selection import Scored
from shared.records import Check

VERSION = "extractive-3"
"""Raise with any change of the choice or arrangement: it is part of the drafts' identity."""
MAX_UNITS_A_FACET = 3
"""Units for each of several questions that one sentence puts together."""
CONTEXT_TOKENS = 5000
"""Of the prompt that its drafts keep: that of a general model."""


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
        found = await rank(request, self._scorer)
        pool, asked, ranked = found.pool, found.asked, found.ranked
        chosen = _choose(pool, asked, ranked)
        unanswered = tuple(c.question for c in chosen if not c.units and not c.above)
        answered = [c for c in chosen if c.units or c.above]
        return EngineAnswer(
            engine=self.name,
            model=self.fingerprint,
            parts=arrange(pool, answered, request.mail.questions, request.language),
            refusal=None if answered else Refusal("unsupported"),
            unanswered=unanswered,
            checks=(*found.checks, *_instruction_check(request)),
            # Nobody was asked, but its corrections become pairs with the prompt of a model.
            messages=self._prompts.messages(of_passages(request, "parts", CONTEXT_TOKENS)),
            prompt=self.prompt,
        )


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


def _instruction_check(request: DraftRequest) -> tuple[Check, ...]:
    if not request.instruction:
        return ()
    detail = (
        "Le moteur extractif ne rédige pas : la consigne a seulement orienté le choix des phrases."
    )
    return (Check(name="instruction", passed=False, detail=detail),)
