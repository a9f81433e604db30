"""One pool of PostgreSQL connections a service; an unreachable database is ``Unavailable``."""

from __future__ import annotations

import asyncio
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
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

# Down, starting, stopping or full.
_DOWN = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.QueryCanceledError,
    asyncpg.InvalidCatalogNameError,
    # Roles and passwords are the operator's to mend: no message is at fault.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidPasswordError,
    asyncpg.InsufficientPrivilegeError,
)


async def open_pool(config: settings.Postgres, service: str) -> Pool:
    """A pool that connects when first used, so that a service may start before its database."""
    return await asyncpg.create_pool(
        config.dsn.get_secret_value(),
        min_size=0,
        max_size=config.pool,
        timeout=ACQUIRE_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": f"sourcier-{service}", "synchronous_commit": "on"},
    )


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside a transaction. Raises ``Unavailable`` when the database cannot serve."""
    try:
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection, connection.transaction():
            yield connection
    except asyncpg.DataError:
        # A wrong argument is our bug, though asyncpg files it under InterfaceError.
        raise
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise Unavailable(f"PostgreSQL lacks its tables, migrate it: {error}") from error
    except _DOWN as error:
        raise Unavailable(f"PostgreSQL: {error or type(error).__name__}") from error
