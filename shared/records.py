"""The values that events carry: the mail block, documents, passages, drafts' parts."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.envelope import Frozen, ObjectKey, Sha256, Slug

Score = Annotated[float, Field(allow_inf_nan=False)]


class Address(Frozen):
    """A mailbox address (RFC 5322 addr-spec) with its display name, which may be empty."""

    address: str
    name: str = ""


class Attachment(Frozen):
    """An attachment; ``text_key`` names its extracted text in the object store when readable."""

    name: str
    media_type: str
    size: int = Field(ge=0)
    state: Literal["read", "unreadable", "unchecked", "too-large"]
    text_key: ObjectKey | None = None


class MailBlock(Frozen):
    """What every event from ``mail.accepted`` to ``draft.*`` says of its e-mail."""

    mail_id: UUID
    mailbox: Slug
    thread_id: UUID
    message_id: str = ""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    sender: Address
    reply_to: Address | None = None
    subject: str = ""
    date: AwareDatetime | None = None
    received: AwareDatetime
    new_text: str
    questions: tuple[str, ...] = Field(min_length=1)
    language: str = "fr"
    category: str | None = None
    collections: tuple[Slug, ...] = ()
    audiences: tuple[Slug, ...] = ("public",)
    raw_key: ObjectKey
    attachments: tuple[Attachment, ...] = ()
    earlier: tuple[str, ...] = ()
    """New texts of the last e-mails before this one in its thread, oldest first, cut."""


class Envelope(Frozen):
    """The SMTP envelope, when the mail system knows it; an empty ``mail_from`` is a bounce."""

    mail_from: str | None = None
    rcpt_to: tuple[str, ...] = ()


class DocumentVersion(Frozen):
    """Which content of a document; versions are ordered by submission time, then hash."""

    submitted: AwareDatetime
    sha256: Sha256

    def is_after(self, other: DocumentVersion) -> bool:
        """Whether this version supersedes ``other``."""
        return (self.submitted, self.sha256) > (other.submitted, other.sha256)


class DocumentBlock(Frozen):
    """A document version and where its original and its text with page offsets are stored."""

    document_id: UUID
    version: DocumentVersion
    collection: Slug
    name: str
    title: str
    url: str | None = None
    audience: Slug = "public"
    media_type: str
    size: int = Field(ge=0)
    original_key: ObjectKey
    text_key: ObjectKey


class SparseVector(Frozen):
    """A sparse vector: parallel term indices and weights."""

    indices: tuple[int, ...]
    values: tuple[Score, ...]


class QuestionVectors(Frozen):
    """One question's vectors; ``dense`` is L2-normalised."""

    dense: tuple[Score, ...]
    sparse: SparseVector


class PassageScores(Frozen):
    """Scores of one passage; ``dense`` is a cosine, ``bm25`` unbounded, ``fused`` is RRF."""

    fused: Score
    dense: Score | None = None
    bm25: Score | None = None
    rerank: Score | None = None


class Passage(Frozen):
    """A retrieved chunk in full; ``start``/``end`` are offsets into the document's text."""

    passage_id: UUID
    document_id: UUID
    version: DocumentVersion
    title: str
    url: str | None = None
    heading_path: tuple[str, ...] = ()
    page: int | None = None
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    text: str
    audience: Slug = "public"
    collection: Slug = "default"
    scores: PassageScores
    questions: tuple[int, ...] = ()
    """Indices of the e-mail's questions that found this passage, best first."""


class Message(Frozen):
    """One chat message exactly as sent to the engine."""

    role: Literal["system", "user", "assistant"]
    content: str


class Part(Frozen):
    """A statement of the draft and the passages it rests on."""

    text: str
    citations: tuple[UUID, ...] = ()


class Source(Frozen):
    """One numbered source of a draft: a document, with its cited passages."""

    number: int = Field(ge=1)
    document_id: UUID
    version: DocumentVersion
    title: str
    url: str | None = None
    heading_path: tuple[str, ...] = ()
    page: int | None = None
    passage_ids: tuple[UUID, ...]


class Check(Frozen):
    """The result of one check, in words a reviewer can act on (French)."""

    name: str
    passed: bool
    detail: str = ""


class Fingerprints(Frozen):
    """Which model, prompt, embedding and retrieval made the draft."""

    model: str
    prompt: str
    embedding: str
    retrieval: str


class Reference(Frozen):
    """One line of a reply's list of references; a non-public source has no ``url``."""

    number: int = Field(ge=1)
    title: str
    url: str | None = None
    page: int | None = None
    heading: str | None = None
