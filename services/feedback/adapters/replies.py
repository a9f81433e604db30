"""Replies in PostgreSQL; each method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from services.feedback.access import Viewer
from services.feedback.adapters import audit, edits, rows, sql, write
from services.feedback.adapters.text import clean, storable
from services.feedback.answering import Judge
from services.feedback.erasing import reply_without_words
from services.feedback.reviewing import Decided
from services.feedback.settling import (
    OUTSIDE,
    Heard,
    Known,
    ReplyEvent,
    ReplyState,
    StoredReply,
)
from services.feedback.withdrawing import Withdraw
from shared.delivery import Invalid
from shared.events import ReplyDoubtful, ReplyFailed, ReplySent
from shared.postgres import Connection, Pool, transaction
from shared.registry import decode

log = structlog.get_logger()

_ERASED = "select erased is not null from feedback.mails where mail_id = $1"
UNMATCHED_DAYS = 30
"""For which a mail system's word on an unknown e-mail is kept; it may hold a reply's text."""


class PostgresReplies:
    """The Protocol `Replies`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def settle(
        self, event: ReplyEvent, word: Heard, judge: Judge, withdraw: Withdraw, now: datetime
    ) -> bool:
        async with transaction(self._pool) as db:
            mail_id = await db.fetchval(
                sql.ANSWERED_MAIL,
                word.reply_id,
                word.mail_id,
                clean(word.in_reply_to),
                word.mailbox,
            )
            if mail_id is None:
                await _keep(db, event, word, now)
                return False
            drafts = sorted((await write.of_mail(db, mail_id)).values(), key=lambda d: d.created)
            erased = await db.fetchval(_ERASED, mail_id)
            found = await db.fetch(
                f"{sql.REPLY} where mail_id = $1 order by approved, reply_id for update", mail_id
            )
            known = [rows.reply(row) for row in found]
            settled = judge(Known(mail_id, known, [] if erased else drafts))
            reply = _of_erased(settled.reply, known) if erased else settled.reply
            if reply:
                await _put(db, reply)
            for decided in settled.reviews:
                await _decide(db, decided)
            for draft in settled.overtaken:
                await write.take_back(db, draft, "already-answered", withdraw)
            await db.execute("delete from feedback.unmatched where event_id = $1", event.id)
        return True

    async def unmatched(self, mailbox: str, mail_id: UUID, message_id: str) -> Sequence[ReplyEvent]:
        async with transaction(self._pool) as db:
            found = await db.fetch(sql.UNMATCHED, mailbox, mail_id, clean(message_id))
        return [event for row in found if (event := _event(row["event"]))]

    async def replies(
        self,
        viewer: Viewer,
        state: ReplyState | None,
        mailbox: str | None,
        limit: int,
        after: UUID | None,
    ) -> Sequence[StoredReply]:
        async with transaction(self._pool) as db:
            found = await db.fetch(sql.REPLIES, state, mailbox, limit, after, viewer.mailbox_list)
        return [rows.reply(row) for row in found]

    async def reply(self, viewer: Viewer, reply_id: UUID) -> StoredReply | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow(sql.ONE_REPLY, reply_id, viewer.mailbox_list)
        return rows.reply(row) if row else None

    async def tell(
        self, viewer: Viewer, mail_id: UUID, event_in: Callable[[str], ReplyEvent]
    ) -> str | None:
        async with transaction(self._pool) as db:
            mailbox: str | None = await db.fetchval(
                "select mailbox from feedback.mails"
                " where mail_id = $1 and ($2::text[] is null or mailbox = any($2))",
                mail_id,
                viewer.mailbox_list,
            )
            if mailbox is not None:
                event = event_in(mailbox)
                await write.put_event(db, event)
                what = event.type.split(".", 1)[1].removesuffix(".v1")
                await audit.put(db, viewer, what, f"mail:{mail_id}", mailbox)
        return mailbox


async def _keep(db: Connection, event: ReplyEvent, word: Heard, now: datetime) -> None:
    await db.execute(
        sql.PUT_UNMATCHED,
        event.id,
        word.mailbox,
        word.mail_id,
        clean(word.in_reply_to),
        now,
        clean(storable(event.model_dump_json())),
    )
    await db.execute(
        "delete from feedback.unmatched where heard < $1", now - timedelta(days=UNMATCHED_DAYS)
    )


async def _put(db: Connection, reply: StoredReply) -> None:
    await db.execute(
        sql.PUT_REPLY,
        reply.reply_id,
        reply.mail_id,
        reply.draft_id,
        reply.mailbox,
        reply.state,
        reply.approved,
        reply.settled,
        clean(reply.message_id),
        clean(reply.why),
        None if reply.text is None else clean(reply.text),
        reply.comparison.model_dump_json() if reply.comparison else None,
    )


def _of_erased(told: StoredReply | None, known: Sequence[StoredReply]) -> StoredReply | None:
    """A known reply that stands elsewhere now; no other is begun for an e-mail without words."""
    states = {reply.reply_id: reply.state for reply in known}
    if told is None or states.get(told.reply_id, told.state) == told.state:
        return None
    return reply_without_words(told)


async def _decide(db: Connection, decided: Decided) -> None:
    """A review that a sent text made; what an agent typed meanwhile stays to be read."""
    data = decided.review.review
    await write.put_review(db, decided.review)
    await edits.forget(db, data.draft_id, typed=False)
    for event in decided.events:
        await write.put_event(db, event)
    await audit.put(db, OUTSIDE, f"draft.{data.decision}", f"draft:{data.draft_id}", data.mailbox)


def _event(body: str) -> ReplyEvent | None:
    try:
        event = decode(body.encode())
    except Invalid as error:
        log.error("an event that was kept cannot be read", reason=str(error))
        return None
    return event if isinstance(event, ReplySent | ReplyFailed | ReplyDoubtful) else None
