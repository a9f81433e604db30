"""The events of documents, of erasure and of dead letters (the journey's are in ``events``)."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from shared.envelope import Event, Frozen, InlineBytes, ObjectKey, Sha256, Slug
from shared.events import Timings
from shared.routing import (
    ClaimCheck,
    CollectionEvent,
    DocumentEvent,
    InCollection,
    OfDocument,
)


class DocumentSubmittedData(ClaimCheck, InCollection):
    """``content``/``key``: the document; its identity is its ``url``, else its ``name``."""

    name: str = Field(min_length=1)
    url: str | None = None
    submitted: AwareDatetime
    media_type: str | None = None
    title: str | None = None
    audience: Slug = "public"

    def locator(self) -> str:
        """What identifies the document within its collection."""
        return self.url or self.name


class DocumentSubmitted(CollectionEvent):
    """Somebody hands in a document."""

    type: Literal["sourcier.document.submitted.v1"] = "sourcier.document.submitted.v1"
    data: DocumentSubmittedData


class DocumentChunkedData(OfDocument):
    """``chunks_key``: Parquet of ``count`` chunks."""

    chunks_key: ObjectKey
    count: int = Field(ge=1)


class DocumentChunked(DocumentEvent):
    """ingest read the document and cut it into chunks."""

    type: Literal["sourcier.document.chunked.v1"] = "sourcier.document.chunked.v1"
    data: DocumentChunkedData


class DocumentEmbeddedData(OfDocument):
    """``vectors_key``: Parquet of the chunks with their dense and sparse vectors."""

    vectors_key: ObjectKey
    count: int = Field(ge=1)
    dimension: int = Field(ge=1)
    embedding: str
    timings: Timings = Field(default_factory=dict)


class DocumentEmbedded(DocumentEvent):
    """embed computed the vectors of the chunks."""

    type: Literal["sourcier.document.embedded.v1"] = "sourcier.document.embedded.v1"
    data: DocumentEmbeddedData


class DocumentIndexedData(OfDocument):
    """``live`` is false when a newer version or a removal had already won."""

    count: int = Field(ge=0)
    embedding: str
    live: bool = True


class DocumentIndexed(DocumentEvent):
    """retrieve made the version searchable."""

    type: Literal["sourcier.document.indexed.v1"] = "sourcier.document.indexed.v1"
    data: DocumentIndexedData


class DocumentRejectedData(InCollection):
    """``code`` for programs, ``detail`` in words a person can act on (French)."""

    document_id: UUID
    name: str
    url: str | None = None
    audience: Slug = "public"
    submitted: AwareDatetime
    code: str
    detail: str


class DocumentRejected(CollectionEvent):
    """ingest could not take the document."""

    type: Literal["sourcier.document.rejected.v1"] = "sourcier.document.rejected.v1"
    data: DocumentRejectedData


class DocumentRemovedData(InCollection):
    """``removed`` wins over versions submitted before it."""

    document_id: UUID
    removed: AwareDatetime


class DocumentRemoved(CollectionEvent):
    """Somebody took a document away."""

    type: Literal["sourcier.document.removed.v1"] = "sourcier.document.removed.v1"
    data: DocumentRemovedData


class MailErasedData(Frozen):
    """Whose mail to erase: by mail ids, or by the SHA-256 of the lower-cased sender address."""

    mail_ids: tuple[UUID, ...] = ()
    sender_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _names_something(self) -> MailErasedData:
        if not self.mail_ids and self.sender_sha256 is None:
            raise ValueError("give 'mail_ids' or 'sender_sha256'")
        return self


class MailErased(Event):
    """Each owner deletes what it holds of these mails; it concerns every mailbox."""

    type: Literal["sourcier.mail.erased.v1"] = "sourcier.mail.erased.v1"
    data: MailErasedData

    def route(self) -> str:
        return "all"


class MessageDeadData(Frozen):
    """A message given up: where it was, why, and its ``payload`` as it came, for replay."""

    stage: Slug
    stream: str
    sequence: int
    original_subject: str
    attempt: int = Field(ge=1)
    error: str
    reason: str
    payload: InlineBytes
    headers: dict[str, str] = Field(default_factory=dict)


class MessageDead(Event):
    """A stage gave up on a message; ``sourcier dead-letters replay`` sends it again."""

    type: Literal["sourcier.message.dead.v1"] = "sourcier.message.dead.v1"
    data: MessageDeadData

    def nats_subject(self) -> str:
        return f"dead.{self.data.stage}"
