"""From a mail system's word on a reply to what is kept of it and of the mail's drafts. Pure.

A text that was sent without an approval decides the drafts that still wait: the one that it
resembles was edited elsewhere; when it resembles none, they were of no use, which says more of a
draft than any rejection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from services.feedback.citing import marks, own_sources
from services.feedback.comparing import RESEMBLES, Comparison, compare, written
from services.feedback.errors import Unacceptable
from services.feedback.records import StoredDraft, StoredReview
from services.feedback.reviewing import SERVICE, Decided, E, cited_passages, said
from shared.envelope import Frozen
from shared.events import (
    Decision,
    ReplyApprovedData,
    ReplyDoubtful,
    ReplyFailed,
    ReplyFailedData,
    ReplySent,
    ReplySentData,
    ReviewRecorded,
    ReviewRecordedData,
)
from shared.identity import derived_id, sha256, stable_id

ReplyState = Literal["approved", "sent", "failed", "doubtful"]
ReplyEvent = ReplySent | ReplyFailed | ReplyDoubtful

OUTSIDE = "mail-system"
"""Who reviewed, when a text was sent elsewhere; accounts' pseudonyms are random."""
TEXT_MOST = 100_000
"""Characters of a sent text that are kept and compared."""


class StoredReply(Frozen):
    """What became of a reply; ``why`` it failed is the mail system's word.

    ``text`` is what was sent, as its author wrote it, when the mail system told; ``comparison``
    sets it against the draft; ``reply`` is what was approved, None for one that was sent without.
    """

    reply_id: UUID
    mail_id: UUID
    draft_id: UUID | None = None
    mailbox: str
    state: ReplyState
    approved: AwareDatetime | None = None
    settled: AwareDatetime | None = None
    message_id: str = ""
    why: str = ""
    text: str | None = None
    comparison: Comparison | None = None
    reply: ReplyApprovedData | None = None


class Heard(Frozen):
    """What a mail system says, whichever event says it."""

    mailbox: str
    reply_id: UUID | None = None
    mail_id: UUID | None = None
    in_reply_to: str = ""
    state: Literal["sent", "failed", "doubtful"]
    at: AwareDatetime
    message_id: str = ""
    why: str = ""
    text: str | None = None


class Word(Frozen):
    """What a mail system that knows no events tells by the API.

    ``message_id`` is that of the reply, needed once it was sent; ``reply_id`` names an approved
    reply, needed when it was not. ``text`` is what was sent, with or without quotes.
    """

    state: Literal["sent", "failed", "doubtful"]
    reply_id: UUID | None = None
    message_id: str = Field(default="", max_length=998)
    at: AwareDatetime | None = None
    why: str = Field(default="", max_length=2000)
    text: str | None = Field(default=None, max_length=TEXT_MOST)


@dataclass(frozen=True)
class Known:
    """The mail that was answered, its replies, and its drafts, oldest first."""

    mail_id: UUID
    replies: Sequence[StoredReply]
    drafts: Sequence[StoredDraft]


@dataclass(frozen=True)
class Settled:
    """What is to be kept: the reply (None: nothing new), reviews, drafts to withdraw."""

    reply: StoredReply | None
    reviews: tuple[Decided, ...] = ()
    overtaken: tuple[StoredDraft, ...] = ()


def heard(event: ReplyEvent) -> Heard:
    """What ``event`` says."""
    data = event.data
    if isinstance(event, ReplySent):
        sent = event.data
        return Heard(
            mailbox=sent.mailbox,
            reply_id=sent.reply_id,
            mail_id=sent.mail_id,
            in_reply_to=(sent.in_reply_to or "").strip(),
            state="sent",
            at=sent.sent,
            message_id=sent.message_id,
            text=None if sent.text is None else sent.text[:TEXT_MOST],
        )
    return Heard(
        mailbox=data.mailbox,
        reply_id=data.reply_id,
        mail_id=data.mail_id,
        state="failed" if isinstance(event, ReplyFailed) else "doubtful",
        at=event.time,
        why=event.data.why,
    )


def event_of(word: Word, mail_id: UUID, mailbox: str, now: datetime) -> ReplyEvent:
    """The event that says ``word``. Raises Unacceptable.

    The same word gives the same event: of a sent reply the same text, of another the same ``at``
    (without one each word is said for itself).
    """
    at = word.at or now
    if word.state == "sent":
        if not word.message_id:
            raise Unacceptable("Indiquez `message_id` : le Message-ID de la réponse envoyée.")
        sent = ReplySentData(
            mailbox=mailbox,
            reply_id=word.reply_id,
            mail_id=mail_id,
            message_id=word.message_id,
            sent=at,
            text=word.text,
        )
        # A text that is told later is another word, and must not be taken for a repetition.
        text = "" if word.text is None else f" {sha256(word.text.encode())}"
        return _made(ReplySent, mail_id, at, sent, word.message_id + text)
    if word.reply_id is None:
        raise Unacceptable("Indiquez `reply_id` : la réponse qui n'a pas pu partir.")
    told = ReplyFailedData(mailbox=mailbox, reply_id=word.reply_id, mail_id=mail_id, why=word.why)
    key = f"{word.reply_id} {at.isoformat()}"
    if word.state == "failed":
        return _made(ReplyFailed, mail_id, at, told, key)
    return _made(ReplyDoubtful, mail_id, at, told, key)


