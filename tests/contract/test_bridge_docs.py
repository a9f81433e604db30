"""What docs/mail.md tells mail systems to write does what it says, with their key's rights."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from deploy.local import keys
from deploy.local.nats import NatsServer
from deploy.local.permissions import MAIL_SYSTEM, OPERATOR, accounts
from deploy.local.process import free_ports
from shared import admin
from shared.bridge import Bridge
from shared.events import MailReceived, ReplySent
from shared.registry import decode
from shared.settings import Nats, Settings, Streams
from tests.contract.test_bridge_process import approved

PAGE = (Path(__file__).parents[2] / "docs" / "mail.md").read_text()
RAW = b"From: a@b.example\r\nMessage-ID: <1@b.example>\r\n\r\nBonjour\r\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Settings]:
    """A broker that knows users; the settings are the operator's."""
    public = keys.nkey_seeds(tmp_path, (MAIL_SYSTEM, OPERATOR))
    port = free_ports(1)[0]
    server = NatsServer(tmp_path / "nats", tmp_path / "nats.log", port, accounts("local", public))
    server.start()
    operator = Nats(url=server.url, nkey_seed=tmp_path / f"{OPERATOR}.nk")
    made = Settings(nats=operator, streams=Streams(max_bytes=16 * 1024 * 1024))
    asyncio.run(admin.apply(made))
    yield made
    server.stop()


def run(program: str, config: Settings, folder: Path, given: bytes = b"") -> None:
    seed = folder / f"{MAIL_SYSTEM}.nk"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=given,
        capture_output=True,
        env=os.environ | {"NATS_URL": config.nats.url, "NKEY": str(seed)},
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()


async def last(config: Settings, stream: str, subject: str) -> bytes:
    client = await nats.connect(config.nats.url, **admin.credentials(config.nats))
    found = await client.jetstream().get_last_msg(stream, subject)
    await client.close()
    return found.data or b""


async def say(config: Settings, subject: str, body: bytes) -> None:
    client = await nats.connect(config.nats.url, **admin.credentials(config.nats))
    await client.jetstream().publish(subject, body)
    await client.close()


def test_publishing_an_e_mail(config: Settings, tmp_path: Path) -> None:
    run(blocks("python")[0], config, tmp_path, RAW)
    event = decode(asyncio.run(last(config, "MAIL", "mail.received.v1.default")))
    assert isinstance(event, MailReceived)
    assert event.data.content == RAW


def test_the_shells_event_is_one(tmp_path: Path) -> None:
    """With a stand-in for the `nats` program, which is not installed here."""
    (tmp_path / "question.eml").write_bytes(RAW)
    program = "nats() { printf '%s\\0' \"$@\" > said; }\n" + blocks("sh")[0]
    subprocess.run(["bash", "-euc", program], cwd=tmp_path, check=True, timeout=20)
    said = (tmp_path / "said").read_bytes().split(b"\0")
    event = decode(next(word for word in said if word.startswith(b"{")))
    assert isinstance(event, MailReceived)
    assert event.data.content == RAW
    assert f"Nats-Msg-Id:{event.id}".encode() in said


def test_fetching_a_reply_and_telling_that_it_left(config: Settings, tmp_path: Path) -> None:
    reply = approved()
    body = reply.model_dump_json().encode()
    asyncio.run(say(config, reply.nats_subject(), body))
    run(blocks("python")[1], config, tmp_path)
    event = decode(asyncio.run(last(config, "DRAFT", "reply.sent.v1.default")))
    assert isinstance(event, ReplySent)
    assert event.data.reply_id == reply.data.reply_id


def test_the_settings_shown_are_settings() -> None:
    (shown,) = (each for each in blocks("toml") if "[bridge.incoming" in each)
    bridge = Bridge.model_validate(tomllib.loads(shown)["bridge"])
    assert bridge.configured
    every = re.sub(r"(?m)^# (token_file|folder|after|backlog|mode)", r"\1", shown)
    assert (
        Bridge.model_validate(tomllib.loads(every)["bridge"]).outgoing["default"].mode == "append"
    )
