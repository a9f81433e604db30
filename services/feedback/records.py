"""What feedback keeps and shows: mails' outcomes, drafts, reviews, documents, figures."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.document_events import DocumentIndexed, DocumentRejected, DocumentRemoved
from shared.envelope import Frozen
from shared.events import (
    DraftDeclined,
    DraftDeclinedData,
    DraftReady,
    DraftReadyData,
    EngineName,
    ReviewRecordedData,
)
from shared.records import Address, DocumentBlock, Passage

Outcome = Literal["pending", "draft", "declined", "skipped"]
Status = Literal["waiting", "approved", "edited", "rejected", "withdrawn", "unused"]
DocumentStatus = Literal["indexed", "rejected", "removed"]

EXCERPT_CHARS = 240
Reason = Literal[
    "missing-information", "wrong-source", "wrong-tone", "invented", "outdated", "other"
]
"""Why a draft was changed or rejected; ``other`` is told by the note."""


class MailOutcome(Frozen):
    """What became of one e-mail; `detail` in French; `decided` is None while it is pending."""

    mail_id: UUID
    mailbox: str
    outcome: Outcome
    reason: str = ""
    detail: str = ""
    draft_id: UUID | None = None
    subject: str = ""
    sender: Address
    received: AwareDatetime
    decided: AwareDatetime | None = None


class DraftSummary(Frozen):
    """One line of the list of drafts; `status_detail` says why a draft was withdrawn."""

    draft_id: UUID
    mail_id: UUID
    mailbox: str
    request_id: int
    outcome: Literal["draft", "declined"]
    status: Status
    status_detail: str = ""
    subject: str
    sender: Address
    received: AwareDatetime
    excerpt: str
    evidence: float
    engine: str
    created: AwareDatetime
    outdated: tuple[UUID, ...] = ()


class StoredReview(Frozen):
    """A review as recorded, and when; the passages that the agent added, and the [n] of their
    documents."""

    created: AwareDatetime
    review: ReviewRecordedData
    added: tuple[Passage, ...] = ()
    numbers: dict[UUID, int] = Field(default_factory=dict)


class StoredDraft(Frozen):
    """A draft in full: the event's data as generate said it, and what an agent decided.

    ``outdated`` are cited documents of which a newer version came while the draft waited.
    """

    draft_id: UUID
    outcome: Literal["draft", "declined"]
    status: Status
    status_detail: str = ""
    created: AwareDatetime
    traceparent: str | None = None
    outdated: tuple[UUID, ...] = ()
    ready: DraftReadyData | None = None
    declined: DraftDeclinedData | None = None
    review: StoredReview | None = None

    @property
    def data(self) -> DraftReadyData | DraftDeclinedData:
        """Whichever of the two this draft is."""
        found = self.ready or self.declined
        if found is None:
            raise ValueError(f"draft {self.draft_id} is neither ready nor declined")
        return found

    @property
    def text(self) -> str:
        """The draft's text as generate rendered it; "" for a declined one."""
        return self.ready.text if self.ready else ""


class DocumentState(Frozen):
    """The last heard of a document; `submitted` is the time of removal for a removed one."""

    document_id: UUID
    state: DocumentStatus
    collection: str
    name: str = ""
    title: str = ""
    url: str | None = None
    audience: str = "public"
    submitted: AwareDatetime
    sha256: str = ""
    chunks: int = 0
    code: str = ""
    detail: str = ""


class IndexedVersion(Frozen):
    """A version of a document that became searchable, and when."""

    block: DocumentBlock
    chunks: int
    indexed: AwareDatetime


class Figures(Frozen):
    """Counts for the status page; `outbox` events wait to be said, `refused` never will be.

    ``unmatched`` are replies that mail systems tell of, to e-mails that were not heard of."""

    outcomes: dict[Outcome, int]
    statuses: dict[Status, int]
    documents: dict[DocumentStatus, int]
    outbox: int = Field(ge=0)
    refused: int = Field(ge=0)
    unmatched: int = Field(default=0, ge=0)


class ReviewWish(Frozen):
    """What an agent decides, as the API takes it.

    ``final_text`` may be left out to approve what was typed, else the draft as it is; ``revision``
    is that of the saved text it rests on, so that no other is overwritten. ``review_id`` names the
    review; without it the draft, the decision and the text do. ``seconds`` may be left out when
    the draft was opened through the API.
    """

    decision: Literal["approved", "edited", "rejected"]
    final_text: str | None = Field(default=None, max_length=100_000)
    reasons: tuple[Reason, ...] = Field(default=(), max_length=6)
    note: str = Field(default="", max_length=2000)
    wrong_passages: tuple[UUID, ...] = Field(default=(), max_length=100)
    revision: int | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    review_id: UUID | None = None


class RegenerateWish(Frozen):
    """Another draft of the same e-mail: with what in mind, by which engine (both optional)."""

    instruction: str = Field(default="", max_length=2000)
    engine: EngineName | None = None


class RequestedDraft(Frozen):
    """What was asked for: the draft of `mail_id` that will carry `request_id`."""

    mail_id: UUID
    mailbox: str
    request_id: int


def stored(event: DraftReady | DraftDeclined) -> StoredDraft:
    """The draft that an event brings."""
    data = event.data
    ready = data if isinstance(data, DraftReadyData) else None
    declined = data if isinstance(data, DraftDeclinedData) else None
    return StoredDraft(
        draft_id=data.draft_id,
        outcome="draft" if ready else "declined",
        status="waiting",
        created=event.time,
        traceparent=event.traceparent,
        ready=ready,
        declined=declined,
    )


def document_state(event: DocumentIndexed | DocumentRejected | DocumentRemoved) -> DocumentState:
    """The state that a document event brings."""
    if isinstance(event, DocumentIndexed):
        block = event.data.document
        return DocumentState(
            document_id=block.document_id,
            state="indexed",
            collection=block.collection,
            name=block.name,
            title=block.title,
            url=block.url,
            audience=block.audience,
            submitted=block.version.submitted,
            sha256=block.version.sha256,
            chunks=event.data.count,
        )
    if isinstance(event, DocumentRejected):
        rejected = event.data
        return DocumentState(
            document_id=rejected.document_id,
            state="rejected",
            collection=rejected.collection,
            name=rejected.name,
            url=rejected.url,
            audience=rejected.audience,
            submitted=rejected.submitted,
            code=rejected.code,
            detail=rejected.detail,
        )
    return DocumentState(
        document_id=event.data.document_id,
        state="removed",
        collection=event.data.collection,
        submitted=event.data.removed,
    )


def indexed_version(
    event: DocumentIndexed | DocumentRejected | DocumentRemoved,
) -> IndexedVersion | None:
    """The version that an event says became searchable."""
    if not isinstance(event, DocumentIndexed):
        return None
    data = event.data
    return IndexedVersion(block=data.document, chunks=data.count, indexed=event.time)
