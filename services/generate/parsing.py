"""A model's answer, in the form it was asked for, into parts or a refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from services.generate import marking, selecting, wording
from services.generate.answer import EngineFailed, EnginePart, Refusal, RefusalReason
from services.generate.french import terms
from services.generate.marking import Statement
from services.generate.prompting import Layout
from services.generate.schemas import MAX_PARTS, REFUSALS

_JSON = re.compile(r"\{.*\}", re.DOTALL)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")
    text: str
    citations: list[int] = Field(default_factory=list)
    question: int | None = None


class _Answer(BaseModel):
    """Read leniently: not every endpoint decodes under the schema."""

    model_config = ConfigDict(extra="ignore")
    parts: Annotated[list[_Part], Field(max_length=100)] | None = None
    refusal: str | None = None


_PICKS: TypeAdapter[dict[str, list[int]]] = TypeAdapter(dict[str, list[int]])


@dataclass(frozen=True, slots=True)
class Read:
    """Parts, or a refusal; ``unanswered``: indices of questions that the model left open."""

    parts: tuple[EnginePart, ...] = ()
    refusal: Refusal | None = None
    unanswered: tuple[int, ...] = ()


def read(raw: str, layout: Layout) -> Read:
    """What ``raw`` says in the form of ``layout``. Raises ``EngineFailed``, and nothing else.

    Numbers that the prompt did not give become passage −1, which there is none.
    """
    match layout.form:
        case "parts":
            return _read_parts(raw, layout)
        case "marks":
            return _read_marks(raw, layout)
        case "select":
            return _read_picks(raw, layout)


def so_far(raw: str, layout: Layout) -> str:
    """What a reader may see of an answer that is being written."""
    match layout.form:
        case "parts":
            told = _partial(raw).get("parts")
            listed = told if isinstance(told, list) else []
            parts = [part for part in listed if isinstance(part, dict)]
            return "\n\n".join(str(part.get("text", "")) for part in parts)
        case "marks":
            return marking.prose(raw)
        case "select":
            at = max(1, len(_partial(raw)))
            return f"Choix des phrases, question {at} sur {len(layout.request.questions)}"


def _read_parts(raw: str, layout: Layout) -> Read:
    try:
        answer = _Answer.model_validate_json(_json(raw))
    except ValidationError as error:
        raise EngineFailed("réponse hors du format JSON demandé") from error
    if answer.parts:
        said = [
            Statement(part.text.strip(), tuple(part.citations), part.question)
            for part in answer.parts[:MAX_PARTS]
        ]
        return _by_question(said, layout)
    if answer.refusal is not None:
        return Read(refusal=_refusal(answer.refusal))
    raise EngineFailed("réponse sans énoncé ni refus")


def _read_marks(raw: str, layout: Layout) -> Read:
    found = marking.read(raw)
    if not any(statement.citations for statement in found.statements):
        if found.refusal is not None:
            return Read(refusal=_refusal(found.refusal))
        if found.open and not found.statements:
            return Read(refusal=Refusal("unsupported"))
        raise EngineFailed("texte sans renvoi [n] à un passage, ni refus")
    return _by_question(found.statements, layout)


def _read_picks(raw: str, layout: Layout) -> Read:
    try:
        said = _PICKS.validate_json(_json(raw))
    except ValidationError as error:
        raise EngineFailed("réponse hors du format JSON demandé") from error
    asked = layout.request.questions
    picks = {
        question: [number - 1 for number in said[str(n)] if 1 <= number <= len(layout.shown)]
        for n, question in enumerate(asked, start=1)
        if str(n) in said
    }
    if not picks or layout.pool is None:
        raise EngineFailed("réponse sans choix pour aucune des questions")
    parts, unanswered = selecting.worded(layout.request, layout.pool, layout.shown, picks)
    refusal = None if parts else Refusal("unsupported")
    return Read(parts, refusal, unanswered)


def _by_question(said: Sequence[Statement], layout: Layout) -> Read:
    """Statements as parts; with several questions below the question they answer."""
    request = layout.request
    if len(request.mail.questions) == 1:
        return Read(tuple(_part(statement, layout) for statement in said))
    groups: dict[int, list[Statement]] = {index: [] for index in request.questions}
    for statement in said:
        groups[_question_of(statement, layout)].append(statement)
    parts: list[EnginePart] = []
    for index, statements in groups.items():
        if statements:
            named = wording.quoted(request.mail.questions[index], index, request.language)
            parts.append(EnginePart(wording.about(named, request.language), connective=True))
            parts += (replace(_part(each, layout), question=index) for each in statements)
    return Read(tuple(parts), unanswered=tuple(i for i, found in groups.items() if not found))


def _question_of(statement: Statement, layout: Layout) -> int:
    """The question that a statement says it answers; else the one most like it in words."""
    asked = layout.request.questions
    if statement.question is not None and 1 <= statement.question <= len(asked):
        return asked[statement.question - 1]
    told = set(terms(statement.text))
    questions = layout.request.mail.questions
    return max(asked, key=lambda index: (len(told & set(terms(questions[index]))), -index))


def _part(statement: Statement, layout: Layout) -> EnginePart:
    given = layout.passages
    cited = (given[n - 1] if 1 <= n <= len(given) else -1 for n in statement.citations)
    return EnginePart(statement.text, tuple(cited))


def _json(raw: str) -> str:
    """The JSON object in ``raw``, whatever stands around it."""
    found = _JSON.search(raw)
    return found.group() if found else raw


def _partial(raw: str) -> Mapping[str, Any]:
    start = raw.find("{")
    if start < 0:
        return {}
    try:
        value = from_json(raw[start:], allow_partial="trailing-strings")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _refusal(said: str) -> Refusal:
    reason: RefusalReason = "out-of-scope" if "scope" in said else "unsupported"
    return Refusal(reason, "" if said in REFUSALS else f"Le modèle précise : « {said[:200]} »")
