"""What became of an e-mail, as ``sourcier send --wait`` tells it. Pure: events in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shared.document_events import MessageDead
from shared.envelope import Event
from shared.events import DraftDeclined, DraftReady, MailSkipped
from shared.records import Passage, Source

Outcome = dict[str, Any]
"""Keys: mail_id, outcome (draft|declined|skipped|dead), text, sources, passages, reason, detail,
timings (seconds), engine, evidence."""


def mail_of(event: Event) -> UUID | None:
    """The mail that ``event`` is about, when it is an outcome."""
    match event:
        case DraftReady() | DraftDeclined():
            return event.data.mail.mail_id
        case MailSkipped():
            return event.data.mail_id
        case _:
            return None


def outcome_of(event: Event) -> Outcome:
    """The outcome that ``event`` tells. Raises ``TypeError`` for an event that is none."""
    match event:
        case DraftReady(data=data):
            return _outcome("draft", text=data.text, sources=_sources(data.sources)) | _draft(event)
        case DraftDeclined(data=data):
            return _outcome("declined", reason=data.why, detail=data.detail) | _draft(event)
        case MailSkipped(data=data):
            return _outcome("skipped", reason=data.reason, detail=data.detail)
        case MessageDead(data=data):
            return _outcome("dead", reason=data.error, detail=f"{data.stage}: {data.reason}")
        case _:
            raise TypeError(f"{event.type} is no outcome")


def _outcome(kind: str, **more: Any) -> Outcome:
    empty: Outcome = {"text": "", "sources": [], "passages": [], "reason": "", "detail": ""}
    return {"outcome": kind} | empty | {"timings": {}, "engine": "", "evidence": None} | more


def _draft(event: DraftReady | DraftDeclined) -> Outcome:
    data = event.data
    found: Outcome = {"passages": _passages(data.passages), "timings": dict(data.timings)}
    found |= {"engine": data.engine, "evidence": data.evidence}
    if isinstance(event, DraftReady):
        found |= {"draft_id": str(data.draft_id), "unanswered": list(event.data.unanswered)}
    return found


def _sources(sources: Sequence[Source]) -> list[dict[str, Any]]:
    return [
        {
            "number": source.number,
            "document_id": str(source.document_id),
            "title": source.title,
            "url": source.url,
            "page": source.page,
            "heading": " > ".join(source.heading_path),
        }
        for source in sources
    ]


def _passages(passages: Sequence[Passage]) -> list[dict[str, Any]]:
    return [
        {
            "rank": rank,
            "passage_id": str(passage.passage_id),
            "document_id": str(passage.document_id),
            "title": passage.title,
            "url": passage.url,
            "page": passage.page,
            "heading": " > ".join(passage.heading_path),
            "score": _score(passage),
        }
        for rank, passage in enumerate(passages, 1)
    ]


def _score(passage: Passage) -> float:
    """The score that ranked it: the cross-encoder's where there is one, else the fusion's."""
    scores = passage.scores
    return scores.fused if scores.rerank is None else scores.rerank
