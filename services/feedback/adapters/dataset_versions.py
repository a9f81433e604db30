"""Exports and versions of the datasets in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from services.feedback.access import Viewer
from services.feedback.training.versions import Counts, Export, ExportWish, Version
from shared.delivery import Invalid
from shared.postgres import Pool, transaction

_ONE_AT_A_TIME = 7_215_003
_EXPORT = """
select export_id, account, wish, state, stage, done, total, version, why, started, seen
from feedback.exports
"""
# An export of more mailboxes than the viewer's is not the viewer's to see.
_OWN_EXPORTS = f"{_EXPORT} where ($1::text[] is null or mailboxes <@ $1)"
_VERSION = """
select version, created, account, prefix, manifest from feedback.datasets
where ($1::text[] is null or (jsonb_typeof(manifest #> '{configuration,mailboxes}') = 'array'
       and manifest #> '{configuration,mailboxes}' <@ to_jsonb($1)))
"""
_BEGIN = """
insert into feedback.exports (export_id, account, mailboxes, wish, state, started, seen)
select $1, $2, $3, $4::jsonb, 'running', now(), now()
where not exists (select from feedback.exports
                  where state = 'running' and seen > now() - $5::interval)
returning export_id
"""
_LOST = """
update feedback.exports set state = 'failed', why = 'interrupted'
where state = 'running' and seen <= now() - $1::interval
"""
_TELL = """
update feedback.exports set stage = $2, done = $3, total = $4, seen = now() where export_id = $1
"""
_PARENT = """
select manifest from feedback.datasets
where manifest #> '{configuration,mailboxes}' = coalesce(to_jsonb($1::text[]), 'null'::jsonb)
  and manifest #>> '{configuration,seed}' = $2
order by version desc limit 1
"""
_COUNTS = """
select decision, count(*) as n from feedback.reviews r join feedback.drafts d using (draft_id)
join feedback.mails m on m.mail_id = d.mail_id and m.erased is null
where ($1::text[] is null or d.mailbox = any($1)) group by 1
"""
_MAILS = """
select count(distinct d.mail_id) from feedback.reviews r join feedback.drafts d using (draft_id)
join feedback.mails m on m.mail_id = d.mail_id and m.erased is null
where ($1::text[] is null or d.mailbox = any($1))
"""


class PostgresVersions:
    """The tables ``feedback.exports`` and ``feedback.datasets``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(
        self, viewer: Viewer, wish: ExportWish, export_id: UUID, silent: timedelta
    ) -> Export | None:
        async with transaction(self._pool) as db:
            await db.execute("select pg_advisory_xact_lock($1)", _ONE_AT_A_TIME)
            await db.execute(_LOST, silent)
            told = wish.model_dump_json()
            values = (export_id, viewer.account, viewer.mailbox_list, told, silent)
            if not await db.fetchval(_BEGIN, *values):
                return None
            row = await db.fetchrow(f"{_EXPORT} where export_id = $1", export_id)
            return _export(row) if row else None

    async def export(self, viewer: Viewer, export_id: UUID) -> Export | None:
        async with transaction(self._pool) as db:
            query = f"{_OWN_EXPORTS} and export_id = $2"
            row = await db.fetchrow(query, viewer.mailbox_list, export_id)
            return _export(row) if row else None

    async def last(self, viewer: Viewer) -> Export | None:
        async with transaction(self._pool) as db:
            query = f"{_OWN_EXPORTS} order by started desc limit 1"
            row = await db.fetchrow(query, viewer.mailbox_list)
            return _export(row) if row else None

    async def failed(self, export_id: UUID, why: str) -> None:
        async with transaction(self._pool) as db:
            await db.execute(
                "update feedback.exports set state = 'failed', why = $2, seen = now()"
                " where export_id = $1 and state = 'running'",
                export_id,
                why.replace("\x00", "")[:2000],
            )

    async def versions(self, viewer: Viewer, limit: int, after: int | None) -> Sequence[Version]:
        query = f"{_VERSION} and ($2::int is null or version < $2) order by version desc limit $3"
        async with transaction(self._pool) as db:
            found = await db.fetch(query, viewer.mailbox_list, after, limit)
            return [_version(row) for row in found]

    async def version(self, viewer: Viewer, version: int) -> Version | None:
        async with transaction(self._pool) as db:
            query = f"{_VERSION} and version = $2"
            row = await db.fetchrow(query, viewer.mailbox_list, version)
            return _version(row) if row else None

    async def counts(self, viewer: Viewer) -> Counts:
        async with transaction(self._pool) as db:
            decisions = await db.fetch(_COUNTS, viewer.mailbox_list)
            mails = await db.fetchval(_MAILS, viewer.mailbox_list)
        return Counts(mails=mails, decisions={row["decision"]: row["n"] for row in decisions})

    async def begun(self, export_id: UUID) -> tuple[str, list[str] | None, ExportWish]:
        """By whom, of which mailboxes (None: all) and what, as `begin` noted it."""
        async with transaction(self._pool) as db:
            row = await db.fetchrow(
                "select account, mailboxes, wish from feedback.exports where export_id = $1",
                export_id,
            )
        if row is None:
            raise Invalid(f"no export {export_id} has begun")
        return row["account"], row["mailboxes"], ExportWish.model_validate_json(row["wish"])

    async def tell(self, export_id: UUID, stage: str, done: int, total: int) -> None:
        """Say how far an export is, and that its program lives."""
        async with transaction(self._pool) as db:
            await db.execute(_TELL, export_id, stage, done, total)

    async def parent(self, mailboxes: list[str] | None, seed: str) -> dict[str, Any] | None:
        """The manifest of the last version of the same mailboxes and seed."""
        async with transaction(self._pool) as db:
            found = await db.fetchval(_PARENT, mailboxes, seed)
            return json.loads(found) if found else None

    async def next_version(self) -> int:
        """The number of the version to be made."""
        async with transaction(self._pool) as db:
            query = "select coalesce(max(version), 0) + 1 from feedback.datasets"
            return int(await db.fetchval(query))

    async def finish(
        self, export_id: UUID, account: str, prefix: str, manifest: Mapping[str, Any]
    ) -> None:
        """The version is there, whole."""
        async with transaction(self._pool) as db:
            await db.execute(
                "insert into feedback.datasets (version, created, account, prefix, manifest)"
                " values ($1, now(), $2, $3, $4::jsonb)",
                manifest["version"],
                account,
                prefix,
                json.dumps(manifest),
            )
            await db.execute(
                "update feedback.exports set state = 'done', version = $2, done = total,"
                " seen = now() where export_id = $1",
                export_id,
                manifest["version"],
            )


def _export(row: asyncpg.Record) -> Export:
    return Export(**{**dict(row), "wish": ExportWish.model_validate_json(row["wish"])})


def _version(row: asyncpg.Record) -> Version:
    return Version(**{**dict(row), "manifest": json.loads(row["manifest"])})
