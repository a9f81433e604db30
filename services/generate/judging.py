"""What a judge reads, what it says, and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.generate import checks
from services.generate.answer import DraftRequest, EngineAnswer, EngineFailed
from services.generate.prompting import data
from shared.records import Check

_MAX_OBJECTION = 300

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "unsupported": {"type": "array", "maxItems": 12, "items": {"type": "integer"}},
        "unanswered": {"type": "array", "maxItems": 6, "items": {"type": "integer"}},
        "objection": {"type": "string", "maxLength": _MAX_OBJECTION},
    },
    "required": ["unsupported", "unanswered", "objection"],
    "additionalProperties": False,
}
"""JSON Schema of a judgement: numbers of statements and of questions, and why in one sentence."""


@dataclass(frozen=True, slots=True)
class Case:
    """A draft to judge: statements each with the text of its passages, and the questions that
    it is to answer. All of it is data that others wrote, unable to imitate a prompt's tags."""

    questions: tuple[str, ...]
    statements: tuple[str, ...]
    grounds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Indices (from 0) of the statements that their passages do not support and of the questions
    that no statement answers; with the shares that RAGAS calls faithfulness and answer relevance:
    ``groundedness`` and ``relevance`` in [0, 1]."""

    unsupported: tuple[int, ...]
    unanswered: tuple[int, ...]
    groundedness: float
    relevance: float
    objection: str = ""

    @property
    def least(self) -> float:
        """The worse of the two shares."""
        return min(self.groundedness, self.relevance)


class Judge(Protocol):
    """Reads a draft. Raises ``Unavailable`` while it is down, ``EngineFailed`` for nonsense."""

    async def judge(self, case: Case) -> Verdict: ...


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore")
    unsupported: list[int] = Field(default_factory=list)
    unanswered: list[int] = Field(default_factory=list)
    objection: str = ""


def case(request: DraftRequest, answer: EngineAnswer) -> Case:
    """What the judge is shown of a draft."""
    stated = [part for part in answer.parts if not part.connective]
    open_too = set(answer.unanswered)
    return Case(
        questions=tuple(
            data(request.mail.questions[i]) for i in request.questions if i not in open_too
        ),
        statements=tuple(data(part.text) for part in stated),
        grounds=tuple(
            "\n".join(data(request.passages[i].text) for i in part.citations) for part in stated
        ),
    )


def read(raw: str, asked: Case) -> Verdict:
    """The verdict in a model's JSON. Raises ``EngineFailed`` when it is none of this case."""
    try:
        said = _Said.model_validate(json.loads(raw))
    except (json.JSONDecodeError, ValidationError, RecursionError) as error:
        raise EngineFailed("avis hors du format JSON demandé") from error
    unsupported = _indices(said.unsupported, len(asked.statements))
    unanswered = _indices(said.unanswered, len(asked.questions))
    return Verdict(
        unsupported=unsupported,
        unanswered=unanswered,
        groundedness=1 - len(unsupported) / max(1, len(asked.statements)),
        relevance=1 - len(unanswered) / max(1, len(asked.questions)),
        objection=" ".join(said.objection.split())[:_MAX_OBJECTION],
    )


def _indices(numbers: Sequence[int], count: int) -> tuple[int, ...]:
    found = tuple(sorted({number - 1 for number in numbers}))
    if any(not 0 <= index < count for index in found):
        raise EngineFailed("avis sur un énoncé ou une question qui n'existe pas")
    return found


def objection(request: DraftRequest, verdict: Verdict) -> str:
    """The instruction with which the engine is asked again: the agent's wish stays."""
    wish = f"Corrige une première version. Un relecteur lui reproche : {verdict.objection}"
    return f"{request.instruction} {wish}".strip()


def repaired(verdict: Verdict) -> str:
    """Tells the reviewer that this is a second version."""
    return f"Projet réécrit après l'avis du modèle relecteur : « {verdict.objection} »"


def applied(answer: EngineAnswer, verdict: Verdict, least: float) -> EngineAnswer:
    """The answer without the statements that the judge finds unsupported, when it objects.

    With too few questions answered there is no draft: its parts go all.
    """
    parts = answer.parts
    if verdict.groundedness < least:
        stated = [index for index, part in enumerate(parts) if not part.connective]
        gone = {stated[index] for index in verdict.unsupported}
        parts = checks.without_idle_connectives(
            [part for index, part in enumerate(parts) if index not in gone]
        )
    if verdict.relevance < least:
        parts = ()
    said = Check(
        name="judge",
        passed=verdict.least >= least,
        detail=_detail(answer, verdict, parts != answer.parts),
    )
    return replace(answer, parts=parts, checks=(*answer.checks, said))


def _detail(answer: EngineAnswer, verdict: Verdict, removed: bool) -> str:
    told = (
        f"Modèle relecteur : appui sur les passages {verdict.groundedness:.2f}, réponse aux "
        f"questions {verdict.relevance:.2f}."
    )
    if verdict.objection and verdict.least < 1:
        told = f"{told} Il objecte : « {verdict.objection} »"
    return f"{told} Les énoncés en cause ont été retirés." if removed else told
