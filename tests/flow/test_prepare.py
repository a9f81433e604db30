"""What compose.yaml prepares, on real servers, with the keys that `make secrets` wrote."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import nats
import pytest
from pydantic import SecretStr

from deploy.docker import prepare, secrets
from deploy.local.permissions import USERS
from deploy.local.process import answers, free_ports, program, spawn, stop, wait_until
from shared import admin
from shared.cli.problem import Problem
from shared.objects import S3Objects
from shared.settings import Embedding, Nats, Objects, Postgres, Settings, Streams

PASSWORDS = ("INTAKE_PASSWORD", "FEEDBACK_PASSWORD", "BRIDGE_PASSWORD")


@dataclass
class Site:
    """A folder with secrets, the broker that they configure, and settings as `prepare` has them."""

    folder: Path
    url: str
    config: Settings


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, postgres_dsn: str, s3: Objects
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    secrets.write(folder)
    port, http = free_ports(2)
    written = (folder / ".secrets/nats.conf").read_text()
    here = written.replace("0.0.0.0:4222", f"127.0.0.1:{port}").replace("0.0.0.0:8222", str(http))
    config = folder / ".secrets/here.conf"  # beside what it includes
    config.write_text(here.replace('"/data"', f'"{folder}/data"'))
    log = folder / "nats.log"
    broker: subprocess.Popen[bytes] = spawn([program("nats-server"), "-c", config], log)
    wait_until(lambda: answers(port), broker, "nats-server", log, 30)
    url = f"nats://127.0.0.1:{port}"
    yield Site(
        folder,
        url,
        Settings(
            environment=secrets.ENVIRONMENT,
            nats=Nats(url=url, nkey_seed=folder / ".secrets/operator.nk"),
            streams=Streams(max_bytes=16 * 1024 * 1024),
            postgres=Postgres(dsn=SecretStr(postgres_dsn)),
            objects=s3,
            embedding=Embedding(model=str(folder)),  # a directory: nothing is to be fetched
        ),
    )
    stop(broker, 10)


@pytest.fixture
def passwords(site: Site, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    lines = (site.folder / ".env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines)
    for name in PASSWORDS:
        monkeypatch.setenv(name, given[name])
    return given


async def schemas(dsn: str) -> dict[str, str]:
    """Owner of each schema of ours."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT nspname, pg_get_userbyid(nspowner) AS owner FROM pg_namespace"
        " WHERE nspname = ANY($1)",
        list(prepare.SCHEMA_OF.values()),
    )
    await connection.close()
    return {row["nspname"]: row["owner"] for row in rows}


def fresh(dsn: str, name: str) -> str:
    """The same server's database ``name``, empty."""

    async def create() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()

    asyncio.run(create())
    head, _, tail = dsn.rpartition("/test_")
    return f"{head}/{name}?{tail.partition('?')[2]}"


def test_all_is_prepared_and_may_be_prepared_again(
    site: Site, passwords: dict[str, str], postgres_dsn: str
) -> None:
    dsn = fresh(postgres_dsn, f"prepared_{site.folder.name}")
    config = site.config.model_copy(update={"postgres": Postgres(dsn=SecretStr(dsn))})
    for _ in range(2):
        asyncio.run(prepare.prepare(config))
    owners = asyncio.run(schemas(dsn))
    assert owners == {name: name for name in prepare.SCHEMA_OF.values()}
    assert asyncio.run(admin.check(config)) == []
    asyncio.run(S3Objects(config.objects).ready())


def test_every_key_of_make_secrets_is_let_in_and_no_other(site: Site) -> None:
    async def connect(user: str | None) -> None:
        seed = str(site.folder / f".secrets/{user}.nk") if user else None
        client = await nats.connect(
            site.url, nkeys_seed=seed, allow_reconnect=False, connect_timeout=5
        )
        await client.close()

    for user in USERS:
        asyncio.run(connect(user))
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        asyncio.run(connect(None))


def test_what_is_missing_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTAKE_PASSWORD", raising=False)
    with pytest.raises(Problem, match="INTAKE_PASSWORD is not set; run `make secrets`"):
        asyncio.run(prepare.prepare(site.config))
    with pytest.raises(Problem, match="sourcier models import /import/unheard-of"):
        asyncio.run(prepare.embedder("unheard-of", S3Objects(site.config.objects)))


def test_a_role_reaches_the_same_database_with_its_own_password() -> None:
    made = prepare.dsn_of("postgresql://postgres:a@postgres:5432/sourcier", "intake", "b/c@d")
    assert made == "postgresql://intake:b%2Fc%40d@postgres:5432/sourcier"