def _made(kind: type[E], mail_id: UUID, time: datetime, data: Frozen, key: str) -> E:
    return kind.make(
        source=SERVICE,
        subject=str(mail_id),
        time=time,
        data=data,
        id=derived_id(mail_id, kind.TYPE, key),
    )


def settle(known: Known, word: Heard, now: datetime) -> Settled:
    """What ``word`` changes. Sent is the last word; of the others the later one counts."""
    row = _reply_of(known, word)
    if row and not _tells_more(row, word):
        return Settled(None)
    waiting = [draft for draft in known.drafts if draft.status == "waiting"]
    best = _most_alike(waiting or known.drafts, word.text)
    if row and row.draft_id:
        best = next((d for d in known.drafts if d.draft_id == row.draft_id), best)
    reply = _settled(row, known, word, best)
    if word.state != "sent" or (row and row.approved):
        return Settled(reply)
    return _decided(reply, waiting, best, word, now)


def _reply_of(known: Known, word: Heard) -> StoredReply | None:
    """The reply that is meant; a mail system that knows no ids means the approved one."""
    for reply in known.replies:
        if reply.reply_id in (word.reply_id, _own_id(known, word)):
            return reply
        if word.message_id and reply.message_id == word.message_id:
            return reply
    if word.state != "sent":
        return None
    open_ones = (reply for reply in known.replies if reply.approved and reply.state != "sent")
    return next(open_ones, None)


def _own_id(known: Known, word: Heard) -> UUID:
    """Of a reply that was not approved here. Never the caller's id, which may be of another
    mail's reply."""
    if word.reply_id:
        return stable_id("told", str(known.mail_id), str(word.reply_id))
    return stable_id("sent", str(known.mail_id), word.message_id)


def _tells_more(row: StoredReply, word: Heard) -> bool:
    if word.state == "sent":
        return row.state != "sent" or (row.text is None and word.text is not None)
    return row.state != "sent" and (row.settled is None or row.settled < word.at)


def _most_alike(drafts: Sequence[StoredDraft], text: str | None) -> StoredDraft | None:
    """The draft that ``text`` resembles most; without a text the last one."""
    if text is None:
        return drafts[-1] if drafts else None
    return max(drafts, key=lambda d: compare(d.text, text).similarity, default=None)


def _settled(
    row: StoredReply | None, known: Known, word: Heard, draft: StoredDraft | None
) -> StoredReply:
    base = row or StoredReply(
        reply_id=_own_id(known, word),
        mail_id=known.mail_id,
        mailbox=word.mailbox,
        state=word.state,
    )
    told: dict[str, object] = {
        "state": word.state,
        "settled": word.at,
        "message_id": word.message_id or base.message_id,
        "why": word.why,
        "draft_id": base.draft_id or (draft.draft_id if draft else None),
    }
    if word.text is not None:
        told["text"] = written(word.text)
        told["comparison"] = compare(draft.text, word.text) if draft and draft.ready else None
    return base.model_copy(update=told)


def _decided(
    reply: StoredReply,
    waiting: Sequence[StoredDraft],
    best: StoredDraft | None,
    word: Heard,
    now: datetime,
) -> Settled:
    """What a text that was sent elsewhere makes of the drafts that wait."""
    alike = reply.comparison.similarity if reply.comparison else 0.0
    if best in waiting and best is not None and alike >= RESEMBLES:
        changed = reply.comparison and reply.comparison.words_changed
        taken = _review(best, "edited" if changed else "approved", reply, word, now)
        others = tuple(draft for draft in waiting if draft is not best)
        return Settled(reply, (taken,), others)
    return Settled(reply, tuple(_review(draft, "unused", reply, word, now) for draft in waiting))


def _review(
    draft: StoredDraft, decision: Decision, reply: StoredReply, word: Heard, now: datetime
) -> Decided:
    text = reply.text or ""
    compared = compare(draft.text, word.text or "")
    kept, dropped = _citations(draft, text)
    data = ReviewRecordedData(
        mailbox=draft.data.mail.mailbox,
        review_id=stable_id("review", str(draft.draft_id), "sent", word.message_id),
        draft_id=draft.draft_id,
        mail_id=draft.data.mail.mail_id,
        decision=decision,
        final_text=text,
        edit_distance=compared.edit_distance,
        words_changed=compared.words_changed,
        citations_kept=kept if decision != "unused" else (),
        citations_dropped=dropped if decision != "unused" else (),
        reviewer=OUTSIDE,
    )
    event = said(ReviewRecorded, data.review_id, draft, data, now)
    return Decided(StoredReview(created=now, review=data), (event,))


def _citations(draft: StoredDraft, text: str) -> tuple[tuple[UUID, ...], tuple[UUID, ...]]:
    """Passages kept and dropped; a text without any [n] tells nothing of them."""
    numbers = marks(text)
    if not numbers:
        return (), ()
    used = {p for s in own_sources(draft) if s.number in numbers for p in s.passage_ids}
    cited = cited_passages(draft)
    return tuple(p for p in cited if p in used), tuple(p for p in cited if p not in used)
