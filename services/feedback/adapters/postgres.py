"""Drafts, reviews and outbox in PostgreSQL; each method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from services.feedback.access import Viewer
from services.feedback.adapters import audit, edits, rows, sql, write
from services.feedback.adapters.erasures import quotes_erased, refused
from services.feedback.adapters.text import clean
from services.feedback.edits import Kept
from services.feedback.erasing import quoting_nothing
from services.feedback.outbox import Say, say_one
from services.feedback.records import (
    DocumentState,
    DraftSummary,
    Figures,
    IndexedVersion,
    MailOutcome,
    Status,
    StoredDraft,
)
from services.feedback.regenerating import still_open
from services.feedback.reviewing import Decided
from services.feedback.service import Ask
from services.feedback.withdrawing import Withdraw
from shared.delivery import Unavailable
from shared.events import DraftRequested, MailSkippedData, ReplyApproved
from shared.postgres import Connection, transaction
from shared.records import MailBlock

SAID_DAYS = 30
"""For which an event that was said is kept: longer than streams keep it by default, so that it can
be looked at or said anew; not for ever, as it may hold a reply's text."""
FORGOTTEN_MOST = 200
"""Events that one turn of the relay forgets: it looks at no others, so that it stays short."""


class PostgresDrafts:
    """The Protocols `Drafts` and `Outbox`."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def ready(self) -> None:
        """Returns when the database answers and has its tables; raises Unavailable."""
        async with transaction(self._pool) as db:
            await db.execute("select from feedback.outbox limit 1")

    async def save_mail(self, mail: MailBlock, withdraw: Withdraw) -> None:
        async with transaction(self._pool) as db:
            if await _refused(db, mail):
                return
            if await quotes_erased(db, mail):
                mail = mail.model_copy(update={"earlier": ()})
            await write.put_mail(db, mail, withdraw)

    async def save_skipped(self, skipped: MailSkippedData) -> None:
        sender = skipped.sender
        async with transaction(self._pool) as db:
            address = sender.address if sender else ""
            if await refused(db, skipped.mail_id, address, skipped.received):
                return
            await db.execute(
                sql.PUT_SKIPPED,
                skipped.mail_id,
                skipped.mailbox,
                clean(skipped.message_id),
                clean(address),
                clean(sender.name) if sender else "",
                clean(skipped.subject),
                skipped.received,
                skipped.reason,
                clean(skipped.detail),
                skipped.raw_key,
            )

    async def save_draft(self, draft: StoredDraft, withdraw: Withdraw) -> None:
        cited = write.cited_documents(draft)
        async with transaction(self._pool) as db:
            if await _refused(db, draft.data.mail):
                return
            # Held until the end: the removal of a cited document comes wholly before or after.
            await db.execute(
                "select pg_advisory_xact_lock_shared(h) from (select hashtextextended(x::text, 1) h"
                " from unnest($1::uuid[]) x order by 1) t",
                cited,
            )
            if await quotes_erased(db, draft.data.mail):
                draft = quoting_nothing(draft)
            mail = draft.data.mail
            await write.put_mail(db, mail, withdraw)
            if not await write.put_draft(db, draft, cited):
                return
            why = await db.fetchval(
                sql.OVERTAKEN, mail.thread_id, mail.mail_id, mail.received, cited
            )
            if why:
                await write.take_back(db, draft, why, withdraw)

    async def save_document(
        self, document: DocumentState, withdraw: Withdraw, version: IndexedVersion | None = None
    ) -> None:
        values = (clean(v) if isinstance(v, str) else v for v in dict(document).values())
        async with transaction(self._pool) as db:
            await db.execute(
                "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 1))",
                document.document_id,
            )
            state = await db.fetchval(sql.PUT_DOCUMENT, *values)
            if version:
                await write.put_version(db, version)
            if state != "removed":
                return
            found = await db.fetch(
                sql.WAITING_CITING,
                document.document_id,
            )
            for row in found:
                await write.take_back(db, rows.draft(row), "document-removed", withdraw)

    async def drafts(
        self,
        viewer: Viewer,
        status: Status | None,
        mailbox: str | None,
        limit: int,
        after: UUID | None,
    ) -> Sequence[DraftSummary]:
        async with transaction(self._pool) as db:
            found = await db.fetch(sql.LIST, status, mailbox, limit, after, viewer.mailbox_list)
        return [rows.summary(row) for row in found]

    async def draft(self, viewer: Viewer, draft_id: UUID) -> StoredDraft | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow(sql.ONE_DRAFT, draft_id, viewer.mailbox_list)
        return rows.draft(row) if row else None

    async def outcome(self, viewer: Viewer, mail_id: UUID) -> MailOutcome | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow(sql.ONE_OUTCOME, mail_id, viewer.mailbox_list)
        return rows.outcome(row) if row else None

    async def documents(self, viewer: Viewer, limit: int) -> Sequence[DocumentState]:
        async with transaction(self._pool) as db:
            found = await db.fetch(sql.DOCUMENTS, limit, viewer.audience_list)
        return [rows.document(row) for row in found]

    async def figures(self, viewer: Viewer) -> Figures:
        mailboxes, audiences = viewer.mailbox_list, viewer.audience_list
        async with transaction(self._pool) as db:
            return Figures(
                outcomes=await write.counts(db, "mails", "outcome", "mailbox", mailboxes),
                statuses=await write.counts(db, "drafts", "status", "mailbox", mailboxes),
                documents=await write.counts(db, "documents", "state", "audience", audiences),
                outbox=await db.fetchval(
                    "select count(*) from feedback.outbox where said_at is null and refused is null"
                ),
                refused=await db.fetchval(
                    "select count(*) from feedback.outbox where refused is not null"
                ),
                unmatched=await write.unmatched(db, mailboxes),
            )

    async def add_review(
        self,
        viewer: Viewer,
        draft_id: UUID,
        now: datetime,
        decision: Callable[[Kept], Decided],
        withdraw: Withdraw,
    ) -> Decided:
        async with transaction(self._pool) as db:
            drafts = await write.of_same_mail(db, viewer, draft_id)
            draft = drafts.pop(draft_id)
            decided = decision(await edits.kept(db, viewer, draft, now))
            if not decided.events:
                return decided
            data = decided.review.review
            await write.put_review(db, decided.review)
            await edits.forget(db, draft_id)
            for event in decided.events:
                await write.put_event(db, event)
                if isinstance(event, ReplyApproved):
                    await write.put_approved(db, event.data, now)
            for other in drafts.values() if data.decision != "rejected" else ():
                if other.status == "waiting":
                    await write.take_back(db, other, "other-approved", withdraw)
            what = f"draft.{data.decision}"
            await audit.put(db, viewer, what, f"draft:{draft_id}", data.mailbox)
        return decided

    async def add_request(
        self, viewer: Viewer, draft_id: UUID, now: datetime, ask: Ask
    ) -> DraftRequested:
        async with transaction(self._pool) as db:
            draft = (await write.of_same_mail(db, viewer, draft_id))[draft_id]
            kept = await edits.kept(db, viewer, draft, now)
            still_open(kept)
            number = await db.fetchval(sql.NEXT_REQUEST, draft.data.mail.mail_id)
            event = ask(kept, number)
            await write.put_event(db, event)
            mailbox = draft.data.mail.mailbox
            await audit.put(db, viewer, "draft.regenerate", f"draft:{draft_id}", mailbox)
        return event

    async def relay(self, say: Say, limit: int) -> int:
        down: Unavailable | None = None
        done = 0
        async with transaction(self._pool) as db:
            if not await db.fetchval("select pg_try_advisory_xact_lock($1)", sql.RELAY_LOCK):
                return 0
            pending = await db.fetch(
                "select position, event from feedback.outbox"
                " where said_at is null and refused is null order by position limit $1",
                limit,
            )
            for row in pending:
                try:
                    refused = await say_one(say, row["event"].encode())
                except Unavailable as error:
                    down = error
                    break
                await db.execute(
                    "update feedback.outbox set refused = $2, said_at = case when $2::text is null"
                    " then now() end where position = $1",
                    row["position"],
                    refused,
                )
                done += 1
            await db.execute(sql.FORGET_SAID, FORGOTTEN_MOST, timedelta(days=SAID_DAYS))
        if down:
            raise down
        return done


async def _refused(db: Connection, mail: MailBlock) -> bool:
    return await refused(db, mail.mail_id, mail.sender.address, mail.received)
