"""Rows of the schema `feedback` to the records that the service knows."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from services.feedback.adapters.text import storable
from services.feedback.comparing import Comparison
from services.feedback.records import (
    EXCERPT_CHARS,
    DocumentState,
    DraftSummary,
    MailOutcome,
    StoredDraft,
    StoredReview,
)
from services.feedback.settling import StoredReply
from shared.events import (
    DraftDeclinedData,
    DraftReadyData,
    ReplyApprovedData,
    ReviewRecordedData,
)
from shared.records import Address, Passage

_PASSAGES = TypeAdapter(tuple[Passage, ...])
_NUMBERS = TypeAdapter(dict[UUID, int])


def draft(row: asyncpg.Record) -> StoredDraft:
    """A row of sql.DRAFT."""
    ready = row["outcome"] == "draft"
    return StoredDraft(
        draft_id=row["draft_id"],
        outcome=row["outcome"],
        status=row["status"],
        status_detail=row["status_detail"],
        created=row["created"],
        traceparent=row["traceparent"],
        outdated=tuple(row["outdated"]),
        ready=DraftReadyData.model_validate_json(row["data"]) if ready else None,
        declined=None if ready else DraftDeclinedData.model_validate_json(row["data"]),
        review=_review(row) if row["review"] else None,
    )


def _review(row: asyncpg.Record) -> StoredReview:
    return StoredReview(
        created=row["reviewed"],
        review=ReviewRecordedData.model_validate_json(row["review"]),
        added=passages(row["added"]),
        numbers=numbers(row["numbers"]),
    )


def passages(json: str) -> tuple[Passage, ...]:
    """A column of passages that an agent added."""
    return _PASSAGES.validate_json(json)


def passages_json(added: tuple[Passage, ...]) -> str:
    """The column of `passages`."""
    return storable(_PASSAGES.dump_json(added).decode())


def numbers(json: str) -> dict[UUID, int]:
    """A column of the [n] of added documents."""
    return _NUMBERS.validate_json(json)


def numbers_json(given: dict[UUID, int]) -> str:
    """The column of `numbers`."""
    return _NUMBERS.dump_json(given).decode()


def summary(row: asyncpg.Record) -> DraftSummary:
    """A row of sql.SUMMARY."""
    values = dict(row)
    values["outdated"] = tuple(values["outdated"])
    values["excerpt"] = " ".join(values.pop("text").split())[:EXCERPT_CHARS]
    return DraftSummary(sender=_sender(values), **values)


def outcome(row: asyncpg.Record) -> MailOutcome:
    """A row of sql.OUTCOME."""
    values = dict(row)
    return MailOutcome(sender=_sender(values), **values)


def document(row: asyncpg.Record) -> DocumentState:
    """A row of sql.DOCUMENT."""
    return DocumentState(**dict(row))


def reply(row: asyncpg.Record) -> StoredReply:
    """A row of sql.REPLY."""
    values = dict(row)
    compared, approved = values.pop("comparison"), values.pop("data")
    return StoredReply(
        **values,
        comparison=Comparison.model_validate_json(compared) if compared else None,
        reply=ReplyApprovedData.model_validate_json(approved) if approved else None,
    )


def _sender(values: dict[str, Any]) -> Address:
    return Address(address=values.pop("sender"), name=values.pop("sender_name"))
