"""What the bridge remembers, in PostgreSQL: intentions to send, places in folders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from services.mail.collecting import Place
from services.mail.service import Busy, Verdict
from shared.postgres import Pool, transaction


class PostgresSends:
    """The Protocol ``Sends``."""

    def __init__(self, pool: Pool, locks: Pool) -> None:
        """``locks`` are connections of their own: who has one never waits for the other kind."""
        self._pool = pool
        self._locks = locks

    async def ready(self) -> None:
        """Returns when the database answers and has its tables. Raises Unavailable."""
        async with transaction(self._pool) as db:
            await db.execute("select from bridge.sends limit 1")

    @asynccontextmanager
    async def alone(self, reply: UUID) -> AsyncIterator[None]:
        # The lock ends with its connection, so a crash frees it at once.
        async with transaction(self._locks) as db:
            query = "select pg_try_advisory_xact_lock(hashtextextended($1::uuid::text, 7))"
            if not await db.fetchval(query, reply):
                raise Busy(f"reply {reply} is in another process's hand")
            yield

    async def find(self, reply: UUID) -> Verdict | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow("select * from bridge.sends where reply_id = $1", reply)
        if row is None:
            return None
        told = (row["state"], row["message_id"], row["changed"], row["why"], row["attempt"])
        return Verdict(*told)

    async def keep(self, reply: UUID, mailbox: str, verdict: Verdict) -> None:
        async with transaction(self._pool) as db:
            await db.execute(
                "insert into bridge.sends values ($1, $2, $3, $4, $5, $6, $7) on conflict"
                " (reply_id) do update"
                " set message_id = $3, state = $4, why = $5, changed = $6, attempt = $7",
                reply,
                mailbox,
                verdict.message_id,
                verdict.state,
                verdict.why,
                verdict.at,
                verdict.attempt,
            )

    async def forget(self, reply: UUID) -> None:
        async with transaction(self._pool) as db:
            await db.execute("delete from bridge.sends where reply_id = $1", reply)

    async def since(self, mailbox: str, now: datetime) -> datetime:
        async with transaction(self._pool) as db:
            await db.execute(
                "insert into bridge.senders values ($1, $2) on conflict do nothing", mailbox, now
            )
            query = "select since from bridge.senders where mailbox = $1"
            found: datetime = await db.fetchval(query, mailbox)
        return found


class PostgresPlaces:
    """The Protocol ``Places``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, mailbox: str, account: str, folder: str) -> Place | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow(
                "select uid_validity, uid, since from bridge.mailboxes"
                " where (mailbox, account, folder) = ($1, $2, $3)",
                mailbox,
                account,
                folder,
            )
        return Place(**row) if row else None

    async def keep(self, mailbox: str, account: str, folder: str, place: Place) -> None:
        async with transaction(self._pool) as db:
            await db.execute(
                "insert into bridge.mailboxes values ($1, $2, $3, $4, $5, $6)"
                " on conflict (mailbox, account, folder)"
                " do update set uid_validity = $4, uid = $5, since = $6",
                mailbox,
                account,
                folder,
                place.uid_validity,
                place.uid,
                place.since,
            )
