"""The append-only audit in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence

import asyncpg
from pydantic import JsonValue

from services.feedback.access import Viewer
from services.feedback.adapters.text import clean, storable
from services.feedback.auditing import AuditEntry, AuditWish
from shared.postgres import Connection, transaction

_PUT = """
insert into feedback.audit (account, action, object, mailbox, detail)
values ($1, $2, $3, $4, $5::jsonb)
"""
_FIND = """
select position, at, account, action, object, mailbox, detail from feedback.audit
where ($1 = '' or account = $1) and ($2 = '' or action = $2) and ($3 = '' or object = $3)
  and ($4 = '' or mailbox = $4) and ($5::timestamptz is null or at >= $5)
  and ($6::timestamptz is null or at < $6) and ($7::bigint is null or position < $7)
  and ($8::text[] is null or mailbox is null or mailbox = any($8))
order by position desc limit $9
"""


async def put(
    db: Connection,
    who: Viewer | str,
    action: str,
    object: str = "",
    mailbox: str | None = None,
    **detail: JsonValue,
) -> None:
    """As ``Audit.record``, in the caller's transaction: what was done and its entry are one."""
    account = who.account if isinstance(who, Viewer) else who
    told = storable(json.dumps(detail))
    await db.execute(_PUT, clean(account), action, clean(object), mailbox, told)


class PostgresAudit:
    """The Protocols ``Audit`` and ``AuditLog``."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def record(
        self,
        who: Viewer | str,
        action: str,
        object: str = "",
        mailbox: str | None = None,
        **detail: JsonValue,
    ) -> None:
        async with transaction(self._pool) as db:
            await put(db, who, action, object, mailbox, **detail)

    async def entries(self, viewer: Viewer, wish: AuditWish, limit: int) -> Sequence[AuditEntry]:
        values = (wish.account, wish.action, wish.object, wish.mailbox, wish.since, wish.until)
        async with transaction(self._pool) as db:
            found = await db.fetch(_FIND, *values, wish.before, viewer.mailbox_list, limit)
        return [AuditEntry(**{**row, "detail": json.loads(row["detail"])}) for row in found]

    async def actions(self) -> Sequence[str]:
        async with transaction(self._pool) as db:
            # One step of the index for each action, however many entries there are.
            found = await db.fetch(_ACTIONS)
        return [row["action"] for row in found]


_ACTIONS = """
with recursive each (action) as (
    select min(action) from feedback.audit
    union all
    select (select min(a.action) from feedback.audit a where a.action > each.action)
    from each where each.action is not null
)
select action from each where action is not null
"""
