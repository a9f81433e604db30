"""The register of e-mails and the documents' locks in PostgreSQL, schema `intake`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast
from uuid import UUID

from services.ingest.mail_service import WINDOW, Arrival, Outcome, Registration
from shared.postgres import Connection, Pool, transaction

_LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 0))"
_KNOWN = "select event_id, outcome, thread_id from intake.mails where mail_id = $1"
_SAME_MESSAGE = """
select thread_id from intake.mails
where mailbox = $1 and message_id = $2 and message_id <> '' and mail_id <> $3
  and sender_sha256 = $4 and outcome = 'accepted'
order by received limit 1
"""
_THREAD = """
select thread_id from intake.mails
where mailbox = $1 and message_id = any($2::text[]) and sender_sha256 = $3
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
on conflict (mail_id) do update set event_id = excluded.event_id, thread_id = excluded.thread_id,
    received = excluded.received, outcome = excluded.outcome
"""


class PostgresIntake:
    """The MailRegister and the DocumentLocks of the use cases."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def ready(self) -> None:
        """Returns when the database answers and has its tables. Raises Unavailable."""
        async with transaction(self._pool) as connection:
            await connection.fetchval("select 1 from intake.mails limit 1")

    async def register(self, arrival: Arrival, limit: int) -> Registration:
        """See `MailRegister`."""
        async with transaction(self._pool) as connection:
            # Two e-mails of one sender, or two copies of one, are decided one after the other.
            await connection.execute(_LOCK, f"{arrival.mailbox}\x1f{arrival.sender_sha256}")
            row = await connection.fetchrow(_KNOWN, arrival.mail_id)
            if row is not None and row["event_id"] == arrival.event_id:
                return Registration(cast(Outcome, row["outcome"]), row["thread_id"])
            if row is not None and row["outcome"] == "accepted":
                return Registration("duplicate", row["thread_id"])
            return await self._decide(connection, arrival, limit)

    def document(self, document_id: UUID) -> AbstractAsyncContextManager[None]:
        """See `DocumentLocks`."""
        return self._locked(f"document\x1f{document_id}")

    async def _decide(self, connection: Connection, arrival: Arrival, limit: int) -> Registration:
        mailbox = arrival.mailbox
        copy = await connection.fetchval(
            _SAME_MESSAGE,
            mailbox,
            arrival.message_id,
            arrival.mail_id,
            arrival.sender_sha256,
        )
        if copy is not None:
            return Registration("duplicate", copy)
        known = await connection.fetchval(
            _THREAD, mailbox, list(arrival.related), arrival.sender_sha256
        )
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
        async with transaction(self._pool) as connection:
            await connection.execute(_LOCK, name)
            yield
