"""Sessions and one-time links in PostgreSQL, by the hash of their secret."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from services.feedback.signing_in import Session
from shared.postgres import transaction

_COLUMNS = "account, csrf, created, expires"


class PostgresSessions:
    """The Protocol ``Sessions``."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def put(self, token: str, session: Session) -> None:
        async with transaction(self._pool) as db:
            await db.execute("delete from feedback.sessions where expires < $1", session.created)
            await db.execute(
                "insert into feedback.sessions (token_sha256, account, csrf, created, expires)"
                " values ($1, $2, $3, $4, $5)",
                bytes.fromhex(token),
                session.account,
                session.csrf,
                session.created,
                session.expires,
            )

    async def found(self, token: str) -> Session | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow(
                f"select {_COLUMNS} from feedback.sessions where token_sha256 = $1",  # noqa: S608
                bytes.fromhex(token),
            )
        return Session(**row) if row else None

    async def renew(self, token: str, expires: datetime) -> None:
        async with transaction(self._pool) as db:
            await db.execute(
                "update feedback.sessions set expires = $2 where token_sha256 = $1",
                bytes.fromhex(token),
                expires,
            )

    async def end(self, token: str) -> None:
        async with transaction(self._pool) as db:
            await db.execute(
                "delete from feedback.sessions where token_sha256 = $1", bytes.fromhex(token)
            )

    async def end_all(self, account: str, but: str = "") -> int:
        async with transaction(self._pool) as db:
            ended = await db.fetch(
                "delete from feedback.sessions where account = $1 and token_sha256 <> $2"
                " returning 1",
                account,
                bytes.fromhex(but),
            )
        return len(ended)

    async def of(self, account: str, now: datetime) -> Sequence[Session]:
        async with transaction(self._pool) as db:
            found = await db.fetch(
                f"select {_COLUMNS} from feedback.sessions"  # noqa: S608 - a constant
                " where account = $1 and expires > $2 order by created desc",
                account,
                now,
            )
        return [Session(**row) for row in found]

    async def put_link(self, token: str, account: str, expires: datetime) -> None:
        async with transaction(self._pool) as db:
            await db.execute(
                "delete from feedback.login_links where expires < now() - interval '7 days'"
            )
            await db.execute(
                "insert into feedback.login_links (token_sha256, account, expires)"
                " values ($1, $2, $3)",
                bytes.fromhex(token),
                account,
                expires,
            )

    async def use_link(self, token: str, now: datetime) -> str | None:
        # One statement: of two requests at once, one gets the row.
        async with transaction(self._pool) as db:
            account: str | None = await db.fetchval(
                "update feedback.login_links set used = $2"
                " where token_sha256 = $1 and used is null and expires > $2 returning account",
                bytes.fromhex(token),
                now,
            )
        return account

    async def link(self, token: str, now: datetime) -> str | None:
        async with transaction(self._pool) as db:
            account: str | None = await db.fetchval(
                "select account from feedback.login_links"
                " where token_sha256 = $1 and used is null and expires > $2",
                bytes.fromhex(token),
                now,
            )
        return account
