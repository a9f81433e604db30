"""E-mails forgotten in PostgreSQL; each method is one transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.feedback.access import SYSTEM
from services.feedback.adapters import audit, edits, write
from services.feedback.adapters.text import storable
from services.feedback.erasing import ERASED, review_without_words, sender_sha256, wordless
from services.feedback.records import StoredDraft
from shared.document_events import MailErased
from shared.postgres import Connection, Pool, transaction

_NOTE = """
insert into feedback.erasures (event_id, mail_id, sender_sha256, at) values ($1, $2, $3, $4)
on conflict do nothing
"""
_HERE = """
select mail_id from feedback.mails
where erased is null and (mail_id = any($1::uuid[]) or ($2::text is not null and received <= $3
    and encode(sha256(convert_to(lower(sender), 'UTF8')), 'hex') = $2))
order by received, mail_id
"""
_IS_ERASED = """
select exists (select from feedback.erasures where mail_id = $1)
    or exists (select from feedback.erasures where sender_sha256 = $2 and at >= $3)
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
# A reply that no mail system took yet must not leave without its words.
_REPLIES = """
update feedback.replies set text = null, data = null, message_id = '',
    why = case state when 'approved' then $2 else '' end,
    settled = case state when 'approved' then $3 else settled end,
    state = case state when 'approved' then 'failed' else state end
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
        async with transaction(self._pool) as db:
            if data.sender_sha256:
                await db.execute(_ERASING, data.sender_sha256)
            found = await db.fetch(_HERE, list(data.mail_ids), data.sender_sha256, event.time)
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
            await db.execute(_REPLIES, mail_id, ERASED, now)
            await db.execute(
                "delete from feedback.outbox where event::jsonb ->> 'subject' = $1", str(mail_id)
            )
            if told:
                await write.put_event(db, told)
            await audit.put(db, SYSTEM, "mail.erased", f"mail:{mail_id}", mailbox)


async def is_erased(db: Connection, mail_id: UUID, sender: str, received: datetime) -> bool:
    """Whether what comes of an e-mail is to be forgotten; until the end nobody erases it."""
    hashed = sender_sha256(sender)
    await db.execute(_SAVING, sorted((str(mail_id), hashed)))
    return bool(await db.fetchval(_IS_ERASED, mail_id, hashed, received))


async def _empty(db: Connection, draft: StoredDraft) -> None:
    await db.execute("delete from feedback.passages where draft_id = $1", draft.draft_id)
    await edits.forget(db, draft.draft_id)
    data = storable(wordless(draft).model_dump_json())
    await db.execute(_DRAFT, draft.draft_id, data, ERASED)
    if draft.review:
        bare = review_without_words(draft.review.review)
        await db.execute(_REVIEW, draft.draft_id, storable(bare.model_dump_json()))
