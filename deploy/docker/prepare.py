"""What compose.yaml does once before the services start; each step is harmless to repeat.

Roles and tables in PostgreSQL, the bucket, streams and consumers, the embedder in the object store.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from deploy.local.process import StartFailed
from deploy.migrating import MIGRATIONS, SCHEMA_OF, migrate
from shared import admin
from shared.cli.client import connected
from shared.cli.problem import Problem
from shared.cli.where import configured
from shared.delivery import Unavailable
from shared.models import local, stored
from shared.models.manifest import name_of
from shared.objects import ObjectStore, S3Objects
from shared.settings import Settings


async def roles(superuser: str, passwords: dict[str, str]) -> None:
    """A role per schema, which may make its schema and sees no other's."""
    connection = await asyncpg.connect(superuser, timeout=10)
    try:
        name = await connection.fetchval("SELECT current_database()")
        for role, password in passwords.items():
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                await _said(connection, "CREATE ROLE %I", role)
            await _said(connection, "ALTER ROLE %I LOGIN PASSWORD %L", role, password)
            await _said(connection, "GRANT CONNECT, CREATE ON DATABASE %I TO %I", name, role)
    finally:
        await connection.close()


async def _said(connection: asyncpg.Connection[asyncpg.Record], form: str, *words: str) -> None:
    """Run ``form`` with its names and literals quoted by the server itself."""
    await connection.execute(
        await connection.fetchval("SELECT format($1, VARIADIC $2::text[])", form, list(words))
    )


def dsn_of(superuser: str, role: str, password: str) -> str:
    """The same database as ``role``."""
    place = urlsplit(superuser)
    host = place.netloc.rpartition("@")[2]
    return urlunsplit(place._replace(netloc=f"{role}:{quote(password, safe='')}@{host}"))


async def embedder(model: str, store: ObjectStore) -> None:
    """Fetch the embedder into the object store unless it is there. Raises ``Problem``."""
    if await stored.current(store, name_of(model)):
        return
    advice = "docker compose run --rm -v DIR:/import operator sourcier models import /import/{}"
    if model not in local.KNOWN:
        raise Problem(f"no model {model} in the object store; bring it: {advice.format(model)}")
    command = [sys.executable, "-m", "shared.cli.main", "models", "fetch", model]
    done = await asyncio.to_thread(subprocess.run, command, check=False)
    if done.returncode:
        raise Problem(f"{model} could not be fetched; without a network: {advice.format(model)}")


async def prepare(config: Settings) -> None:
    """All of it. Raises ``Problem``, ``StartFailed``, ``Unavailable``."""
    superuser = config.postgres.dsn.get_secret_value()
    passwords = {schema: _given(f"{schema.upper()}_PASSWORD") for schema in SCHEMA_OF.values()}
    _say("roles of PostgreSQL")
    await roles(superuser, passwords)
    for schema, password in passwords.items():
        _say(f"tables of {schema}")
        migrate(dsn_of(superuser, schema, password), MIGRATIONS / schema)
    _say("streams and consumers")
    async with connected(config):
        for change in await admin.apply(config):
            _say(change)
    store = S3Objects(config.objects)
    _say("bucket and models")
    await store.ready()
    if not await asyncio.to_thread(Path(config.embedding.model).is_dir):  # mounted by the operator
        await embedder(config.embedding.model, store)
    _say("all is prepared")


def _given(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise Problem(f"{name} is not set; run `make secrets`")
    return value


def _say(text: str) -> None:
    print(f"prepare: {text}", flush=True)  # noqa: T201 - a program's progress


def main() -> int:
    """Entry point; exits 1 with words when something cannot be prepared."""
    try:
        asyncio.run(prepare(configured()))
    except (Problem, StartFailed, Unavailable, OSError, asyncpg.PostgresError) as error:
        _say(f"{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
