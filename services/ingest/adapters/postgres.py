"""The register of e-mails and the documents' locks in PostgreSQL, schema `intake`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast
from uuid import UUID

from services.ingest.mail_service import (
    MAX_EARLIER,
    WINDOW,
    Arrival,
    Outcome,
    Registration,
)
from services.ingest.threads import SUBJECT_WINDOW, Earlier, thread_of
from shared.postgres import Connection, Pool, transaction

_LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 0))"
_KNOWN = "select event_id, outcome, thread_id from intake.mails where mail_id = $1"
_SAME_MESSAGE = """
select thread_id from intake.mails
where mailbox = $1 and message_id = $2 and message_id <> '' and mail_id <> $3
  and sender_sha256 = $4 and outcome = 'accepted'
order by received limit 1
"""
_EARLIER_OF_ITS_PEOPLE = """
select message_id, subject_sha256, thread_id, received from intake.mails
where mailbox = $1 and ($2 = sender_sha256 or $2 = any(people)) and mail_id <> $3
  and (message_id <> '' and message_id = any($4::text[])
       or subject_sha256 <> '' and subject_sha256 = $5 and received >= $6)
order by received desc, mail_id desc limit 200
"""
_THREAD_BEFORE = """
select mail_id from intake.mails
where thread_id = $1 and outcome = 'accepted' and (received, mail_id) < ($2, $3)
order by received desc, mail_id desc limit $4
"""
_COUNT = """
select count(*) from intake.mails
where mailbox = $1 and sender_sha256 = $2 and outcome = 'accepted'
  and received > $3 and received <= $4
"""
_INSERT = """
insert into intake.mails
    (mail_id, event_id, mailbox, message_id, thread_id, sender_sha256, received, outcome,
     subject_sha256, people)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (mail_id) do update set event_id = excluded.event_id, thread_id = excluded.thread_id,
    received = excluded.received, outcome = excluded.outcome
"""


_FORGET = """
update intake.mails set message_id = '', sender_sha256 = '', subject_sha256 = '', people = '{}'
where mail_id = $1 returning mailbox
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
            name = f"{arrival.mailbox}\x1f{arrival.strand.sender}"
            await connection.execute(_LOCK, name)
            known = await _known(connection, arrival)
            if known is not None:
                return known
            decided = await _decided(connection, arrival, limit)
            if decided.outcome != "duplicate":
                await _remember(connection, arrival, decided)
            return decided

    async def preview(self, arrival: Arrival, limit: int) -> Registration:
        """See `MailRegister`."""
        async with transaction(self._pool) as connection:
            known = await _known(connection, arrival)
            return known or await _decided(connection, arrival, limit)

    async def forget(self, mail_id: UUID) -> str | None:
        """See `MailForgetter`."""
        async with transaction(self._pool) as connection:
            mailbox: str | None = await connection.fetchval(_FORGET, mail_id)
            return mailbox

    def document(self, document_id: UUID) -> AbstractAsyncContextManager[None]:
        """See `DocumentLocks`."""
        return self._locked(f"document\x1f{document_id}")

    @asynccontextmanager
    async def _locked(self, name: str) -> AsyncIterator[None]:
        async with transaction(self._pool) as connection:
            await connection.execute(_LOCK, name)
            yield


async def _known(connection: Connection, arrival: Arrival) -> Registration | None:
    """What was decided of the e-mail before, if that still stands."""
    row = await connection.fetchrow(_KNOWN, arrival.mail_id)
    if row is not None and row["event_id"] == arrival.event_id:
        outcome = cast(Outcome, row["outcome"])
        return await _in_thread(connection, arrival, outcome, row["thread_id"])
    if row is not None and row["outcome"] == "accepted":
        return Registration("duplicate", row["thread_id"])
    return None


async def _decided(connection: Connection, arrival: Arrival, limit: int) -> Registration:
    mailbox, strand = arrival.mailbox, arrival.strand
    copy = await connection.fetchval(
        _SAME_MESSAGE, mailbox, strand.message_id, arrival.mail_id, strand.sender
    )
    if copy is not None:
        return Registration("duplicate", copy)
    thread = thread_of(strand, arrival.received, await _before(connection, arrival))
    since = arrival.received - WINDOW
    sent = await connection.fetchval(_COUNT, mailbox, strand.sender, since, arrival.received)
    return await _in_thread(connection, arrival, "accepted" if sent < limit else "limit", thread)


async def _before(connection: Connection, arrival: Arrival) -> list[Earlier]:
    strand = arrival.strand
    rows = await connection.fetch(
        _EARLIER_OF_ITS_PEOPLE,
        arrival.mailbox,
        strand.sender,
        arrival.mail_id,
        list(strand.related),
        strand.subject,
        arrival.received - SUBJECT_WINDOW,
    )
    return [Earlier(*row) for row in reversed(rows)]


async def _in_thread(
    connection: Connection, arrival: Arrival, outcome: Outcome, thread: UUID
) -> Registration:
    rows = await connection.fetch(
        _THREAD_BEFORE, thread, arrival.received, arrival.mail_id, MAX_EARLIER
    )
    return Registration(outcome, thread, tuple(row["mail_id"] for row in reversed(rows)))


async def _remember(connection: Connection, arrival: Arrival, decided: Registration) -> None:
    strand = arrival.strand
    await connection.execute(
        _INSERT,
        arrival.mail_id,
        arrival.event_id,
        arrival.mailbox,
        strand.message_id,
        decided.thread_id,
        strand.sender,
        arrival.received,
        decided.outcome,
        strand.subject,
        list(strand.people),
    )
