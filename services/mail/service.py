"""What the bridge does: hands e-mails in, and hands each approved reply over at most once."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID, uuid4

from services.mail.composing import Letter, compose
from services.mail.headers import Unsendable
from shared.clock import Clock
from shared.delivery import Invalid
from shared.envelope import INLINE_LIMIT, Event, caused
from shared.events import (
    MailReceived,
    MailReceivedData,
    ReplyApproved,
    ReplyDoubtful,
    ReplyFailed,
    ReplyFailedData,
    ReplySent,
    ReplySentData,
)
from shared.identity import derived_id, mail_id, sha256
from shared.objects import ObjectStore
from shared.records import Envelope

SOURCE = "mail"
PREFIX = "inbox/mail/"
State = Literal["intended", "sent", "drafted", "failed", "doubtful"]
Step = Callable[[], Awaitable[None]]

CRASHED = (
    "L'envoi a été interrompu au moment où le message partait : il est peut-être arrivé. Vérifiez"
    " auprès du serveur de messagerie ou du destinataire avant de le renvoyer."
)
BEFORE = (
    "La réponse a été approuvée avant que la passerelle n'envoie pour cette boîte : elle est"
    " peut-être déjà partie autrement. Vérifiez, puis envoyez-la à la main."
)


class Refused(Exception):
    """The server will never take this e-mail; the text says what it answered."""


class PutOff(Exception):
    """The server does not take this e-mail now, and said so: it did not take it."""


class Ambiguous(Exception):
    """The connection ended after DATA without an answer: the e-mail left, or it did not."""


class Busy(Exception):
    """Another process has this reply in hand."""


@dataclass(frozen=True)
class Verdict:
    """What became of a reply; ``why`` in French. ``attempt`` tells one intention from another."""

    state: State
    message_id: str
    at: datetime
    why: str = ""
    attempt: UUID | None = None


class Sends(Protocol):
    """What is remembered of replies. All methods raise Unavailable."""

    def alone(self, reply: UUID) -> AbstractAsyncContextManager[None]:
        """Nobody else has the reply in hand meanwhile; raises Busy. Freed by a crash too."""

    async def find(self, reply: UUID) -> Verdict | None:
        """What is known of the reply."""

    async def keep(self, reply: UUID, mailbox: str, verdict: Verdict) -> None:
        """Remember, durably."""

    async def forget(self, reply: UUID) -> None:
        """The intention came to nothing."""

    async def since(self, mailbox: str, now: datetime) -> datetime:
        """Since when the bridge sends for the mailbox: ``now``, when it is asked first."""


class Mailer(Protocol):
    """Where the replies of a mailbox go."""

    sender: str
    patience_hours: float

    async def send(self, letter: Letter, before_data: Step) -> Literal["sent", "drafted"]:
        """Hand the e-mail over, calling ``before_data`` once all but its content was accepted.

        Before that it raises Unavailable; at any time Refused or PutOff, by the server's answer;
        after it Ambiguous. An error of ``before_data`` itself comes through: nothing left.
        """


class Replies:
    """Approved replies, each sent at most once without a person."""

    def __init__(self, mailers: Mapping[str, Mailer], sends: Sends, clock: Clock) -> None:
        self._mailers = mailers
        self._sends = sends
        self._clock = clock
        self._since: dict[str, datetime] = {}
        self._untold: dict[UUID, Verdict] = {}
        """Verdicts that the database did not take yet."""
        self._unsent: set[UUID | None] = set()
        """Attempts of which this process knows that they came to nothing, whatever is kept."""

    async def begin(self) -> None:
        """Remember since when the bridge sends for its mailboxes. Raises Unavailable."""
        for mailbox in self._mailers.keys() - self._since.keys():
            self._since[mailbox] = await self._sends.since(mailbox, self._clock())

    async def deliver(self, event: ReplyApproved) -> Event | None:
        """Send the reply unless that was tried before; what to say of it.

        Nothing for a mailbox whose replies others send, and for what now lies among the drafts.
        Raises Busy, PutOff (ask again later), Unavailable.
        """
        data = event.data
        mailer = self._mailers.get(data.mailbox)
        if mailer is None:
            return None
        await self.begin()
        async with self._sends.alone(data.reply_id):
            verdict = await self._known(data.reply_id) or await self._attempt(event, mailer)
            self._untold[data.reply_id] = verdict
            await self._sends.keep(data.reply_id, data.mailbox, verdict)
        self._untold.pop(data.reply_id, None)
        return said(event, verdict)

    async def _known(self, reply: UUID) -> Verdict | None:
        if reply in self._untold:
            return self._untold[reply]
        found = await self._sends.find(reply)
        if found is None or found.state != "intended":
            return found
        if found.attempt in self._unsent:
            return None
        # Nobody has it in hand, so whoever meant to send it died around DATA.
        return Verdict("doubtful", found.message_id, self._clock(), CRASHED)

    async def _attempt(self, event: ReplyApproved, mailer: Mailer) -> Verdict:
        data, now = event.data, self._clock()
        try:
            letter = compose(data, mailer.sender, now)
        except Unsendable as error:
            return Verdict("failed", "", now, str(error))
        if event.time < self._since[data.mailbox]:
            return Verdict("doubtful", letter.message_id, now, BEFORE)

        intention = Verdict("intended", letter.message_id, now, attempt=uuid4())

        async def intend() -> None:
            self._unsent.add(intention.attempt)  # unless it returns, nothing is sent
            await self._sends.keep(data.reply_id, data.mailbox, intention)
            self._unsent.discard(intention.attempt)

        try:
            state = await mailer.send(letter, intend)
        except Refused as error:
            return Verdict("failed", letter.message_id, now, str(error))
        except Ambiguous as error:
            return Verdict("doubtful", letter.message_id, now, f"{CRASHED} ({error})")
        except PutOff as error:
            if now - event.time > timedelta(hours=mailer.patience_hours):
                return Verdict("failed", letter.message_id, now, _given_up(mailer, error))
            self._unsent.add(intention.attempt)
            await self._sends.forget(data.reply_id)
            raise
        return Verdict(state, letter.message_id, self._clock())


def _given_up(mailer: Mailer, error: PutOff) -> str:
    return f"Le serveur a remis l'envoi à plus tard pendant {mailer.patience_hours:g} h : {error}"


def said(event: ReplyApproved, verdict: Verdict) -> Event | None:
    """The event that tells what became of the reply; its id is the same each time."""
    data, at = event.data, verdict.at
    if verdict.state == "sent":
        sent = ReplySentData(
            mailbox=data.mailbox,
            reply_id=data.reply_id,
            mail_id=data.mail_id,
            in_reply_to=data.in_reply_to or None,
            message_id=verdict.message_id,
            sent=at,
            text=data.text,
        )
        return caused(event, ReplySent, source=SOURCE, time=at, data=sent)
    if verdict.state not in ("failed", "doubtful"):
        return None
    kind = ReplyFailed if verdict.state == "failed" else ReplyDoubtful
    told = ReplyFailedData(
        mailbox=data.mailbox, reply_id=data.reply_id, mail_id=data.mail_id, why=verdict.why
    )
    return caused(event, kind, source=SOURCE, time=at, data=told)


class Intake:
    """E-mails that a mail system delivers or a folder holds."""

    def __init__(
        self,
        objects: ObjectStore,
        say: Callable[[Event], Awaitable[None]],
        clock: Clock,
        max_bytes: int,
    ) -> None:
        self._objects = objects
        self._say = say
        self._clock = clock
        self.max_bytes = max_bytes

    async def take(self, mailbox: str, raw: bytes, envelope: Envelope | None = None) -> UUID:
        """Hand an e-mail in; returns its id once the broker has confirmed it.

        The same e-mail is the same event, however often it comes. Raises Invalid (empty, too
        large), Unavailable.
        """
        if not raw.strip() or len(raw) > self.max_bytes:
            limit = f"more than ingest.mail_max_bytes ({self.max_bytes})"
            raise Invalid(f"an e-mail of {len(raw)} bytes: {limit if raw.strip() else 'empty'}")
        identity = mail_id(mailbox, raw)
        event = MailReceived.make(
            source=SOURCE,
            subject=str(identity),
            time=self._clock(),
            data=await self._data(mailbox, raw, envelope),
            id=derived_id(identity, MailReceived.TYPE),
        )
        await self._say(event)
        return identity

    async def _data(self, mailbox: str, raw: bytes, envelope: Envelope | None) -> MailReceivedData:
        if len(raw) <= INLINE_LIMIT:
            content = base64.b64encode(raw)
            return MailReceivedData(mailbox=mailbox, content=content, envelope=envelope)
        key = f"{PREFIX}{sha256(raw)}"
        await self._objects.put(key, raw, "message/rfc822")
        return MailReceivedData(mailbox=mailbox, key=key, envelope=envelope)
