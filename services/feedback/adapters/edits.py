"""Edits and locks in PostgreSQL; each method is one transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg

from services.feedback.access import Viewer
from services.feedback.adapters import audit, rows, sql
from services.feedback.adapters.text import clean
from services.feedback.citing import own_sources
from services.feedback.editing import Change
from services.feedback.edits import Edit, Held, Hold, Kept, Lock, still_waiting, untouched
from services.feedback.records import StoredDraft
from shared.postgres import Connection, Pool, transaction

# A draft first, then its lock, then its edit: whoever takes them takes them in this order.
_DRAFT_FOR_UPDATE = f"{sql.ONE_DRAFT} for update of d"
_HOLD = """
insert into feedback.locks as l (draft_id, account, name, since, expires)
values ($1, $2, $3, $4, $5)
on conflict (draft_id) do update set account = excluded.account, name = excluded.name,
    expires = excluded.expires,
    since = case when l.account = excluded.account and l.expires > $4 then l.since
                 else excluded.since end
where $6 or l.account = excluded.account or l.expires <= $4
returning draft_id
"""
# A sitting lasts until its lock is given back, taken away or expired.
_SAT = """
insert into feedback.sittings as s (draft_id, account, seconds)
select draft_id, account, greatest(0, extract(epoch from least($2, expires) - since))
from feedback.locks where draft_id = $1 and (expires <= $2 or ($3 and account <> $4))
on conflict (draft_id, account) do update set seconds = s.seconds + excluded.seconds
"""
_RELEASE = """
with held as (delete from feedback.locks where draft_id = $1 and account = $3 returning *)
insert into feedback.sittings as s (draft_id, account, seconds)
select draft_id, account, greatest(0, extract(epoch from least($2, expires) - since)) from held
on conflict (draft_id, account) do update set seconds = s.seconds + excluded.seconds
"""
_REMOVED = f"""
select document_id from feedback.documents d where document_id = any($1::uuid[]) and {sql.GONE}
"""  # noqa: S608 - of our constants alone
_PUT_EDIT = """
insert into feedback.edits (draft_id, account, text, added, numbers, wrong, revision, updated)
values ($1, $2, $3, $4::jsonb, $5::jsonb, $6, $7, $8)
on conflict (draft_id) do update set account = excluded.account, text = excluded.text,
    added = excluded.added, numbers = excluded.numbers, wrong = excluded.wrong,
    revision = excluded.revision, updated = excluded.updated
"""


class PostgresEdits:
    """The Protocol `Edits`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def kept(self, viewer: Viewer, draft_id: UUID, now: datetime) -> Kept | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow(sql.ONE_DRAFT, draft_id, viewer.mailbox_list)
            return await kept(db, viewer, rows.draft(row), now) if row else None

    async def take(self, viewer: Viewer, hold: Hold) -> Kept | None:
        async with transaction(self._pool) as db:
            draft = await _draft(db, viewer, hold.draft_id)
            if draft is None:
                return None
            before = await kept(db, viewer, draft, hold.now)
            if draft.status != "waiting":
                return before
            await _hold(db, viewer, hold)
            if hold.force and before.lock and before.lock.account != viewer.account:
                await audit.put(
                    db,
                    viewer,
                    "draft.take-over",
                    f"draft:{draft.draft_id}",
                    draft.data.mail.mailbox,
                    held_by=before.lock.account,
                )
            return await kept(db, viewer, draft, hold.now)

    async def release(self, viewer: Viewer, draft_id: UUID, now: datetime) -> None:
        async with transaction(self._pool) as db:
            await _draft(db, viewer, draft_id)
            await db.execute(_RELEASE, draft_id, now, viewer.account)

    async def change(self, viewer: Viewer, hold: Hold, change: Change) -> Edit | None:
        async with transaction(self._pool) as db:
            draft = await _draft(db, viewer, hold.draft_id)
            if draft is None:
                return None
            still_waiting(draft.status)
            taken = await _hold(db, viewer, hold)
            now = await kept(db, viewer, draft, hold.now)
            if not taken and now.lock:
                raise Held(now.lock, hold.now)
            before = now.edit or untouched(draft, viewer.account, hold.now)
            after = change(draft, before).model_copy(
                update={"account": viewer.account, "updated": hold.now}
            )
            await _put(db, after)
        return after


async def kept(db: Connection, viewer: Viewer, draft: StoredDraft, now: datetime) -> Kept:
    """The draft with its edit and who works on it at `now`."""
    typed = await db.fetchrow("select * from feedback.edits where draft_id = $1", draft.draft_id)
    held = await _lock(db, draft.draft_id)
    edit = _edit(typed) if typed else None
    named = {source.document_id for source in own_sources(draft)}
    named |= {p.document_id for p in (*draft.data.passages, *(edit.added if edit else ()))}
    removed = await db.fetch(_REMOVED, sorted(named))
    return Kept(
        draft=draft,
        edit=edit,
        removed=frozenset(row["document_id"] for row in removed),
        lock=held if held and held.expires > now else None,
        worked=await _worked(db, viewer, draft.draft_id, held, now),
    )


async def forget(db: Connection, draft_id: UUID, typed: bool = True) -> None:
    """The draft is decided: nobody works on it any more; what was ``typed`` is of no more use."""
    for table in ("locks", "sittings", *(("edits",) if typed else ())):
        await db.execute(f"delete from feedback.{table} where draft_id = $1", draft_id)  # noqa: S608 - our names


async def _worked(
    db: Connection, viewer: Viewer, draft_id: UUID, held: Lock | None, now: datetime
) -> float | None:
    before: float | None = await db.fetchval(
        "select seconds from feedback.sittings where draft_id = $1 and account = $2",
        draft_id,
        viewer.account,
    )
    if held is None or held.account != viewer.account:
        return before
    this = (min(now, held.expires) - held.since).total_seconds()
    return max(0.0, this) + (before or 0.0)


async def _draft(db: Connection, viewer: Viewer, draft_id: UUID) -> StoredDraft | None:
    row = await db.fetchrow(_DRAFT_FOR_UPDATE, draft_id, viewer.mailbox_list)
    return rows.draft(row) if row else None


async def _hold(db: Connection, viewer: Viewer, hold: Hold) -> bool:
    await db.execute(_SAT, hold.draft_id, hold.now, hold.force, viewer.account)
    found = await db.fetchval(
        _HOLD,
        hold.draft_id,
        viewer.account,
        clean(viewer.name),
        hold.now,
        hold.expires,
        hold.force,
    )
    return found is not None


async def _put(db: Connection, after: Edit) -> None:
    await db.execute(
        _PUT_EDIT,
        after.draft_id,
        after.account,
        clean(after.text),
        rows.passages_json(after.added),
        rows.numbers_json(after.numbers),
        list(after.wrong),
        after.revision,
        after.updated,
    )


def _edit(row: asyncpg.Record) -> Edit:
    values = dict(row)
    values["added"] = rows.passages(values["added"])
    values["numbers"] = rows.numbers(values["numbers"])
    return Edit(**values)


async def _lock(db: Connection, draft_id: UUID) -> Lock | None:
    row = await db.fetchrow(
        "select draft_id, account, name, since, expires from feedback.locks where draft_id = $1",
        draft_id,
    )
    return Lock(**dict(row)) if row else None
