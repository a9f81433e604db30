"""Forgetting an e-mail: words of it, its drafts and its reviews go; that they were is counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from services.feedback.records import StoredDraft
from services.feedback.reviewing import SERVICE
from services.feedback.settling import StoredReply
from shared.document_events import MailErased, MailErasedData
from shared.envelope import caused
from shared.events import DraftDeclinedData, DraftReadyData, ReviewRecordedData
from shared.identity import derived_id
from shared.records import Address, Check, MailBlock, Part

ERASED = "L'e-mail et tout ce qui en a été écrit ont été effacés."
_NOTHING = "erased"
"""Where the contract asks for a word."""


class Erasures(Protocol):
    """Where e-mails are forgotten; each method may be repeated. All raise Unavailable."""

    async def note(self, event: MailErased) -> tuple[UUID, ...]:
        """Remember what is to be forgotten, for what comes later too; the e-mails that are here."""

    async def erase(self, mail_id: UUID, now: datetime, told: MailErased | None = None) -> None:
        """Take the words of an e-mail out of all that is kept of it; the audit has that it was.
        ``told`` is said of one that was here."""


class Erasing:
    """The use case."""

    def __init__(self, erasures: Erasures, clock: Callable[[], datetime]) -> None:
        self._erasures, self._clock = erasures, clock

    async def hear(self, event: MailErased) -> None:
        """Forget what ``event`` names; e-mails one by one, so that many keep nobody waiting."""
        by_sender = event.data.sender_sha256 is not None
        for mail_id in await self._erasures.note(event):
            now = self._clock()
            told = named(event, mail_id, now) if by_sender else None
            await self._erasures.erase(mail_id, now, told)


def named(event: MailErased, mail_id: UUID, now: datetime) -> MailErased:
    """For those who do not know a sender's e-mails: one of them by its id."""
    return caused(
        event,
        MailErased,
        source=SERVICE,
        time=now,
        data=MailErasedData(mail_ids=(mail_id,)),
        subject=str(mail_id),
        discriminator=str(mail_id),
    )


def came_later(mail_id: UUID, received: datetime, now: datetime) -> MailErased:
    """For ingest, which stored an e-mail that is to be forgotten. ``received`` is in the id: handed
    in again, an e-mail brings the ids of the events before, and must be told of again."""
    return MailErased.make(
        source=SERVICE,
        subject=str(mail_id),
        time=now,
        data=MailErasedData(mail_ids=(mail_id,)),
        id=derived_id(mail_id, MailErased.TYPE, received.isoformat()),
    )


def sender_sha256(address: str) -> str:
    """By which a sender is named without its address."""
    return sha256(address.lower().encode()).hexdigest()


def wordless(draft: StoredDraft) -> DraftReadyData | DraftDeclinedData:
    """The draft's data with what figures count, and without a word of e-mail, prompt or answer."""
    data = draft.data
    bare = {
        "mail": _block(data.mail),
        "passages": (),
        "messages": (),
        "raw_output": "",
        "checks": tuple(Check(name=check.name, passed=check.passed) for check in data.checks),
    }
    if isinstance(data, DraftDeclinedData):
        return data.model_copy(update={**bare, "detail": ERASED})
    said = {"greeting": "", "parts": (Part(text=""),), "closing": "", "text": ""}
    return data.model_copy(update={**bare, **said, "sources": (), "unanswered": ()})


def review_without_words(review: ReviewRecordedData) -> ReviewRecordedData:
    """The review with its figures alone."""
    return review.model_copy(update={"final_text": "", "note": ""})


def reply_without_words(reply: StoredReply) -> StoredReply:
    """What became of a reply, alone."""
    return reply.model_copy(update={"message_id": "", "why": "", "text": None, "reply": None})


def quoting_nothing(draft: StoredDraft) -> StoredDraft:
    """The draft without what its e-mail and prompt hold of earlier e-mails."""
    data = draft.data
    if not data.mail.earlier:
        return draft
    mail = data.mail.model_copy(update={"earlier": ()})
    bare = data.model_copy(update={"mail": mail, "messages": ()})
    return draft.model_copy(update={"ready" if draft.ready else "declined": bare})


def _block(mail: MailBlock) -> MailBlock:
    return MailBlock(
        mail_id=mail.mail_id,
        mailbox=mail.mailbox,
        thread_id=mail.thread_id,
        sender=Address(address=""),
        received=mail.received,
        new_text="",
        questions=(_NOTHING,),
        language=mail.language,
        category=mail.category,
        collections=mail.collections,
        audiences=mail.audiences,
        raw_key=_NOTHING,
    )
