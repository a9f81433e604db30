"""Bases of events by what routes them: a mailbox, a mail block, a collection, a document."""

from __future__ import annotations

from pydantic import model_validator

from shared.envelope import Event, Frozen, InlineBytes, ObjectKey, Slug
from shared.records import DocumentBlock, MailBlock

INBOX = "inbox/"
"""Where producers put bodies that are too large for an event."""


class ClaimCheck(Frozen):
    """A body inline in base64 or by object key: exactly one of the two."""

    content: InlineBytes | None = None
    key: ObjectKey | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> ClaimCheck:
        if (self.content is None) == (self.key is None):
            raise ValueError("give exactly one of 'content' (base64) and 'key'")
        # A producer may hand in what it wrote itself, not what the services own.
        if self.key is not None and (not self.key.startswith(INBOX) or ".." in self.key):
            raise ValueError(f"'key' must lie below {INBOX}<producer>/")
        return self


class InMailbox(Frozen):
    """Data that names its mailbox."""

    mailbox: Slug


class OfMail(Frozen):
    """Data that carries the mail block."""

    mail: MailBlock


class MailEvent(Event):
    """An event whose data carries the mail block."""

    data: OfMail

    def route(self) -> str:
        return self.data.mail.mailbox


class MailboxEvent(Event):
    """An event whose data names its mailbox without the mail block."""

    data: InMailbox

    def route(self) -> str:
        return self.data.mailbox


class InCollection(Frozen):
    """Data that names its collection."""

    collection: Slug


class OfDocument(Frozen):
    """Data that carries the document block."""

    document: DocumentBlock


class CollectionEvent(Event):
    """An event whose data names its collection."""

    data: InCollection

    def route(self) -> str:
        return self.data.collection


class DocumentEvent(Event):
    """An event whose data carries the document block."""

    data: OfDocument

    def route(self) -> str:
        return self.data.document.collection
