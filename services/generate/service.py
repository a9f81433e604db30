"""The use case: passages found for an e-mail become a sourced draft, or a reasoned refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypedDict
from uuid import UUID

from services.generate.answer import DraftRequest, EngineAnswer, Style
from services.generate.composing import compose
from services.generate.declining import in_words
from services.generate.grounding import Gate
from services.generate.verifying import Verifier
from shared.categories import Category
from shared.clock import Clock
from shared.envelope import Event, caused
from shared.events import (
    ContextRetrieved,
    DeclineReason,
    DraftDeclined,
    DraftDeclinedData,
    DraftReady,
    DraftReadyData,
    DraftRequested,
    Timings,
)
from shared.identity import draft_id, short_hash
from shared.records import Check, Fingerprints, MailBlock, Message, Passage

Outcome = DraftReady | DraftDeclined
SOURCE = "generate"


class Engine(Protocol):
    """Writes statements from passages; used between ``start`` and ``stop`` only.

    ``name`` is the engine's configured name; ``fingerprint`` names model, sampling and form,
    ``prompt`` the prompt's texts, and with them the drafts they make. ``write`` raises
    ``Unavailable`` while what it needs is down and ``EngineFailed`` when nothing usable came back;
    outside start…stop it raises ``RuntimeError``.
    """

    name: str
    fingerprint: str
    prompt: str

    async def start(self) -> None: ...

    async def write(self, request: DraftRequest) -> EngineAnswer: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """``min_evidence`` in [0, 1] to draft at all; ``signatures`` and ``styles`` by mailbox,
    ``categories`` by name."""

    min_evidence: float
    signatures: Mapping[str, str]
    signature: str = "Le service instructeur"
    styles: Mapping[str, Style] = field(default_factory=dict)
    categories: Mapping[str, Category] = field(default_factory=dict)

    def signature_of(self, mailbox: str) -> str:
        """The mailbox's signature, or the general one for a mailbox without settings."""
        return self.signatures.get(mailbox, self.signature)

    def style_of(self, mail: MailBlock) -> Style:
        """That of the e-mail's category, where it says one, else the mailbox's, or the general."""
        box = self.styles.get(mail.mailbox, Style())
        own = self.categories.get(mail.category or "")
        return Style(own.length or box.length, own.tone or box.tone) if own else box


@dataclass(frozen=True, slots=True)
class _Job:
    """What both events ask for, on equal terms."""

    event: Event
    mail: MailBlock
    passages: tuple[Passage, ...]
    evidence: float
    question_evidence: tuple[float, ...]
    embedding: str
    retrieval: str
    engine: str
    request_id: int = 0
    instruction: str = ""
    asked_for: bool = False
    """By an agent, who has seen the passages: the threshold of evidence no longer decides."""


class _Common(TypedDict):
    """What a draft and a refusal both say."""

    mail: MailBlock
    draft_id: UUID
    request_id: int
    passages: tuple[Passage, ...]
    evidence: float
    messages: tuple[Message, ...]
    engine: str
    fingerprints: Fingerprints
    raw_output: str
    timings: Timings


