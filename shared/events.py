"""Every event of the system, in the order of the journey.

Each class fixes its CloudEvents ``type``; each ``…Data`` class is its ``data``. Changes within a
version are additive (a new field has a default); a break is a new class with a new version.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.envelope import ObjectKey
from shared.records import (
    Address,
    Check,
    Envelope,
    Fingerprints,
    Message,
    Part,
    Passage,
    QuestionVectors,
    Reference,
    Score,
    Source,
)
from shared.routing import ClaimCheck, InMailbox, MailboxEvent, MailEvent, OfMail

Timings = dict[str, Annotated[float, Field(ge=0)]]
"""Seconds by stage name."""

SkipReason = Literal[
    "auto-reply",
    "list",
    "loop",
    "empty",
    "duplicate",
    "unreadable",
    "limit",
    "encrypted",
    "category",
]
"""``category``: its category is configured without drafts."""
DeclineReason = Literal[
    "no-passage", "not-enough-evidence", "out-of-scope", "unsupported", "engine-missing"
]
"""``engine-missing``: asked of an engine that this installation does not have."""
Decision = Literal["approved", "edited", "rejected", "unused"]
"""``unused``: the mail was answered without the draft."""
EngineName = Literal["extractive", "openai"]
"""The engines that a draft may be asked of."""


# -- the e-mail ------------------------------------------------------------------------------


class MailReceivedData(ClaimCheck, InMailbox):
    """``content``/``key``: the raw RFC 5322 message."""

    envelope: Envelope | None = None


class MailReceived(MailboxEvent):
    """A mail system hands in an e-mail."""

    type: Literal["sourcier.mail.received.v1"] = "sourcier.mail.received.v1"
    data: MailReceivedData


class MailAccepted(MailEvent):
    """ingest read the e-mail and found its questions."""

    type: Literal["sourcier.mail.accepted.v1"] = "sourcier.mail.accepted.v1"
    data: OfMail


class MailSkippedData(InMailbox):
    """``detail``: the reason in words (French)."""

    mail_id: UUID
    reason: SkipReason
    detail: str
    message_id: str = ""
    sender: Address | None = None
    subject: str = ""
    received: AwareDatetime
    raw_key: ObjectKey | None = None


class MailSkipped(MailboxEvent):
    """ingest decided that the e-mail gets no draft."""

    type: Literal["sourcier.mail.skipped.v1"] = "sourcier.mail.skipped.v1"
    data: MailSkippedData


class MailEmbeddedData(OfMail):
    """``vectors``: one per question, in the questions' order."""

    vectors: tuple[QuestionVectors, ...] = Field(min_length=1)
    embedding: str
    timings: Timings = Field(default_factory=dict)


class MailEmbedded(MailEvent):
    """embed computed the vectors of the questions."""

    type: Literal["sourcier.mail.embedded.v1"] = "sourcier.mail.embedded.v1"
    data: MailEmbeddedData


class ContextRetrievedData(OfMail):
    """``passages`` best first; ``evidence`` in [0, 1]: how likely they answer the questions."""

    passages: tuple[Passage, ...]
    evidence: Score
    question_evidence: tuple[Score, ...] = ()
    embedding: str
    retrieval: str
    timings: Timings = Field(default_factory=dict)


class ContextRetrieved(MailEvent):
    """retrieve found the passages."""

    type: Literal["sourcier.context.retrieved.v1"] = "sourcier.context.retrieved.v1"
    data: ContextRetrievedData


# -- the draft -------------------------------------------------------------------------------


class _DraftData(OfMail):
    draft_id: UUID
    request_id: int = Field(default=0, ge=0)
    passages: tuple[Passage, ...]
    evidence: Score = 0.0
    messages: tuple[Message, ...] = ()
    checks: tuple[Check, ...] = ()
    engine: str
    fingerprints: Fingerprints
    raw_output: str = ""
    timings: Timings = Field(default_factory=dict)


class DraftReadyData(_DraftData):
    """``text`` is the draft rendered with [n] marks and without its list of sources."""

    greeting: str
    parts: tuple[Part, ...] = Field(min_length=1)
    closing: str
    text: str
    sources: tuple[Source, ...]
    unanswered: tuple[str, ...] = ()
    """Questions of the e-mail that the documents do not answer."""


