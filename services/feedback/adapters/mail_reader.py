"""What PostgreSQL keeps around a draft: its e-mail, the conversation, the drafts beside it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.feedback.access import Viewer
from services.feedback.adapters.sql import GONE
from services.feedback.reading_mails import Exchanged, KeptMail, Newest, ReplyState, Sibling
from shared.postgres import Pool, transaction
from shared.records import Address, MailBlock

THREAD_MOST = 20
TEXT_MOST = 6000
"""Characters of another e-mail of the conversation."""

MAIL = """
select mail_id, subject, sender, sender_name, received, raw_key, block
from feedback.mails where mail_id = $1 and ($2::text[] is null or mailbox = any($2))
"""
THREAD = """
select m.mail_id, m.sender, m.sender_name, m.subject, m.received, m.outcome, m.detail,
       left(coalesce(m.block ->> 'new_text', ''), $3) as text, d.draft_id, d.status,
       r.data ->> 'final_text' as reply, r.created as replied, p.state as reply_state
from feedback.mails t join feedback.mails m on m.thread_id = t.thread_id and m.mailbox = t.mailbox
left join lateral (
    select draft_id, status from feedback.drafts where mail_id = m.mail_id
    order by status in ('approved', 'edited') desc, created desc limit 1) d on true
left join feedback.reviews r on r.draft_id = d.draft_id and r.decision in ('approved', 'edited')
left join lateral (
    select state from feedback.replies where mail_id = m.mail_id
    order by approved desc nulls last limit 1) p on true
where t.mail_id = $1 and m.mail_id <> $1 and ($2::text[] is null or t.mailbox = any($2))
order by m.received desc, m.mail_id limit $4
"""
SIBLINGS = """
select draft_id, request_id, outcome, status, engine, created from feedback.drafts
where mail_id = $1 and ($2::text[] is null or mailbox = any($2))
order by created desc, draft_id
"""
NEWEST = f"""
select document_id, case when {GONE} then 'removed' else state end as state, submitted, sha256
from feedback.documents d where document_id = any($1::uuid[])
"""  # noqa: S608 - of our constants alone
NEXT = """
select d.draft_id from feedback.drafts d left join feedback.locks l using (draft_id)
where d.status = 'waiting' and ($1::text[] is null or d.mailbox = any($1)) and d.draft_id <> $3
  and (l.draft_id is null or l.account = $2 or l.expires < now())
  and ($4::timestamptz is null or (d.created, d.draft_id) > ($4, $3))
order by d.created, d.draft_id limit 1
"""


class PostgresMails:
    """The Protocol ``MailStore``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def mail(self, viewer: Viewer, mail_id: UUID) -> KeptMail | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow(MAIL, mail_id, viewer.mailbox_list)
        if row is None:
            return None
        block = MailBlock.model_validate_json(row["block"]) if row["block"] else None
        return KeptMail(
            mail_id=row["mail_id"],
            subject=row["subject"],
            sender=Address(address=row["sender"], name=row["sender_name"]),
            received=row["received"],
            raw_key=row["raw_key"] or (block.raw_key if block else None),
            block=block,
        )

    async def thread(self, viewer: Viewer, mail_id: UUID) -> Sequence[Exchanged]:
        async with transaction(self._pool) as db:
            found = await db.fetch(THREAD, mail_id, viewer.mailbox_list, TEXT_MOST, THREAD_MOST)
        told = [dict(row) for row in found]
        return [
            Exchanged(sender=Address(address=m.pop("sender"), name=m.pop("sender_name")), **m)
            for m in told
        ]

    async def siblings(self, viewer: Viewer, mail_id: UUID) -> Sequence[Sibling]:
        async with transaction(self._pool) as db:
            found = await db.fetch(SIBLINGS, mail_id, viewer.mailbox_list)
        return [Sibling(**dict(row)) for row in found]

    async def newest(self, documents: Sequence[UUID]) -> dict[UUID, Newest]:
        async with transaction(self._pool) as db:
            found = await db.fetch(NEWEST, list(documents))
        return {row["document_id"]: Newest(**dict(row)) for row in found}

    async def reply_state(self, viewer: Viewer, draft_id: UUID) -> ReplyState | None:
        async with transaction(self._pool) as db:
            found: ReplyState | None = await db.fetchval(
                "select state from feedback.replies where draft_id = $1"
                " and ($2::text[] is null or mailbox = any($2))"
                " order by approved desc nulls last limit 1",
                draft_id,
                viewer.mailbox_list,
            )
        return found

    async def next_waiting(self, viewer: Viewer, draft_id: UUID) -> UUID | None:
        mine = (viewer.mailbox_list, viewer.account, draft_id)
        async with transaction(self._pool) as db:
            created = await db.fetchval(
                "select created from feedback.drafts where draft_id = $1", draft_id
            )
            found: UUID | None = await db.fetchval(NEXT, *mine, created)
            return found or await db.fetchval(NEXT, *mine, None)
