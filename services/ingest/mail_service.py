"""E-mails: from the raw message to its questions, or the reason why it gets no draft."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

from services.ingest.formats.model import Unreadable
from services.ingest.mime import Address as ReadAddress
from services.ingest.mime import Attachment as ReadAttachment
from services.ingest.mime import Mail, MailLimits, UnreadableMail, read_mail
from services.ingest.questions import find_questions, language
from services.ingest.service import SOURCE, DocumentReader
from services.ingest.skipping import skip_reason
from services.ingest.visible import new_text
from shared.delivery import Invalid
from shared.envelope import caused
from shared.events import (
    MailAccepted,
    MailReceived,
    MailSkipped,
    MailSkippedData,
    SkipReason,
)
from shared.identity import LOOP_HEADER, mail_id, sha256, stable_id
from shared.objects import ObjectStore
from shared.records import Address, Attachment, MailBlock
from shared.routing import OfMail
from shared.settings import Mailbox

MAX_TEXT = 20_000
"""Characters of new text that travel in events; the whole mail stays in the object store."""
MAX_ATTACHMENTS = 20
MAX_ATTACHMENT_BYTES = 20 * 2**20
WINDOW = timedelta(hours=1)

Outcome = Literal["accepted", "duplicate", "limit"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An e-mail that may be answered. `related` are the Message-IDs it answers, nearest last."""

    event_id: UUID
    mail_id: UUID
    mailbox: str
    message_id: str
    related: tuple[str, ...]
    thread_id: UUID
    """The thread when none of `related` is known."""
    sender_sha256: str
    received: datetime


@dataclass(frozen=True, slots=True)
class Registration:
    """What was decided of an arrival, the same each time that its event comes."""

    outcome: Outcome
    thread_id: UUID


class MailRegister(Protocol):
    """Remembers which e-mails came: duplicates, threads, how many of one sender."""

    async def register(self, arrival: Arrival, limit: int) -> Registration:
        """Decide and remember, as one step. Raises Unavailable.

        Duplicate: the same e-mail came by another event, or its Message-ID in another e-mail of
        the mailbox. Limit: `limit` e-mails of the sender were accepted in the `WINDOW` before.
        """


class MailIntake:
    """The use cases of e-mails."""

    def __init__(
        self,
        objects: ObjectStore,
        reader: DocumentReader,
        register: MailRegister,
        clock: Callable[[], datetime],
        mailboxes: Mapping[str, Mailbox],
        limits: MailLimits,
        per_sender: int,
    ) -> None:
        self._objects = objects
        self._reader = reader
        self._register = register
        self._clock = clock
        self._mailboxes = mailboxes
        self._limits = limits
        self._per_sender = per_sender

    async def take(self, event: MailReceived) -> MailAccepted | MailSkipped:
        """Read an e-mail. Raises Invalid (unknown mailbox), Missing, Unavailable."""
        mailbox = self._mailboxes.get(event.data.mailbox)
        if mailbox is None:
            known = ", ".join(sorted(self._mailboxes))
            raise Invalid(f"unknown mailbox {event.data.mailbox!r}; configured: {known}")
        raw = event.data.content if event.data.content is not None else b""
        if event.data.key is not None:
            raw = await self._objects.get(event.data.key)
        incoming = _Incoming(event, mail_id(event.data.mailbox, raw))
        await self._objects.put(incoming.raw_key, raw, "message/rfc822")
        try:
            mail = await asyncio.to_thread(read_mail, raw, self._limits)
        except UnreadableMail as refusal:
            return self._skipped(incoming, None, "unreadable", refusal.reason_fr)
        return await self._judge(incoming, mail, mailbox)

    async def _judge(
        self, incoming: _Incoming, mail: Mail, mailbox: Mailbox
    ) -> MailAccepted | MailSkipped:
        envelope = incoming.event.data.envelope
        sender = envelope.mail_from if envelope else None
        text = (await asyncio.to_thread(new_text, mail.text))[:MAX_TEXT]
        skip = skip_reason(mail, text, mailbox.addresses, LOOP_HEADER, sender)
        if skip is not None:
            return self._skipped(incoming, mail, skip.code, skip.reason_fr)
        questions = find_questions(mail.subject, text)
        if not questions:
            return self._skipped(incoming, mail, "empty", "Le message ne demande rien.")
        known = await self._register.register(_arrival(incoming, mail), self._per_sender)
        if known.outcome == "duplicate":
            return self._skipped(
                incoming, mail, "duplicate", "Cet e-mail est déjà arrivé dans cette boîte."
            )
        if known.outcome == "limit":
            detail = f"Plus de {self._per_sender} e-mails de cet expéditeur en une heure."
            return self._skipped(incoming, mail, "limit", detail)
        attachments = await self._attachments(incoming, mail)
        block = _block(incoming, mail, mailbox, known.thread_id, text, questions, attachments)
        return caused(
            incoming.event,
            MailAccepted,
            source=SOURCE,
            time=self._clock(),
            data=OfMail(mail=block),
            subject=str(incoming.mail_id),
        )

    async def _attachments(self, incoming: _Incoming, mail: Mail) -> tuple[Attachment, ...]:
        return tuple(
            [
                await self._attachment(incoming, number, attachment)
                for number, attachment in enumerate(mail.attachments)
            ]
        )

    async def _attachment(
        self, incoming: _Incoming, number: int, found: ReadAttachment
    ) -> Attachment:
        described = Attachment(
            name=found.name, media_type=found.media_type, size=found.size, state="unchecked"
        )
        if number >= MAX_ATTACHMENTS:
            return described
        if found.size > MAX_ATTACHMENT_BYTES:
            return described.model_copy(update={"state": "too-large"})
        try:
            text = await self._reader.text(found.data, found.name, found.media_type)
        except Unreadable:
            return described.model_copy(update={"state": "unreadable"})
        key = f"{incoming.prefix}/attachments/{number}.txt"
        await self._objects.put(key, text.encode(), "text/plain; charset=utf-8")
        return described.model_copy(update={"state": "read", "text_key": key})

    def _skipped(
        self, incoming: _Incoming, mail: Mail | None, reason: SkipReason, detail: str
    ) -> MailSkipped:
        data = MailSkippedData(
            mailbox=incoming.event.data.mailbox,
            mail_id=incoming.mail_id,
            reason=reason,
            detail=detail,
            message_id=mail.message_id if mail else "",
            sender=_address(mail.sender) if mail else None,
            subject=mail.subject if mail else "",
            received=incoming.event.time,
            raw_key=incoming.raw_key,
        )
        return caused(
            incoming.event,
            MailSkipped,
            source=SOURCE,
            time=self._clock(),
            data=data,
            subject=str(incoming.mail_id),
        )