class DraftReady(MailEvent):
    """generate wrote a sourced draft."""

    type: Literal["sourcier.draft.ready.v1"] = "sourcier.draft.ready.v1"
    data: DraftReadyData


class DraftDeclinedData(_DraftData):
    """``detail``: the reason in words (French); ``passages``: the nearest ones."""

    why: DeclineReason
    detail: str


class DraftDeclined(MailEvent):
    """generate refused to draft: the documents do not carry an answer."""

    type: Literal["sourcier.draft.declined.v1"] = "sourcier.draft.declined.v1"
    data: DraftDeclinedData


class DraftRequestedData(OfMail):
    """A new draft of the same e-mail, by an agent's wish."""

    request_id: int = Field(ge=1)
    passages: tuple[Passage, ...]
    evidence: Score
    instruction: str = ""
    engine: str | None = None
    embedding: str
    retrieval: str


class DraftRequested(MailEvent):
    """feedback asks generate for another draft."""

    type: Literal["sourcier.draft.requested.v1"] = "sourcier.draft.requested.v1"
    data: DraftRequestedData


class DraftWithdrawnData(InMailbox):
    draft_id: UUID
    mail_id: UUID
    why: Literal["newer-mail", "document-removed", "other-approved", "already-answered"]
    detail: str = ""


class DraftWithdrawn(MailboxEvent):
    """An untouched draft is no longer to be used."""

    type: Literal["sourcier.draft.withdrawn.v1"] = "sourcier.draft.withdrawn.v1"
    data: DraftWithdrawnData


# -- review and reply ------------------------------------------------------------------------


class ReviewRecordedData(InMailbox):
    """``edit_distance`` in characters; ``final_text`` of ``unused`` is what was sent, or ""."""

    review_id: UUID
    draft_id: UUID
    mail_id: UUID
    decision: Decision
    final_text: str
    edit_distance: int = Field(ge=0)
    words_changed: int = Field(default=0, ge=0)
    reasons: tuple[str, ...] = ()
    note: str = ""
    citations_kept: tuple[UUID, ...] = ()
    citations_dropped: tuple[UUID, ...] = ()
    citations_added: tuple[UUID, ...] = ()
    wrong_passages: tuple[UUID, ...] = ()
    reviewer: str
    seconds: float | None = Field(default=None, ge=0)


class ReviewRecorded(MailboxEvent):
    """An agent decided on a draft."""

    type: Literal["sourcier.review.recorded.v1"] = "sourcier.review.recorded.v1"
    data: ReviewRecordedData


class _ReplyData(InMailbox):
    reply_id: UUID
    mail_id: UUID


class ReplyApprovedData(_ReplyData):
    """``references``: the list of sources, rendered once by whoever sends."""

    draft_id: UUID
    recipients: tuple[Address, ...] = Field(min_length=1)
    subject: str
    in_reply_to: str
    thread_references: tuple[str, ...] = ()
    text: str
    references: tuple[Reference, ...] = ()


class ReplyApproved(MailboxEvent):
    """A reply may leave by the mail system."""

    type: Literal["sourcier.reply.approved.v1"] = "sourcier.reply.approved.v1"
    data: ReplyApprovedData


class ReplySentData(InMailbox):
    """Which mail was answered: by ``mail_id`` or by ``in_reply_to``."""

    reply_id: UUID | None = None
    mail_id: UUID | None = None
    in_reply_to: str | None = None
    message_id: str
    sent: AwareDatetime
    text: str | None = None


class ReplySent(MailboxEvent):
    """The mail system sent a reply."""

    type: Literal["sourcier.reply.sent.v1"] = "sourcier.reply.sent.v1"
    data: ReplySentData


class ReplyFailedData(_ReplyData):
    why: str


class ReplyFailed(MailboxEvent):
    """The mail system could not send the reply."""

    type: Literal["sourcier.reply.failed.v1"] = "sourcier.reply.failed.v1"
    data: ReplyFailedData


class ReplyDoubtful(MailboxEvent):
    """A crash around sending: a human must look whether the reply left."""

    type: Literal["sourcier.reply.doubtful.v1"] = "sourcier.reply.doubtful.v1"
    data: ReplyFailedData
