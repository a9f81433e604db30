"""One pool of PostgreSQL connections; an unreachable database is Unavailable, not an error."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from shared import settings
from shared.delivery import Unavailable

ACQUIRE_SECONDS = 5.0
COMMAND_SECONDS = 15.0

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

# PostgreSQL is down, starting, stopping, full, or has not got its tables yet: it will come back.
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
)
_NUL_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


async def open_pool(config: settings.Postgres) -> asyncpg.Pool[asyncpg.Record]:
    """A pool that connects when first used, so that a service may start before its database."""
    return await asyncpg.create_pool(
        config.dsn.get_secret_value(),
        min_size=0,
        max_size=config.pool,
        timeout=ACQUIRE_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": "sourcier-feedback", "synchronous_commit": "on"},
    )


@asynccontextmanager
async def transaction(pool: asyncpg.Pool[asyncpg.Record]) -> AsyncIterator[Connection]:
    """A connection inside a transaction. Raises Unavailable when the database cannot serve."""
    try:
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection, connection.transaction():
            yield connection
    except asyncpg.DataError:
        # An argument of the wrong kind: asyncpg files it under InterfaceError, yet it is our bug.
        raise
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise Unavailable(
            f"PostgreSQL lacks the tables of feedback, migrate it: {error}"
        ) from error
    except _DOWN as error:
        raise Unavailable(f"PostgreSQL: {error or type(error).__name__}") from error


def storable(json: str) -> str:
    """`json` without U+0000, which jsonb refuses."""
    return _NUL_ESCAPE.sub(r"\1", json)


def clean(text: str) -> str:
    """`text` without U+0000, which PostgreSQL refuses."""
    return text.replace("\x00", "")