class GenerateService:
    """Writes drafts with one of ``engines``; ``timer`` gives seconds of a monotonic clock."""

    def __init__(
        self,
        *,
        engines: Mapping[str, Engine],
        default: str,
        gate: Gate,
        verifier: Verifier,
        rules: Rules,
        clock: Clock,
        timer: Callable[[], float],
    ) -> None:
        self._engines = engines
        self._default = default
        self._gate = gate
        self._verifier = verifier
        self._rules = rules
        self._clock = clock
        self._timer = timer

    async def draft(self, event: ContextRetrieved) -> Outcome:
        """The first draft of an e-mail. Raises ``Unavailable`` while the engine is down."""
        data = event.data
        job = _Job(
            event=event,
            mail=data.mail,
            passages=data.passages,
            evidence=data.evidence,
            question_evidence=data.question_evidence,
            embedding=data.embedding,
            retrieval=data.retrieval,
            engine=self._default,
        )
        return await self._write(job, data.timings)

    async def redraft(self, event: DraftRequested) -> Outcome:
        """Another draft at an agent's wish; declined in words for an engine that is not there."""
        data = event.data
        job = _Job(
            event=event,
            mail=data.mail,
            passages=data.passages,
            evidence=data.evidence,
            question_evidence=(),
            embedding=data.embedding,
            retrieval=data.retrieval,
            engine=data.engine or self._default,
            request_id=data.request_id,
            instruction=data.instruction,
            asked_for=True,
        )
        if job.engine not in self._engines:
            # A dead letter would reach the operator, not the agent who waits for the draft.
            return self._declined(job, EngineAnswer(job.engine, model=""), "engine-missing", {})
        return await self._write(job, {})

    async def _write(self, job: _Job, timings: Timings) -> Outcome:
        started = self._timer()
        answered = self._answerable(job)
        engine = self._engines[job.engine]
        none = EngineAnswer(engine=engine.name, model=engine.fingerprint)
        if not job.passages:
            return self._declined(job, none, "no-passage", timings)
        if not answered:
            return self._declined(job, none, "not-enough-evidence", timings)
        request, grounds = await self._gate.open(self._request(job, answered))
        if not request.questions:
            return self._declined(job, replace(none, checks=grounds), "unsupported", timings)
        answer = await engine.write(request)
        spent = {**timings, "generate": max(0.0, self._timer() - started)}
        if answer.refusal is not None:
            told = replace(answer, checks=(*grounds, *answer.checks))
            return self._declined(job, told, answer.refusal.reason, spent)
        return await self._checked(job, request, answer, engine, grounds, spent)

    def _request(self, job: _Job, answered: tuple[int, ...]) -> DraftRequest:
        return DraftRequest(
            mail=job.mail,
            passages=job.passages,
            questions=answered,
            instruction=job.instruction,
            evidence=self._each(job),
            style=self._rules.style_of(job.mail),
            request_id=job.request_id,
        )

    async def _checked(
        self,
        job: _Job,
        request: DraftRequest,
        answer: EngineAnswer,
        engine: Engine,
        grounds: tuple[Check, ...],
        timings: Timings,
    ) -> Outcome:
        started = self._timer()
        answer = await self._verifier.verify(request, answer, engine.write)
        answer = replace(answer, checks=(*grounds, *answer.checks))
        spent = {**timings, "checks": max(0.0, self._timer() - started)}
        draft = compose(request, answer, self._rules.signature_of(job.mail.mailbox))
        if not draft.parts:
            answer = replace(answer, checks=draft.checks)
            return self._declined(job, answer, "unsupported", spent)
        data = DraftReadyData(
            **self._common(job, answer, spent),
            greeting=draft.greeting,
            parts=draft.parts,
            closing=draft.closing,
            text=draft.text,
            sources=draft.sources,
            unanswered=draft.unanswered,
            checks=draft.checks,
        )
        return caused(job.event, DraftReady, source=SOURCE, time=self._clock(), data=data)

    def _declined(
        self, job: _Job, answer: EngineAnswer, why: DeclineReason, timings: Timings
    ) -> DraftDeclined:
        detail = in_words(
            why,
            evidence=job.evidence,
            least=self._rules.min_evidence,
            engine=job.engine,
            engines=sorted(self._engines),
        )
        if answer.refusal is not None and answer.refusal.detail:
            detail = f"{detail} {answer.refusal.detail}"
        data = DraftDeclinedData(
            **self._common(job, answer, timings),
            why=why,
            detail=detail,
            checks=answer.checks,
        )
        return caused(job.event, DraftDeclined, source=SOURCE, time=self._clock(), data=data)

    def _common(self, job: _Job, answer: EngineAnswer, timings: Timings) -> _Common:
        # The configured engine, not the one that stepped in: a redelivery finds the same draft.
        engine = self._engines.get(job.engine) or self._engines[self._default]
        style = self._rules.style_of(job.mail)
        pipeline = short_hash(
            engine.fingerprint,
            engine.prompt,
            style.length,
            style.tone,
            job.embedding,
            job.retrieval,
        )
        return _Common(
            mail=job.mail,
            draft_id=draft_id(job.mail.mail_id, pipeline, job.request_id),
            request_id=job.request_id,
            passages=job.passages,
            evidence=job.evidence,
            messages=answer.messages,
            engine=answer.engine,
            fingerprints=Fingerprints(
                model=answer.model,
                prompt=answer.prompt or engine.prompt,
                embedding=job.embedding,
                retrieval=job.retrieval,
            ),
            raw_output=answer.raw,
            timings=timings,
        )

    def _answerable(self, job: _Job) -> tuple[int, ...]:
        """Indices of the questions with enough evidence; all when the agent asks."""
        count = len(job.mail.questions)
        if job.asked_for:
            return tuple(range(count))
        least = self._rules.min_evidence
        if job.evidence < least:
            return ()
        given = self._each(job)
        return tuple(index for index in range(count) if not given or given[index] >= least)

    @staticmethod
    def _each(job: _Job) -> tuple[float, ...]:
        """Evidence by question; nothing when it was not told for each."""
        given = job.question_evidence
        return given if len(given) == len(job.mail.questions) else ()
