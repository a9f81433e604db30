"""The writes that several methods of the store share; each runs in its caller's transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from services.feedback.access import Viewer
from services.feedback.adapters import rows, sql
from services.feedback.adapters.text import clean, storable
from services.feedback.errors import no_draft, used_id
from services.feedback.records import IndexedVersion, Status, StoredDraft, StoredReview
from services.feedback.withdrawing import Why, Withdraw
from shared.envelope import Event
from shared.events import ReplyApprovedData
from shared.postgres import Connection
from shared.records import MailBlock


async def put_mail(db: Connection, mail: MailBlock, withdraw: Withdraw) -> None:
    """Keep an accepted mail and take back the older waiting drafts of its thread."""
    # One mail of a thread at a time: of two, the older one's drafts are seen by the newer.
    await db.execute(sql.LOCK, mail.thread_id)
    await db.execute(
        sql.PUT_MAIL,
        mail.mail_id,
        mail.mailbox,
        mail.thread_id,
        clean(mail.message_id),
        clean(mail.sender.address),
        clean(mail.sender.name),
        clean(mail.subject),
        mail.received,
        storable(mail.model_dump_json()),
        clean(mail.category) if mail.category else None,
        clean(mail.language),
        mail.raw_key,
    )
    for row in await db.fetch(sql.OLDER_WAITING, mail.thread_id, mail.mail_id, mail.received):
        await take_back(db, rows.draft(row), "newer-mail", withdraw)


async def put_draft(db: Connection, draft: StoredDraft, cited: list[UUID]) -> bool:
    """Store the draft, its passages and its mail's outcome; whether it was new."""
    data = draft.data
    declined = draft.declined
    new = await db.fetchval(
        sql.PUT_DRAFT,
        draft.draft_id,
        data.mail.mail_id,
        data.mail.mailbox,
        draft.outcome,
        data.request_id,
        clean(draft.text or (declined.detail if declined else "")),
        data.evidence,
        data.engine,
        draft.created,
        cited,
        draft.traceparent,
        storable(data.model_dump_json()),
        data.mail.category,
        pipeline(draft),
    )
    if not new:
        return False
    await db.executemany(
        "insert into feedback.passages values ($1, $2, $3, $4, $5::jsonb)",
        [
            (draft.draft_id, rank, p.passage_id, p.document_id, storable(p.model_dump_json()))
            for rank, p in enumerate(data.passages)
        ],
    )
    await _decide(db, draft)
    await db.execute(sql.FLAG_OUTDATED, draft.draft_id, None)
    return True


async def _decide(db: Connection, draft: StoredDraft) -> None:
    """What the draft means for its mail."""
    declined = draft.declined
    await db.execute(
        sql.DECIDE,
        draft.data.mail.mail_id,
        draft.outcome,
        draft.draft_id,
        declined.why if declined else "",
        clean(declined.detail) if declined else "",
        draft.created,
    )


async def of_same_mail(db: Connection, viewer: Viewer, draft_id: UUID) -> dict[UUID, StoredDraft]:
    """The draft and the others of its mail, which nobody else changes until the end.

    Raises NotFound when there is no such draft in the viewer's mailboxes.

    The lock of the thread comes first, as in `put_mail`: a draft that is just being stored is
    either among them or will see what is decided here.
    """
    mail_id = await db.fetchval(sql.MAIL_OF, draft_id, viewer.mailbox_list)
    if mail_id is None:
        raise no_draft(draft_id)
    return await of_mail(db, mail_id)


async def of_mail(db: Connection, mail_id: UUID) -> dict[UUID, StoredDraft]:
    """The drafts of a mail, as `of_same_mail` gives them."""
    await db.execute(sql.LOCK_THREAD, mail_id)
    found = await db.fetch(sql.OF_MAIL, mail_id)
    return {draft.draft_id: draft for draft in map(rows.draft, found)}


async def take_back(db: Connection, draft: StoredDraft, why: Why, withdraw: Withdraw) -> None:
    """Withdraw a waiting draft and leave the event that says so."""
    event = withdraw(draft, why)
    await set_status(db, draft.draft_id, "withdrawn", event.data.detail)
    await put_event(db, event)


async def set_status(db: Connection, draft_id: UUID, status: Status, detail: str) -> None:
    """Change where a draft stands."""
    await db.execute(
        "update feedback.drafts set status = $2, status_detail = $3 where draft_id = $1",
        draft_id,
        status,
        detail,
    )


async def put_event(db: Connection, event: Event) -> None:
    """Leave `event` in the outbox, once."""
    await db.execute(sql.PUT_EVENT, event.id, event.type, clean(storable(event.model_dump_json())))


async def put_review(db: Connection, stored: StoredReview) -> None:
    """Record a review and where its draft stands; raises Conflict for an id of another's."""
    data = stored.review
    new = await db.fetchval(
        sql.PUT_REVIEW,
        data.review_id,
        data.draft_id,
        data.decision,
        stored.created,
        storable(data.model_dump_json()),
        data.mailbox,
        data.edit_distance,
        data.words_changed,
        list(data.reasons),
        data.reviewer,
        data.seconds,
        rows.passages_json(stored.added),
        rows.numbers_json(stored.numbers),
    )
    if not new:
        raise used_id()
    await set_status(db, data.draft_id, data.decision, "")


async def put_approved(db: Connection, reply: ReplyApprovedData, approved: datetime) -> None:
    """The reply waits for the mail system's word."""
    await db.execute(
        sql.PUT_APPROVED,
        reply.reply_id,
        reply.mail_id,
        reply.draft_id,
        reply.mailbox,
        approved,
        storable(reply.model_dump_json()),
    )


async def put_version(db: Connection, version: IndexedVersion) -> None:
    """Remember a searchable version and flag the waiting drafts that cite an older one."""
    block = version.block
    await db.execute(
        sql.PUT_VERSION,
        block.document_id,
        block.version.submitted,
        block.version.sha256,
        block.collection,
        clean(block.name),
        clean(block.title),
        clean(block.url) if block.url else None,
        block.audience,
        clean(block.media_type),
        block.size,
        block.original_key,
        block.text_key,
        version.chunks,
        version.indexed,
    )
    await db.execute(sql.FLAG_OUTDATED, None, block.document_id)


async def counts(
    db: Connection, table: str, column: str, within: str, allowed: list[str] | None
) -> dict[Any, int]:
    """Rows of `table` by the values of `column`, where `within` is `allowed` (None: any)."""
    found = await db.fetch(
        f"select {column} as name, count(*) as n from feedback.{table}"  # noqa: S608 - our names
        f" where $1::text[] is null or {within} = any($1) group by 1",
        allowed,
    )
    return {row["name"]: row["n"] for row in found}


async def unmatched(db: Connection, mailboxes: list[str] | None) -> int:
    """Words of mail systems on e-mails of `mailboxes` (None: any) that nobody heard of."""
    found: int = await db.fetchval(
        "select count(*) from feedback.unmatched where $1::text[] is null or mailbox = any($1)",
        mailboxes,
    )
    return found


def pipeline(draft: StoredDraft) -> str:
    """What made the draft, as the figures name it."""
    prints = draft.data.fingerprints
    told = (prints.model, prints.prompt, prints.embedding, prints.retrieval)
    return clean(" · ".join(told))


def cited_documents(draft: StoredDraft) -> list[UUID]:
    """The documents that the draft names as sources, in a fixed order."""
    sources = draft.ready.sources if draft.ready else ()
    return sorted({source.document_id for source in sources})
