"""The register of e-mails and the documents' locks in PostgreSQL, schema `intake`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias, cast
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from services.ingest.mail_service import WINDOW, Arrival, Outcome, Registration
from shared import settings
from shared.delivery import Unavailable

ACQUIRE_SECONDS = 5.0
COMMAND_SECONDS = 15.0
_DOWN = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.QueryCanceledError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
)
_LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 0))"
_KNOWN = "select event_id, outcome, thread_id from intake.mails where mail_id = $1"
_SAME_MESSAGE = """
select thread_id from intake.mails
where mailbox = $1 and message_id = $2 and message_id <> '' and mail_id <> $3
order by received limit 1
"""
_THREAD = """
select thread_id from intake.mails
where mailbox = $1 and message_id = any($2::text[])
order by array_position($2::text[], message_id) desc, received limit 1
"""
_COUNT = """
select count(*) from intake.mails
where mailbox = $1 and sender_sha256 = $2 and outcome = 'accepted'
  and received > $3 and received <= $4
"""
_INSERT = """
insert into intake.mails
    (mail_id, event_id, mailbox, message_id, thread_id, sender_sha256, received, outcome)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


class PostgresIntake:
    """The MailRegister and the DocumentLocks of the use cases."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def ready(self) -> None:
        """Returns when the database answers and has its tables. Raises Unavailable."""
        async with self._transaction() as connection:
            await connection.fetchval("select 1 from intake.mails limit 1")

    async def register(self, arrival: Arrival, limit: int) -> Registration:
        """See `MailRegister`."""
        async with self._transaction() as connection:
            # Two e-mails of one sender, or two copies of one, are decided one after the other.
            await connection.execute(_LOCK, f"{arrival.mailbox}\x1f{arrival.sender_sha256}")
            if arrival.message_id:
                await connection.execute(_LOCK, f"{arrival.mailbox}\x1f{arrival.message_id}")
            row = await connection.fetchrow(_KNOWN, arrival.mail_id)
            if row is not None:
                same = row["event_id"] == arrival.event_id
                outcome = cast(Outcome, row["outcome"]) if same else "duplicate"
                return Registration(outcome, row["thread_id"])
            return await self._decide(connection, arrival, limit)

    def document(self, document_id: UUID) -> AbstractAsyncContextManager[None]:
        """See `DocumentLocks`."""
        return self._locked(f"document\x1f{document_id}")

    async def _decide(self, connection: Connection, arrival: Arrival, limit: int) -> Registration:
        mailbox = arrival.mailbox
        copy = await connection.fetchval(
            _SAME_MESSAGE, mailbox, arrival.message_id, arrival.mail_id
        )
        if copy is not None:
            return Registration("duplicate", copy)
        known = await connection.fetchval(_THREAD, mailbox, list(arrival.related))
        thread = known or arrival.thread_id
        since = arrival.received - WINDOW
        sent = await connection.fetchval(
            _COUNT, mailbox, arrival.sender_sha256, since, arrival.received
        )
        outcome: Outcome = "accepted" if sent < limit else "limit"
        await connection.execute(
            _INSERT,
            arrival.mail_id,
            arrival.event_id,
            mailbox,
            arrival.message_id,
            thread,
            arrival.sender_sha256,
            arrival.received,
            outcome,
        )
        return Registration(outcome, thread)

    @asynccontextmanager
    async def _locked(self, name: str) -> AsyncIterator[None]:
        async with self._transaction() as connection:
            await connection.execute(_LOCK, name)
            yield

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            async with (
                self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection,
                connection.transaction(),
            ):
                yield connection
        except asyncpg.DataError:
            # A wrong argument is our bug, though asyncpg files it under InterfaceError.
            raise
        except _DOWN as error:
            raise Unavailable(f"PostgreSQL: {error or type(error).__name__}") from error


async def open_pool(config: settings.Postgres) -> asyncpg.Pool[asyncpg.Record]:
    """A pool that connects when first used, so that ingest may start before its database."""
    return await asyncpg.create_pool(
        config.dsn.get_secret_value(),
        min_size=0,
        max_size=config.pool,
        timeout=ACQUIRE_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": "sourcier-ingest", "synchronous_commit": "on"},
    )
