"""An engine's answer into a draft: checked parts, numbered sources, rendered text."""

from __future__ import annotations

from dataclasses import dataclass

from services.generate import checks, citations, rendering, wording
from services.generate.answer import DraftRequest, EngineAnswer, EnginePart
from services.generate.checks import Grounds
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
    """The draft of ``answer``; questions that stay open are named in it."""
    within, dropped = citations.within(answer.parts, len(request.passages))
    kept, found = checks.examine(within, _grounds(request, answer))
    stated = any(not part.connective for part in kept)
    open_questions = _left_open(request, answer)
    every = (*kept, *_open_parts(request, open_questions)) if stated else ()
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
        checks=(
            *answer.checks,
            _citation_check(dropped),
            *found,
            *_question_checks(request, open_questions),
        ),
    )


def _grounds(request: DraftRequest, answer: EngineAnswer) -> Grounds:
    return Grounds(
        passages=request.passages,
        mail_text=f"{request.mail.subject} {request.mail.new_text}",
        prompt=next((m.content for m in answer.messages if m.role == "system"), ""),
        foreign=request.language != "fr",
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


def _citation_check(dropped: int) -> Check:
    detail = f"Renvois à des passages inexistants retirés : {dropped}." if dropped else ""
    return Check(name="citations", passed=not dropped, detail=detail)


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