@dataclass(frozen=True, slots=True)
class _Incoming:
    """The event and the e-mail's id. `received` is the event's time: a redelivery has the same."""

    event: MailReceived
    mail_id: UUID

    @property
    def prefix(self) -> str:
        return f"mails/{self.event.data.mailbox}/{self.mail_id}"

    @property
    def raw_key(self) -> str:
        return f"{self.prefix}.eml"


def _arrival(incoming: _Incoming, mail: Mail) -> Arrival:
    mailbox = incoming.event.data.mailbox
    related = tuple(dict.fromkeys(name for name in (*mail.references, mail.in_reply_to) if name))
    # An answer that comes before what it answers finds the same thread: both know the first mail.
    root = next(iter(related), None) or mail.message_id or str(incoming.mail_id)
    return Arrival(
        event_id=incoming.event.id,
        mail_id=incoming.mail_id,
        mailbox=mailbox,
        message_id=mail.message_id,
        related=related,
        thread_id=stable_id("thread", mailbox, root),
        sender_sha256=sha256(mail.sender.address.lower().encode()),
        received=incoming.event.time,
    )


def _block(
    incoming: _Incoming,
    mail: Mail,
    mailbox: Mailbox,
    thread_id: UUID,
    text: str,
    questions: tuple[str, ...],
    attachments: tuple[Attachment, ...],
) -> MailBlock:
    date = mail.date
    return MailBlock(
        mail_id=incoming.mail_id,
        mailbox=incoming.event.data.mailbox,
        thread_id=thread_id,
        message_id=mail.message_id,
        in_reply_to=mail.in_reply_to or None,
        references=mail.references,
        sender=_address(mail.sender),
        reply_to=_address(mail.reply_to[0]) if mail.reply_to else None,
        subject=mail.subject,
        date=date.replace(tzinfo=UTC) if date and date.tzinfo is None else date,
        received=incoming.event.time,
        new_text=text,
        questions=questions,
        language=language(text),
        collections=mailbox.collections,
        audiences=mailbox.audiences,
        raw_key=incoming.raw_key,
        attachments=attachments,
    )


def _address(found: ReadAddress) -> Address:
    return Address(address=found.address, name=found.name)
