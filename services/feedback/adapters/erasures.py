"""E-mails forgotten in PostgreSQL; each method is one transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.feedback.access import SYSTEM
from services.feedback.adapters import audit, edits, sql, write
from services.feedback.adapters.text import storable
from services.feedback.erasing import (
    ERASED,
    came_later,
    review_without_words,
    sender_sha256,
    wordless,
)
from services.feedback.records import StoredDraft
from shared.clock import utcnow
from shared.document_events import MailErased
from shared.events import ReplyApproved
from shared.postgres import Connection, Pool, transaction
from shared.records import MailBlock

_NOTE = """
insert into feedback.erasures (event_id, mail_id, sender_sha256, at) values ($1, $2, $3, $4)
on conflict do nothing
"""
_SENDERS = """
select distinct sender from feedback.mails
where erased is null and received <= $1 and sender <> ''
"""
_SENT_BY = """
select mail_id from feedback.mails
where erased is null and received <= $1 and sender = any($2::text[]) order by received, mail_id
"""
_IS_ERASED = """
select exists (select from feedback.erasures where mail_id = $1)
    or exists (select from feedback.erasures where sender_sha256 = $2 and at >= $3)
"""
_IN_THREAD = """
select exists (select from feedback.mails
    where thread_id = $1 and mail_id <> $2 and erased is not null)
"""
# Saved before it is looked for, or after it was noted: one of the two holds the other up.
_SAVING = """
select pg_advisory_xact_lock_shared(hashtextextended(each, 2)) from unnest($1::text[]) each
"""
_ERASING = "select pg_advisory_xact_lock(hashtextextended($1, 2))"
_MAIL = """
update feedback.mails set erased = $2, message_id = '', sender = '', sender_name = '',
    subject = '', raw_key = null, block = null, detail = $3,
    outcome = case outcome when 'pending' then 'skipped' else outcome end,
    reason = case outcome when 'pending' then 'erased' else reason end,
    decided = coalesce(decided, $2)
where mail_id = $1 and erased is null returning mailbox
"""
_DRAFT = """
update feedback.drafts set text = '', data = $2::jsonb, outdated = '{}', status_detail = $3,
    status = case status when 'waiting' then 'withdrawn' else status end
where draft_id = $1
"""
_REVIEW = """
update feedback.reviews set data = $2::jsonb, added = '[]', numbers = '{}' where draft_id = $1
"""
_EVENTS = """
delete from feedback.outbox where event::jsonb ->> 'subject' = $1
returning type, said_at, (event::jsonb #>> '{data,reply_id}')::uuid as reply_id
"""
# Only a reply that was never said ($4) cannot leave any more; of another the mail system will tell.
_REPLIES = """
update feedback.replies set text = null, data = null, message_id = '',
    why = case when state = 'approved' and reply_id = any($4::uuid[]) then $2 else '' end,
    settled = case when state = 'approved' and reply_id = any($4::uuid[]) then $3 else settled end,
    state = case when state = 'approved' and reply_id = any($4::uuid[]) then 'failed' else state end
where mail_id = $1
"""
_UNMATCHED = """
delete from feedback.unmatched u where mail_id = $1 or exists (
    select from feedback.mails m where m.mail_id = $1 and m.mailbox = u.mailbox
        and m.message_id <> '' and m.message_id = u.in_reply_to)
"""
# Later e-mails of a conversation hold what the earlier ones say.
_QUOTED = """
with later as (
    update feedback.mails m set block = jsonb_set(m.block, '{earlier}', '[]')
    from feedback.mails e where e.mail_id = $1 and m.thread_id = e.thread_id and m.mail_id <> $1
        and jsonb_array_length(m.block -> 'earlier') > 0
    returning m.mail_id)
update feedback.drafts d
set data = jsonb_set(d.data, '{mail,earlier}', '[]') || '{"messages": []}'
from later where d.mail_id = later.mail_id
"""


class PostgresErasures:
    """The Protocol `Erasures`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def note(self, event: MailErased) -> tuple[UUID, ...]:
        data = event.data
        named = [(mail_id, None) for mail_id in data.mail_ids]
        async with transaction(self._pool) as db:
            for mail_id, sender in (*named, *([(None, s)] if (s := data.sender_sha256) else [])):
                await db.execute(_NOTE, event.id, mail_id, sender, event.time)
        if not data.sender_sha256:
            return data.mail_ids
        async with transaction(self._pool) as db:
            await db.execute(_ERASING, data.sender_sha256)
            known = [row["sender"] for row in await db.fetch(_SENDERS, event.time)]
            # Hashed here, as what comes later is: lower() of PostgreSQL is that of its locale.
            meant = [sender for sender in known if sender_sha256(sender) == data.sender_sha256]
            found = await db.fetch(_SENT_BY, event.time, meant)
        return tuple(dict.fromkeys((*data.mail_ids, *(row["mail_id"] for row in found))))

    async def erase(self, mail_id: UUID, now: datetime, told: MailErased | None = None) -> None:
        async with transaction(self._pool) as db:
            await db.execute(_ERASING, str(mail_id))
            drafts = await write.of_mail(db, mail_id)
            await db.execute(_QUOTED, mail_id)
            await db.execute(_UNMATCHED, mail_id)
            mailbox = await db.fetchval(_MAIL, mail_id, now, ERASED)
            if mailbox is None:  # not here, or forgotten before
                return
            for draft in drafts.values():
                await _empty(db, draft)
            await db.execute(_REPLIES, mail_id, ERASED, now, await _unsaid(db, mail_id))
            if told:
                await write.put_event(db, told)
            await audit.put(db, SYSTEM, "mail.erased", f"mail:{mail_id}", mailbox)


async def refused(db: Connection, mail_id: UUID, sender: str, received: datetime) -> bool:
    """Whether what comes of an e-mail is to be forgotten, which ingest is then told; until the end
    nobody erases it."""
    hashed = sender_sha256(sender)
    await db.execute(_SAVING, sorted((str(mail_id), hashed)))
    if not await db.fetchval(_IS_ERASED, mail_id, hashed, received):
        return False
    await write.put_event(db, came_later(mail_id, received, utcnow()))
    return True


async def quotes_erased(db: Connection, mail: MailBlock) -> bool:
    """Whether another e-mail of the conversation was erased; until the end none is."""
    await db.execute(sql.LOCK, mail.thread_id)
    return bool(await db.fetchval(_IN_THREAD, mail.thread_id, mail.mail_id))


async def _unsaid(db: Connection, mail_id: UUID) -> list[UUID]:
    """Take what is said of an e-mail out of the outbox; the approved replies among what was not
    said yet. The relay stands still until the end: what it says, it has marked."""
    await db.execute("select pg_advisory_xact_lock($1)", sql.RELAY_LOCK)
    gone = await db.fetch(_EVENTS, str(mail_id))
    return [
        row["reply_id"]
        for row in gone
        if row["type"] == ReplyApproved.TYPE and row["said_at"] is None
    ]


async def _empty(db: Connection, draft: StoredDraft) -> None:
    await db.execute("delete from feedback.passages where draft_id = $1", draft.draft_id)
    await edits.forget(db, draft.draft_id)
    data = storable(wordless(draft).model_dump_json())
    await db.execute(_DRAFT, draft.draft_id, data, ERASED)
    if draft.review:
        bare = review_without_words(draft.review.review)
        await db.execute(_REVIEW, draft.draft_id, storable(bare.model_dump_json()))
