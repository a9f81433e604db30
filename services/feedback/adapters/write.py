"""The writes that several methods of the store share; each runs in its caller's transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.feedback.access import Viewer
from services.feedback.adapters import rows, sql
from services.feedback.adapters.text import clean, storable
from services.feedback.records import Status, StoredDraft
from services.feedback.reviewing import no_draft
from services.feedback.service import Why, Withdraw
from shared.envelope import Event
from shared.postgres import Connection
from shared.records import MailBlock


async def put_mail(db: Connection, mail: MailBlock, withdraw: Withdraw) -> None:
    """Keep an accepted mail and take back the older waiting drafts of its thread."""
    # One mail of a thread at a time: of two, the older one's drafts are seen by the newer.
    await db.execute(
        "select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 0))", mail.thread_id
    )
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
    await db.execute(
        sql.DECIDE,
        data.mail.mail_id,
        draft.outcome,
        draft.draft_id,
        declined.why if declined else "",
        clean(declined.detail) if declined else "",
        draft.created,
    )
    return True


async def of_same_mail(db: Connection, viewer: Viewer, draft_id: UUID) -> dict[UUID, StoredDraft]:
    """The draft and the others of its mail, which nobody else changes until the end.

    Raises NotFound when there is no such draft in the viewer's mailboxes.

    The lock of the thread comes first, as in `put_mail`: a draft that is just being stored is
    either among them or will see what is decided here.
    """
    await db.execute(sql.LOCK_THREAD, draft_id)
    found = await db.fetch(sql.OF_SAME_MAIL, draft_id, viewer.mailbox_list)
    if not found:
        raise no_draft(draft_id)
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


def cited_documents(draft: StoredDraft) -> list[UUID]:
    """The documents that the draft names as sources, in a fixed order."""
    sources = draft.ready.sources if draft.ready else ()
    return sorted({source.document_id for source in sources})
