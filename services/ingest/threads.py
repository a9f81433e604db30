"""Which conversation an e-mail belongs to, by the e-mails it names or by subject and people.

Headers are believed where they agree with the subject. Programs and web pages lose them, and people
press "reply" on any old e-mail to write about something new.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.ingest.mime import Mail
from services.ingest.questions import bare_subject, is_reply
from services.ingest.skipping import correspondent_of
from shared.identity import sha256, stable_id

SUBJECT_WINDOW = timedelta(days=30)
"""How long after an e-mail one without headers may still answer it."""
MAX_RELATED = 50
MAX_PARTICIPANTS = 50
_MAX_SUBJECT_CHARS = 200
"""Programs cut long subjects at different lengths."""


@dataclass(frozen=True, slots=True)
class Strand:
    """What tells the thread of an e-mail; people and subject as SHA-256, "" when there is none.

    `related`: the Message-IDs it answers, nearest last. `people`: everyone it is from or to, our
    own addresses excepted. `thread_id` is its thread when none of `related` is known, the same for
    all e-mails that name the same first one; `own_thread_id` when it starts a new one.
    """

    message_id: str
    related: tuple[str, ...]
    subject: str
    reply: bool
    sender: str
    people: tuple[str, ...]
    thread_id: UUID
    own_thread_id: UUID


@dataclass(frozen=True, slots=True)
class Earlier:
    """An e-mail of the mailbox that came before and has the sender among its people."""

    message_id: str
    subject: str
    thread_id: UUID
    received: datetime


def thread_of(strand: Strand, received: datetime, known: Sequence[Earlier]) -> UUID:
    """The thread of an e-mail that came at `received`; `known` in the order they came.

    The nearest known e-mail that it names, unless it has a subject of its own and is no reply;
    else, for a reply, the last one of the same subject within `SUBJECT_WINDOW`.
    """
    for name in reversed(strand.related):
        named = next((one for one in known if one.message_id == name), None)
        if named is not None:
            return strand.own_thread_id if _changed(strand, named) else named.thread_id
    if strand.reply and strand.subject:
        since = received - SUBJECT_WINDOW
        for one in reversed(known):
            if one.subject == strand.subject and since <= one.received <= received:
                return one.thread_id
    return strand.thread_id


def strand_of(mail: Mail, mailbox: str, mail_id: UUID, own: Collection[str]) -> Strand:
    """What tells the thread of `mail`; `own`: the mailbox's addresses."""
    correspondent = correspondent_of(mail)
    sender = sha256(correspondent.encode())
    names = (*mail.references[-MAX_RELATED:], mail.in_reply_to)
    related = tuple(dict.fromkeys(name for name in names if name))
    mine = mail.message_id or str(mail_id)
    # An answer that comes before what it answers finds the same thread: both know the first mail.
    # All who answer one circular share its Message-ID, so the correspondent is part of the thread.
    root = next(iter(related), mine)
    return Strand(
        message_id=mail.message_id,
        related=related,
        subject=_subject(mail.subject),
        reply=is_reply(mail.subject),
        sender=sender,
        people=_people(correspondent, mail, own),
        thread_id=stable_id("thread", mailbox, sender, root),
        own_thread_id=stable_id("thread", mailbox, sender, mine),
    )


def _changed(strand: Strand, named: Earlier) -> bool:
    """Whether an old e-mail was only taken as a form to write about something else."""
    both = strand.subject and named.subject
    return bool(both) and strand.subject != named.subject and not strand.reply


def _subject(subject: str) -> str:
    folded = unicodedata.normalize("NFKD", bare_subject(subject)).casefold()
    words = "".join(re.findall(r"[^\W_]+", folded))[:_MAX_SUBJECT_CHARS]
    return sha256(words.encode()) if words else ""


def _people(correspondent: str, mail: Mail, own: Collection[str]) -> tuple[str, ...]:
    ours = {address.lower() for address in own}
    everyone: Iterable[str] = (
        one.address.lower() for one in (mail.sender, *mail.reply_to, *mail.recipients)
    )
    named = dict.fromkeys((correspondent, *everyone))
    kept = [address for address in named if address and address not in ours]
    return tuple(sha256(address.encode()) for address in kept[:MAX_PARTICIPANTS])
