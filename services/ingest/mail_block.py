"""What events say of an e-mail, cut to sizes that every event of its journey can carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from uuid import UUID

from services.ingest.mime import Address as ReadAddress
from services.ingest.mime import Attachment as ReadAttachment
from services.ingest.mime import Mail
from services.ingest.triage import Sorted
from shared.events import MailReceived
from shared.records import Address, Attachment, MailBlock
from shared.settings import Mailbox

MAX_SUBJECT_CHARS = 500
MAX_NAME_CHARS = 200
MAX_REFERENCES = 50
"""The nearest ones; each has at most 300 characters, see `headers.MAX_ID_CHARS`."""
MAX_DESCRIBED = 50
"""Attachments that are named; the whole mail stays in the object store."""
_MAX_MEDIA_TYPE_CHARS = 100


@dataclass(frozen=True, slots=True)
class Incoming:
    """The event and the e-mail's id. `received` is the event's time: a redelivery has the same."""

    event: MailReceived
    mail_id: UUID
    raw_key: str

    @classmethod
    def stored(cls, event: MailReceived, mail_id: UUID) -> Incoming:
        """An e-mail whose raw message is stored under its own id."""
        return cls(event, mail_id, raw_key(event.data.mailbox, mail_id))

    @property
    def prefix(self) -> str:
        """Under which what was made of the e-mail is stored."""
        return prefix(self.event.data.mailbox, self.mail_id)


@dataclass(frozen=True, slots=True)
class Asked:
    """The new text of an e-mail, its questions, the ISO 639-1 code of their language, and the new
    texts of its thread's last e-mails before, oldest first."""

    text: str
    questions: tuple[str, ...]
    language: str
    earlier: tuple[str, ...] = ()


def raw_key(mailbox: str, mail_id: UUID) -> str:
    """Where the raw message of an e-mail is stored."""
    return f"{prefix(mailbox, mail_id)}.eml"


def prefix(mailbox: str, mail_id: UUID) -> str:
    """How all keys of an e-mail begin."""
    return f"mails/{mailbox}/{mail_id}"


def block(
    incoming: Incoming,
    mail: Mail,
    mailbox: Mailbox,
    thread_id: UUID,
    asked: Asked,
    found: Sorted,
    attachments: tuple[Attachment, ...],
) -> MailBlock:
    """The block that travels with an accepted e-mail."""
    date = mail.date
    own = found.category.collections if found.category else ()
    return MailBlock(
        mail_id=incoming.mail_id,
        mailbox=incoming.event.data.mailbox,
        thread_id=thread_id,
        message_id=mail.message_id,
        in_reply_to=mail.in_reply_to or None,
        references=mail.references[-MAX_REFERENCES:],
        sender=described_address(mail.sender),
        reply_to=described_address(mail.reply_to[0]) if mail.reply_to else None,
        subject=mail.subject[:MAX_SUBJECT_CHARS],
        date=date.replace(tzinfo=UTC) if date and date.tzinfo is None else date,
        received=incoming.event.time,
        new_text=asked.text,
        questions=asked.questions,
        language=asked.language,
        category=found.name,
        collections=own or mailbox.collections,
        audiences=mailbox.audiences,
        raw_key=incoming.raw_key,
        attachments=attachments,
        earlier=asked.earlier,
    )


def described(found: ReadAttachment) -> Attachment:
    """An attachment that nobody looked into yet."""
    return Attachment(
        name=found.name[:MAX_NAME_CHARS],
        media_type=found.media_type[:_MAX_MEDIA_TYPE_CHARS],
        size=found.size,
        state="unchecked",
    )


def described_address(found: ReadAddress) -> Address:
    """A mailbox with its display name; an address is bounded where it is read."""
    return Address(address=found.address, name=found.name[:MAX_NAME_CHARS])
