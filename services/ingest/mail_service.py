"""E-mails: from the raw message to its questions, or the reason why it gets no draft."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

from services.ingest.formats.model import Unreadable
from services.ingest.mail_block import (
    MAX_DESCRIBED,
    MAX_SUBJECT_CHARS,
    Asked,
    Incoming,
    block,
    described,
    described_address,
    raw_key,
)
from services.ingest.mail_reading import MailReader, MailReading
from services.ingest.mime import Attachment as ReadAttachment
from services.ingest.mime import Mail, MailLimits, UnreadableMail
from services.ingest.questions import find_questions
from services.ingest.service import SOURCE
from services.ingest.skipping import skip_reason
from services.ingest.threads import Strand, strand_of
from services.ingest.triage import Sorter, undrafted
from shared.delivery import Invalid
from shared.envelope import caused
from shared.events import (
    MailAccepted,
    MailReceived,
    MailSkipped,
    MailSkippedData,
    SkipReason,
)
from shared.identity import LOOP_HEADER, mail_id, stable_id
from shared.objects import Missing, ObjectStore, TooLarge
from shared.records import Attachment, MailBlock
from shared.routing import OfMail
from shared.settings import Mailbox

MAX_ATTACHMENTS = 20
MAX_ATTACHMENT_BYTES = 20 * 2**20
ATTACHMENT_SECONDS = 60.0
"""For all attachments of an e-mail together: it waits for them, and other e-mails for it."""
WINDOW = timedelta(hours=1)
MAX_EARLIER = 3
MAX_EARLIER_CHARS = 2000
"""Of each earlier e-mail of a thread."""

Outcome = Literal["accepted", "duplicate", "limit"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An e-mail that may be answered, and what tells its thread."""

    event_id: UUID
    mail_id: UUID
    mailbox: str
    strand: Strand
    received: datetime


@dataclass(frozen=True, slots=True)
class Registration:
    """What was decided of an arrival, the same each time that its event comes.

    `earlier`: the last accepted e-mails of the thread that were received before, oldest first; at
    most `MAX_EARLIER`.
    """

    outcome: Outcome
    thread_id: UUID
    earlier: tuple[UUID, ...] = ()


class MailRegister(Protocol):
    """Remembers which e-mails came: duplicates, threads, how many of one sender."""

    async def register(self, arrival: Arrival, limit: int) -> Registration:
        """Decide and remember, as one step. Raises Unavailable.

        Duplicate: the same e-mail was accepted by another event, or its Message-ID in another
        e-mail of the sender. Limit: `limit` e-mails of the sender were accepted in the `WINDOW`
        before; sent again later, such an e-mail is decided anew. The thread is that of
        `thread_of`, among the mailbox's e-mails that have the sender among their people.
        """

    async def preview(self, arrival: Arrival, limit: int) -> Registration:
        """What `register` would decide, or decided of the same event. Raises Unavailable."""


