"""A checked answer into a draft: open questions named, numbered sources, rendered text."""

from __future__ import annotations

from dataclasses import dataclass

from services.generate import citations, rendering, wording
from services.generate.answer import DraftRequest, EngineAnswer, EnginePart
from shared.records import Check, Part, Source


@dataclass(frozen=True, slots=True)
class Composed:
    """A draft, or with no ``parts`` the checks that say why there is none."""

    greeting: str
    parts: tuple[Part, ...]
    closing: str
    text: str
    sources: tuple[Source, ...]
    unanswered: tuple[str, ...]
    checks: tuple[Check, ...]


def compose(request: DraftRequest, answer: EngineAnswer, signature: str) -> Composed:
    """The draft of ``answer``, verified; questions that stay open are named in it."""
    stated = any(not part.connective for part in answer.parts)
    open_questions = _left_open(request, answer)
    every = (*answer.parts, *_open_parts(request, open_questions)) if stated else ()
    parts = citations.cited(every, request.passages)
    sources = citations.sources(parts, request.passages)
    greeting = wording.greeting(request.language, request.mail.new_text)
    closing = wording.closing(request.language, signature)
    return Composed(
        greeting=greeting,
        parts=parts,
        closing=closing,
        text=rendering.render(greeting, parts, closing, citations.numbers(sources)),
        sources=sources,
        unanswered=tuple(request.mail.questions[index] for index in open_questions),
        checks=(*answer.checks, *_question_checks(request, open_questions)),
    )


def _left_open(request: DraftRequest, answer: EngineAnswer) -> tuple[int, ...]:
    """Questions without evidence, and those the engine found nothing for."""
    every = range(len(request.mail.questions))
    return tuple(
        index for index in every if index not in request.questions or index in answer.unanswered
    )


def _open_parts(request: DraftRequest, questions: tuple[int, ...]) -> tuple[EnginePart, ...]:
    language = request.language
    named = (wording.quoted(request.mail.questions[i], i, language) for i in questions)
    return tuple(EnginePart(wording.left_open(name, language), connective=True) for name in named)


def _question_checks(request: DraftRequest, questions: tuple[int, ...]) -> tuple[Check, ...]:
    """One check per open question: what the agent has to complete before sending."""
    return tuple(
        Check(
            name="question",
            passed=False,
            detail="Question sans réponse dans les documents, à compléter avant l'envoi : "
            f"« {request.mail.questions[index]} »",
        )
        for index in questions
    )
