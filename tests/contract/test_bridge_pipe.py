"""``sourcier send --stdin`` as a mail system runs it: its exit status decides about the queue."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import nats
import pytest
from typer.testing import CliRunner

from deploy.local.nats import NatsServer
from deploy.local.process import free_ports
from shared import admin
from shared.cli.main import app
from shared.cli.problem import Problem
from shared.identity import mail_id
from shared.settings import Nats, Objects, Settings, Streams

RAW = b"From: a@b.example\r\nMessage-ID: <1@b.example>\r\n\r\nBonjour\r\n"
LARGE = RAW + b"x" * 300_000
STREAM_BYTES = 16 * 1024 * 1024


@pytest.fixture
def server(tmp_path: Path, s3: Objects, monkeypatch: pytest.MonkeyPatch) -> Iterator[NatsServer]:
    running = NatsServer(tmp_path / "nats", tmp_path / "nats.log", free_ports(1)[0])
    running.start()
    small = Streams(max_bytes=STREAM_BYTES)
    asyncio.run(admin.apply(Settings(nats=Nats(url=running.url), streams=small)))
    for name, value in {
        "CONFIG": str(tmp_path / "none.toml"),
        "NATS__URL": running.url,
        "OBJECTS__ENDPOINT": s3.endpoint,
        "OBJECTS__ACCESS_KEY": s3.access_key,
        "OBJECTS__SECRET_KEY": s3.secret_key.get_secret_value(),
        "OBJECTS__BUCKET": s3.bucket,
        "INGEST__MAIL_MAX_BYTES": "500000",
    }.items():
        monkeypatch.setenv(f"SOURCIER_{name}", value)
    monkeypatch.chdir(tmp_path)
    yield running
    running.stop()


def pipe(raw: bytes, mailbox: str = "default") -> dict[str, Any]:
    """What the command prints. Raises ``Problem``."""
    words = ["send", "--stdin", "--json", "--mailbox", mailbox]
    done = CliRunner().invoke(app, words, input=raw)
    if isinstance(done.exception, Problem):
        raise done.exception
    assert done.exit_code == 0, done.exception
    return dict(json.loads(done.stdout))


def status(raw: bytes, mailbox: str = "default") -> int:
    """The status with which the command refuses."""
    with pytest.raises(Problem) as refusal:
        pipe(raw, mailbox)
    return refusal.value.status


async def held(url: str) -> list[dict[str, Any]]:
    client = await nats.connect(url)
    found = await client.jetstream().subscribe("mail.>", stream="MAIL", ordered_consumer=True)
    info = await client.jetstream().stream_info("MAIL")
    events = [json.loads((await found.next_msg(5)).data) for _ in range(info.state.messages)]
    await client.close()
    return events


def test_taken_once_however_often_it_is_piped(server: NatsServer) -> None:
    for _ in range(2):
        assert UUID(pipe(RAW)["mail_id"]) == mail_id("default", RAW)
    pipe(LARGE)
    small, large = asyncio.run(held(server.url))
    assert small["data"]["mailbox"] == "default"
    assert large["data"]["key"].startswith("inbox/cli/")


def test_what_is_the_e_mails_fault(server: NatsServer) -> None:
    assert status(b" \r\n") == os.EX_DATAERR
    assert status(LARGE + LARGE) == os.EX_DATAERR
    assert status(RAW, "absent") == os.EX_NOUSER
    assert status(RAW, "No Box") == os.EX_NOUSER
    assert asyncio.run(held(server.url)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NATS__URL", "nats://127.0.0.1:1"),
        ("OBJECTS__SECRET_KEY", ""),
        ("OBJECTS__ENDPOINT", "127.0.0.1:1"),
        ("INGEST__MAIL_MAX_BYTES", "many"),
    ],
)
def test_what_is_ours_leaves_it_in_the_queue(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SOURCIER_{name}", value)
    assert status(LARGE) == os.EX_TEMPFAIL


def test_the_program_exits_with_it(server: NatsServer) -> None:
    server.stop()
    done = subprocess.run(
        [sys.executable, "-m", "shared.cli.main", "send", "--stdin"],
        input=RAW,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
        timeout=60,
    )
    assert done.returncode == os.EX_TEMPFAIL
    assert b"no broker answers" in done.stderr