class MailIntake:
    """The use cases of e-mails."""

    def __init__(
        self,
        objects: ObjectStore,
        reader: MailReader,
        register: MailRegister,
        clock: Callable[[], datetime],
        mailboxes: Mapping[str, Mailbox],
        limits: MailLimits,
        per_sender: int,
        sorter: Sorter,
        attachment_seconds: float = ATTACHMENT_SECONDS,
    ) -> None:
        self._objects = objects
        self._reader = reader
        self._register = register
        self._clock = clock
        self._mailboxes = mailboxes
        self._limits = limits
        self._per_sender = per_sender
        self._sorter = sorter
        self._attachment_seconds = attachment_seconds

    async def take(self, event: MailReceived) -> MailAccepted | MailSkipped:
        """Read an e-mail. Raises Invalid (unknown mailbox), Missing, Unavailable."""
        mailbox = self._mailbox(event.data.mailbox)
        raw = event.data.content if event.data.content is not None else b""
        if event.data.key is not None:
            try:
                raw = await self._objects.get(event.data.key, at_most=self._limits.max_bytes)
            except TooLarge:
                return self._too_large(event, event.data.key)
        identity = mail_id(event.data.mailbox, raw)
        incoming = Incoming.stored(event, identity)
        await self._objects.put(incoming.raw_key, raw, "message/rfc822")
        try:
            reading = await self._reader.mail(raw, self._limits)
        except UnreadableMail as refusal:
            return self._skipped(incoming, None, "unreadable", refusal.reason_fr)
        return await self._judge(incoming, reading, mailbox)

    async def preview(self, raw: bytes, name: str) -> Registration:
        """What would be decided now of an e-mail that may be answered; nothing is remembered.

        Raises Invalid (unknown mailbox, unreadable), Unavailable.
        """
        mailbox = self._mailbox(name)
        try:
            reading = await self._reader.mail(raw, self._limits)
        except UnreadableMail as refusal:
            raise Invalid(refusal.reason_fr) from refusal
        identity = mail_id(name, raw)
        strand = strand_of(reading.mail, name, identity, mailbox.addresses)
        event = stable_id("preview", str(identity))
        arrival = Arrival(event, identity, name, strand, self._clock())
        return await self._register.preview(arrival, self._per_sender)

    def _mailbox(self, name: str) -> Mailbox:
        if name not in self._mailboxes:
            known = ", ".join(sorted(self._mailboxes))
            raise Invalid(f"unknown mailbox {name!r}; configured: {known}")
        return self._mailboxes[name]

    def _too_large(self, event: MailReceived, key: str) -> MailSkipped:
        # Never read, so named by its key, under which it stays stored.
        incoming = Incoming(event, stable_id("mail", event.data.mailbox, key), key)
        most = self._limits.max_bytes / 1e6
        detail = f"L'e-mail pèse plus que la limite de {most:.1f} Mo : il n'a pas été lu."
        return self._skipped(incoming, None, "unreadable", detail)

    async def _judge(
        self, incoming: Incoming, reading: MailReading, mailbox: Mailbox
    ) -> MailAccepted | MailSkipped:
        mail, text = reading.mail, reading.text
        envelope = incoming.event.data.envelope
        sender = envelope.mail_from if envelope else None
        skip = skip_reason(mail, text, mailbox.addresses, LOOP_HEADER, sender)
        if skip is not None:
            return self._skipped(incoming, mail, skip.code, skip.reason_fr)
        if not reading.questions:
            return self._skipped(incoming, mail, "empty", "Le message ne demande rien.")
        arrival = _arrival(incoming, mail, mailbox)
        known = await self._register.register(arrival, self._per_sender)
        if known.outcome == "duplicate":
            return self._skipped(
                incoming, mail, "duplicate", "Cet e-mail est déjà arrivé dans cette boîte."
            )
        if known.outcome == "limit":
            detail = f"Plus de {self._per_sender} e-mails de cet expéditeur en une heure."
            return self._skipped(incoming, mail, "limit", detail)
        found = await self._sorter.sort(mail.subject, text)
        if found.category is not None and not found.category.draft:
            return self._skipped(incoming, mail, "category", undrafted(found))
        attachments = await self._attachments(incoming, mail)
        earlier = await self._earlier(incoming, known.earlier)
        asked = await asyncio.to_thread(_asked, reading, earlier)
        accepted = block(incoming, mail, mailbox, known.thread_id, asked, found, attachments)
        return self._accepted(incoming, accepted)

    def _accepted(self, incoming: Incoming, mail: MailBlock) -> MailAccepted:
        return caused(
            incoming.event,
            MailAccepted,
            source=SOURCE,
            time=self._clock(),
            data=OfMail(mail=mail),
            subject=str(incoming.mail_id),
            # Two e-mails under one event id are two events, or the broker would drop the second.
            discriminator=str(incoming.mail_id),
        )

    async def _earlier(self, incoming: Incoming, mails: Sequence[UUID]) -> tuple[str, ...]:
        found: list[str] = []
        for identity in mails:
            try:
                raw = await self._objects.get(raw_key(incoming.event.data.mailbox, identity))
                reading = await self._reader.mail(raw, self._limits)
            except (Missing, UnreadableMail):
                # The store forgets e-mails by rules of its own; limits may be lower by now.
                continue
            found.append(reading.text[:MAX_EARLIER_CHARS])
        return tuple(found)

    async def _attachments(self, incoming: Incoming, mail: Mail) -> tuple[Attachment, ...]:
        end = asyncio.get_running_loop().time() + self._attachment_seconds
        return tuple(
            [
                await self._attachment(incoming, number, attachment, end)
                for number, attachment in enumerate(mail.attachments[:MAX_DESCRIBED])
            ]
        )

    async def _attachment(
        self, incoming: Incoming, number: int, found: ReadAttachment, end: float
    ) -> Attachment:
        unchecked = described(found)
        if number >= MAX_ATTACHMENTS or asyncio.get_running_loop().time() >= end:
            return unchecked
        if found.size > MAX_ATTACHMENT_BYTES:
            return unchecked.model_copy(update={"state": "too-large"})
        try:
            async with asyncio.timeout_at(end):
                text = await self._reader.text(found.data, found.name, found.media_type)
        except TimeoutError:
            return unchecked
        except Unreadable:
            return unchecked.model_copy(update={"state": "unreadable"})
        key = f"{incoming.prefix}/attachments/{number}.txt"
        await self._objects.put(key, text.encode(), "text/plain; charset=utf-8")
        return unchecked.model_copy(update={"state": "read", "text_key": key})

    def _skipped(
        self, incoming: Incoming, mail: Mail | None, reason: SkipReason, detail: str
    ) -> MailSkipped:
        data = MailSkippedData(
            mailbox=incoming.event.data.mailbox,
            mail_id=incoming.mail_id,
            reason=reason,
            detail=detail[:MAX_SUBJECT_CHARS],
            message_id=mail.message_id if mail else "",
            sender=described_address(mail.sender) if mail else None,
            subject=mail.subject[:MAX_SUBJECT_CHARS] if mail else "",
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
            discriminator=str(incoming.mail_id),
        )


def _asked(reading: MailReading, earlier: tuple[str, ...]) -> Asked:
    text, questions = reading.text, reading.questions
    before = find_questions("", earlier[-1]) if earlier else ()
    if before:
        # « Et pour une école ? » is understood, and its passages found, by what was asked before.
        questions = find_questions(reading.mail.subject, text, before[-1])
    return Asked(text, questions, reading.language, earlier)


def _arrival(incoming: Incoming, mail: Mail, mailbox: Mailbox) -> Arrival:
    name = incoming.event.data.mailbox
    return Arrival(
        event_id=incoming.event.id,
        mail_id=incoming.mail_id,
        mailbox=name,
        strand=strand_of(mail, name, incoming.mail_id, mailbox.addresses),
        received=incoming.event.time,
    )
