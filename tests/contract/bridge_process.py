"""The bridge as a real process that can be killed and started again within milliseconds."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import asyncpg
import nats
from nats.aio.client import Client

from deploy.local.nats import NatsServer
from deploy.local.process import free_ports
from shared import admin, topology
from shared.envelope import Event
from shared.registry import decode
from shared.settings import Nats, Objects, Settings, Streams

STREAM_BYTES = 16 * 1024 * 1024
QUICK = replace(topology.MAIL_REPLY, ack_wait=2.0)
"""What a killed process had in hand comes again after 2 s, not after 30."""
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["services.mail.app"])


def _live(environment: dict[str, str], log: str) -> None:
    """In the child: the service's own main."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(file, number)
    os.environ.update(environment)
    topology.MAIL_REPLY = QUICK
    from services.mail.app import build
    from shared.runtime import run

    run("mail", build)


class BridgeProcess:
    """``services.mail.app`` from a server of forks that has imported it already."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._arguments = (environment, str(log))
        self.log = log
        self.kills = 0
        self.process: ForkServerProcess | None = None

    def start(self) -> None:
        self.process = _forks.Process(target=_live, args=self._arguments, daemon=True)
        self.process.start()

    def kill(self) -> None:
        """SIGKILL: nothing is finished, closed or said."""
        assert self.process is not None
        self.process.kill()
        self.process.join()
        self.kills += 1

    def stop(self) -> int | None:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, signal.SIGTERM)
        self.process.join(30)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return self.process.exitcode


class World:
    """Broker, database and object store around one bridge, seen from outside."""

    def __init__(self, client: Client, bridge: BridgeProcess, url: str) -> None:
        self.client = client
        self.bridge = bridge
        self.url = url

    async def say(self, event: Event) -> None:
        await self.client.jetstream().publish(
            event.nats_subject(), event.model_dump_json().encode(), timeout=10
        )

    async def heard(self, stream: str, subject: str) -> list[Event]:
        """Everything that ``stream`` holds on ``subject``."""
        total = await self.count(stream, subject)
        if not total:
            return []
        found = await self.client.jetstream().subscribe(
            subject, stream=stream, ordered_consumer=True
        )
        events = [decode((await found.next_msg(timeout=10)).data) for _ in range(total)]
        await found.unsubscribe()
        return events

    async def count(self, stream: str, subject: str) -> int:
        """How many messages ``stream`` holds on ``subject``."""
        info = await self.client.jetstream().stream_info(stream, subjects_filter=subject)
        return sum((info.state.subjects or {}).values())

    async def until(self, stream: str, subject: str, count: int, within: float) -> list[Event]:
        """What ``stream`` holds there once it is ``count`` or more."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            found = await self.count(stream, subject)
            if found >= count:
                return await self.heard(stream, subject)
            if asyncio.get_running_loop().time() > deadline:
                tail = self.bridge.log.read_text()[-3000:]
                raise AssertionError(f"{found} of {count} on {subject}\n{tail}")
            await asyncio.sleep(0.2)


@asynccontextmanager
async def world(
    folder: Path, dsn: str, s3: Objects, bridge: dict[str, Any], addresses: tuple[str, ...] = ()
) -> AsyncIterator[World]:
    """A fresh broker and a bridge with the settings ``bridge``, not started yet."""
    server = NatsServer(folder / "nats", folder / "nats.log", free_ports(1)[0])
    await asyncio.to_thread(server.start)
    small = Streams(max_bytes=STREAM_BYTES)
    config = Settings(nats=Nats(url=server.url), streams=small)
    await admin.apply(config, [*topology.STAGES, QUICK])
    database = await asyncpg.connect(dsn)
    await database.execute("truncate bridge.sends, bridge.mailboxes, bridge.senders")
    await database.close()
    named = {box: {} for way in ("incoming", "outgoing") for box in bridge.get(way, ())}
    http = free_ports(1)[0]
    environment: dict[str, str] = {
        "SOURCIER_CONFIG": str(folder / "none.toml"),
        "SOURCIER_NATS__URL": server.url,
        "SOURCIER_STREAMS__MAX_BYTES": str(STREAM_BYTES),
        "SOURCIER_POSTGRES__DSN": dsn,
        "SOURCIER_OBJECTS__ENDPOINT": s3.endpoint,
        "SOURCIER_OBJECTS__ACCESS_KEY": s3.access_key,
        "SOURCIER_OBJECTS__SECRET_KEY": s3.secret_key.get_secret_value(),
        "SOURCIER_OBJECTS__BUCKET": s3.bucket,
        "SOURCIER_MAILBOXES": json.dumps(named | {"default": {"addresses": addresses}}),
        "SOURCIER_HTTP__PORT": str(http),
        "SOURCIER_BRIDGE": json.dumps(bridge),
    }
    client = await nats.connect(server.url)
    made = BridgeProcess(environment, folder / "bridge.log")
    try:
        yield World(client, made, f"http://127.0.0.1:{http}")
    finally:
        if made.process:
            await asyncio.to_thread(made.stop)
            sys.stderr.write(made.log.read_text()[-5000:])  # shown when the test fails
        await client.close()
        await asyncio.to_thread(server.stop)
