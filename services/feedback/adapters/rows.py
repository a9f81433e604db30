"""Rows of the schema `feedback` to the records that the service knows."""

from __future__ import annotations

from typing import Any

import asyncpg

from services.feedback.records import (
    EXCERPT_CHARS,
    DocumentState,
    DraftSummary,
    MailOutcome,
    StoredDraft,
    StoredReview,
)
from shared.events import DraftDeclinedData, DraftReadyData, ReviewRecordedData
from shared.records import Address


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
        ready=DraftReadyData.model_validate_json(row["data"]) if ready else None,
        declined=None if ready else DraftDeclinedData.model_validate_json(row["data"]),
        review=review(row["reviewed"], row["review"]) if row["review"] else None,
    )


def review(created: Any, data: str) -> StoredReview:
    """A review's columns."""
    return StoredReview(created=created, review=ReviewRecordedData.model_validate_json(data))


def summary(row: asyncpg.Record) -> DraftSummary:
    """A row of sql.SUMMARY."""
    values = dict(row)
    values["excerpt"] = " ".join(values.pop("text").split())[:EXCERPT_CHARS]
    return DraftSummary(sender=_sender(values), **values)


def outcome(row: asyncpg.Record) -> MailOutcome:
    """A row of sql.OUTCOME."""
    values = dict(row)
    return MailOutcome(sender=_sender(values), **values)


def document(row: asyncpg.Record) -> DocumentState:
    """A row of sql.DOCUMENT."""
    return DocumentState(**dict(row))


def _sender(values: dict[str, Any]) -> Address:
    return Address(address=values.pop("sender"), name=values.pop("sender_name"))
