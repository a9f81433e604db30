"""What ``sourcier doctor`` asks of PostgreSQL, the object store and a Qdrant server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from shared.cli.config import shown
from shared.cli.findings import Finding, clock, ok, problem, skipped
from shared.clock import utcnow
from shared.delivery import Unavailable
from shared.settings import Objects, Retrieval, Settings

LEAST_POSTGRES = 14
SCHEMAS = {"intake": "ingest", "feedback": "feedback", "bridge": "mail"}
MIGRATIONS = Path(__file__).parents[2] / "deploy" / "migrations"
SECONDS = 10.0
"""For one answer."""


async def database(config: Settings, data: Path | None) -> AsyncIterator[Finding]:
    """Reached, new enough, its tables, its clock; as each role of the embedded stack."""
    if "dsn" in config.postgres.model_fields_set:
        dsns = [config.postgres.dsn.get_secret_value()]
    elif data and (socket := _socket(data)):
        roles = [s for s in SCHEMAS if s != "bridge" or config.bridge.configured]
        dsns = [f"postgresql://{role}@/sourcier?host={quote(socket)}" for role in roles]
    else:
        yield skipped("database", "no postgres.dsn here; /readyz of ingest and feedback tells")
        return
    for number, dsn in enumerate(dsns):
        async for finding in _postgres(dsn, first=number == 0):
            yield finding


def _socket(data: Path) -> str | None:
    """Where the embedded server listens: the fifth line of PostgreSQL's own pid file."""
    try:
        return (data / "postgres" / "postmaster.pid").read_text().splitlines()[4]
    except (OSError, IndexError):
        return None


async def _postgres(dsn: str, first: bool) -> AsyncIterator[Finding]:
    try:
        import asyncpg
    except ImportError:
        yield skipped("database", "asyncpg is not installed here")
        return
    try:
        connection = await asyncpg.connect(dsn, timeout=SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        told = f"{type(error).__name__}: {error}"
        yield problem("database", told, "check postgres.dsn, and that PostgreSQL runs")
        return
    try:
        if first:
            before = utcnow()
            now = await connection.fetchval("select clock_timestamp()")
            after = utcnow()
            version = await connection.fetchval("show server_version")
            synced = await connection.fetchval("show synchronous_commit")
            if connection.get_server_version().major < LEAST_POSTGRES:
                advice = f"install PostgreSQL {LEAST_POSTGRES} or later"
                yield problem("database", f"PostgreSQL {version}", advice)
            else:
                yield ok("database", f"PostgreSQL {version}")
            yield clock("database's clock", now, before, after)
            if synced == "off":
                told = "synchronous_commit is off: a power cut loses what was confirmed"
                yield problem("database", told, "ALTER SYSTEM SET synchronous_commit = on")
        for schema in SCHEMAS:
            finding = await _tables(connection, schema)
            if finding:
                yield finding
    finally:
        await connection.close()


async def _tables(connection: Any, schema: str) -> Finding | None:
    """Whether ``schema`` has all its migrations; None when it is not ours to see."""
    topic = f"tables of {SCHEMAS[schema]}"
    if not await connection.fetchval(
        "select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = $1", schema
    ):
        return None
    rows = await connection.fetch(f'select version from "{schema}".schema_migrations')  # noqa: S608 - our own name
    have = {row["version"] for row in rows}
    wanted = {path.name.split("_")[0] for path in (MIGRATIONS / schema).glob("*.sql")}
    if not wanted:
        return skipped(topic, f"{len(have)} migrations applied; their files are not here")
    if wanted - have:
        told = f"migrations are missing: {', '.join(sorted(wanted - have))}"
        return problem(topic, told, "apply deploy/migrations (`sourcier up` and compose do so)")
    return ok(topic, f"{len(have)} migrations applied")


async def objects(config: Objects) -> AsyncIterator[Finding]:
    """Takes and gives an object in our bucket, and its clock."""
    from shared.objects import S3Objects

    if not config.secret_key.get_secret_value():
        advice = "set SOURCIER_OBJECTS__SECRET_KEY"
        yield problem("object store", f"no key for {config.endpoint}", advice)
        return
    try:
        await S3Objects(config).ready()
    except Unavailable as error:
        advice = "check objects.endpoint, access_key, secret_key, bucket, and that it runs"
        yield problem("object store", str(error), advice)
        return
    found, name = await _http(f"http{'s' * config.secure}://{config.endpoint}/")
    yield ok("object store", f"bucket {config.bucket} at {config.endpoint} ({name})")
    if found:
        yield found


async def _http(url: str) -> tuple[Finding | None, str]:
    """An HTTP server's clock and name, as far as it tells them."""
    before = utcnow().replace(microsecond=0)  # as HTTP dates are
    try:
        async with httpx.AsyncClient(timeout=SECONDS) as client:
            headers = (await client.get(url)).headers
    except httpx.HTTPError:
        return None, "no name"
    name = headers.get("server", "no name")
    if "date" not in headers:
        return None, name
    theirs = parsedate_to_datetime(headers["date"])
    return clock("object store's clock", theirs, before, utcnow()), name


async def qdrant(config: Retrieval) -> Finding:
    """Reached, with our key, and its version."""
    try:
        from qdrant_client import AsyncQdrantClient
    except ImportError:
        return skipped("Qdrant", "qdrant-client is not installed here; retrieve's /readyz tells")
    address = urlsplit(config.url)
    client = AsyncQdrantClient(
        host=address.hostname,
        grpc_port=address.port or 6334,
        prefer_grpc=True,
        https=address.scheme == "https",
        api_key=config.api_key.get_secret_value() if config.api_key else None,
        timeout=int(SECONDS),
        check_compatibility=False,
    )
    try:
        version = (await client.info()).version
        await client.get_collections()  # which asks for the key
    except Exception as error:  # noqa: BLE001 - gRPC's errors have no common base to import here
        told = f"{shown(config.url)}: {type(error).__name__}"
        return problem("Qdrant", told, "check retrieval.url (the gRPC port) and api_key")
    finally:
        await client.close()
    return ok("Qdrant", f"{version} at {shown(config.url)}")
