"""An engine's answer against its sources: what does not hold is taken out, all of it is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from services.generate import checks, citations, judging, leaking, support, wording
from services.generate.answer import DraftRequest, EngineAnswer, EngineFailed, EnginePart
from services.generate.checks import Grounds
from services.generate.judging import Judge, Verdict
from services.generate.ranking import SentenceScorer
from shared.delivery import Unavailable
from shared.records import Check

Write = Callable[[DraftRequest], Awaitable[EngineAnswer]]
COMPARED_AT_ONCE = 48
"""Sentences compared as vectors by one request to embed."""


@dataclass(frozen=True, slots=True)
class JudgeRules:
    """``least``: groundedness and relevance in [0, 1] below which a draft is asked for again,
    at most ``repairs`` times, and then loses what the judge objects to."""

    least: float = 0.6
    repairs: int = 1


class Verifier:
    """Checks answers; with a ``judge`` they are also read by a model."""

    def __init__(
        self,
        scorer: SentenceScorer,
        judge: Judge | None = None,
        rules: JudgeRules = JudgeRules(),
    ) -> None:
        self._scorer = scorer
        self._judge = judge
        self._rules = rules

    async def verify(
        self, request: DraftRequest, answer: EngineAnswer, write: Write
    ) -> EngineAnswer:
        """``answer`` with the parts that stand and all checks; without parts when none does.

        ``write`` asks the engine again, which only the judge may wish.
        """
        return _named(request, await self._verified(request, answer, write))

    async def _verified(
        self, request: DraftRequest, answer: EngineAnswer, write: Write
    ) -> EngineAnswer:
        checked = await self._checked(request, answer)
        if self._judge is None or not _states(checked):
            return checked
        verdict = await self._judged(request, checked)
        for _ in range(self._rules.repairs):
            if isinstance(verdict, Check) or verdict.least >= self._rules.least:
                break
            better = await self._repaired(request, checked, verdict, write)
            if better is None:
                break
            checked, verdict = better, await self._judged(request, better)
        if isinstance(verdict, Check):
            return replace(checked, checks=(*checked.checks, verdict))
        return judging.applied(checked, verdict, self._rules.least)

    async def _checked(self, request: DraftRequest, answer: EngineAnswer) -> EngineAnswer:
        parts, dropped = citations.within(answer.parts, len(request.passages))
        grounds = _grounds(request, answer)
        cosines, told = await self._cosines(parts, grounds)
        kept, found = checks.examine(parts, replace(grounds, cosines=cosines), dropped)
        return replace(answer, parts=kept, checks=(*answer.checks, *found, *told))

    async def _cosines(
        self, parts: Sequence[EnginePart], grounds: Grounds
    ) -> tuple[dict[int, float], tuple[Check, ...]]:
        """Of each statement that its words alone do not settle, with its nearest sentence."""
        near = _doubtful(parts, grounds)
        sentences = list(dict.fromkeys(text for found in near.values() for text in found))
        if not sentences:
            return {}, ()
        place = {text: column for column, text in enumerate(sentences)}
        texts = [parts[index].text[: support.MAX_CHARS] for index in near]
        rows: list[list[float]] = [[] for _ in texts]
        try:
            for start in range(0, len(sentences), COMPARED_AT_ONCE):
                piece = sentences[start : start + COMPARED_AT_ONCE]
                for row, more in zip(rows, await self._scorer.cosines(texts, piece), strict=True):
                    row += more
        except Unavailable as error:
            return {}, (_by_words_alone(len(texts), error),)
        return {
            index: max(row[place[sentence]] for sentence in mine)
            for (index, mine), row in zip(near.items(), rows, strict=True)
        }, ()

    async def _judged(self, request: DraftRequest, answer: EngineAnswer) -> Verdict | Check:
        assert self._judge is not None  # noqa: S101 - verify() looked
        try:
            return await self._judge.judge(judging.case(request, answer))
        except (Unavailable, EngineFailed) as error:
            detail = f"Le modèle relecteur n'a pas rendu d'avis ({error}) : relisez avec attention."
            return Check(name="judge", passed=False, detail=detail)

    async def _repaired(
        self, request: DraftRequest, answer: EngineAnswer, verdict: Verdict, write: Write
    ) -> EngineAnswer | None:
        """A new answer that heeds the judge; ``None`` when the engine cannot or gives nothing."""
        if not answer.raw:
            return None  # no model wrote it, so none can word it better
        wish = judging.objection(request, verdict)
        try:
            again = await write(replace(request, instruction=wish, ranking=None))
        except (Unavailable, EngineFailed):
            return None
        if not again.raw:
            return None  # another engine stepped in: that is no better wording of this draft
        checked = await self._checked(request, again)
        if again.refusal is not None or not _states(checked):
            return None
        said = Check(name="repair", passed=True, detail=judging.repaired(verdict))
        return replace(checked, checks=(*checked.checks, said))


def _named(request: DraftRequest, answer: EngineAnswer) -> EngineAnswer:
    """``answer`` with the questions that lost their last statement among the unanswered."""
    held = {part.question for part in answer.parts} - {None}
    if not held:
        return answer
    lost = (index for index in request.questions if index not in held)
    return replace(answer, unanswered=tuple(sorted({*answer.unanswered, *lost})))


def _grounds(request: DraftRequest, answer: EngineAnswer) -> Grounds:
    return Grounds(
        passages=request.passages,
        mail_text=f"{request.mail.subject}\n{request.mail.new_text}",
        earlier=request.mail.earlier,
        prompt=leaking.instructions(answer.messages),
        language=request.language,
        mail_language=request.mail.language,
        quotes=any(p.connective and p.text == wording.french_quotes() for p in answer.parts),
    )


def _doubtful(parts: Sequence[EnginePart], grounds: Grounds) -> dict[int, list[str]]:
    """Sentences to compare with, by index of statement."""
    near: dict[int, list[str]] = {}
    for index, part in enumerate(parts):
        if part.connective or not part.citations:
            continue
        words = support.by_words(part, grounds.passages)
        if grounds.foreign or words < support.SURE_WORDS:
            most = support.COMPARED_A_PASSAGE * (4 if grounds.foreign else 1)
            near[index] = support.nearest(part, grounds.passages, most)
    return near


def _by_words_alone(count: int, error: Unavailable) -> Check:
    detail = (
        f"{count} énoncé(s) comparé(s) aux passages par les mots seulement, sans comparaison de "
        f"sens ({error}) : vérifiez-les."
    )
    return Check(name="support-vectors", passed=False, detail=detail)


def _states(answer: EngineAnswer) -> bool:
    return any(not part.connective for part in answer.parts)
