"""A nats-server of the test's own, which it may kill and start again, and a bus beside it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from shared import admin
from shared.bus import Bus
from shared.clock import utcnow
from shared.delivery import Policy
from shared.document_events import MessageDead
from shared.events import MailReceived, MailReceivedData
from shared.registry import decode
from shared.settings import Delivery, Nats, Settings, Streams
from shared.topology import MAIL, Stage

QUICK = Policy(attempts=3, backoff=(0.2, 0.6), hold=(0.1, 0.2))


def stage(**changes: object) -> Stage:
    """A stage on mail.received whose times suit a test."""
    usual: dict[str, object] = {"workers": 4, "ack_wait": 1.0, "cap": 30.0, "policy": QUICK}
    return Stage("ingest", "test", MAIL, MailReceived, **(usual | changes))  # type: ignore[arg-type]  # a test's own mix


class NatsServer:
    """One nats-server process with JetStream in ``folder``."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._config = folder / "nats.conf"
        self._config.write_text(
            f"listen: 127.0.0.1:{self.port}\n"
            f'jetstream {{ store_dir: "{folder}/store", sync_interval: always }}\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        program = Path(sys.executable).with_name("nats-server")
        self._process = subprocess.Popen(
            [program, "-c", self._config], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            import time

            time.sleep(0.05)
        raise RuntimeError("nats-server did not start")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    nats_server = NatsServer(tmp_path)
    nats_server.start()
    yield nats_server
    nats_server.kill()


@pytest.fixture
def config(server: NatsServer) -> Settings:
    return Settings(
        nats=Nats(url=server.url),
        streams=Streams(max_bytes=16 * 1024 * 1024),
        delivery=Delivery(drain=3),
    )


class Desk:
    """The outside world: hands in e-mails, reads what streams hold, runs buses."""

    def __init__(self, config: Settings, client: Client, stack: AsyncExitStack) -> None:
        self.config = config
        self.client = client
        self.jetstream = client.jetstream()
        self._stack = stack

    async def bus(
        self, where: Stage, handler: Callable[[MailReceived, Bus], Awaitable[None]]
    ) -> Bus:
        """A running bus with ``handler`` on ``where``; it stops with the test."""
        await admin.apply(self.config, [where])
        bus = Bus(where.service, self.config)

        @bus.hears(where)
        async def heard(event: MailReceived) -> None:
            await handler(event, bus)

        await bus.connect()
        await bus.start()
        self._stack.push_async_callback(bus.stop)
        return bus

    async def hand_in(self, count: int = 1) -> list[MailReceived]:
        said = [mail() for _ in range(count)]
        for event in said:
            await self.jetstream.publish(
                event.nats_subject(), event.model_dump_json().encode(), stream="MAIL"
            )
        return said

    async def dead(self) -> list[MessageDead]:
        """All dead letters, oldest first."""
        found = []
        for body in await self.bodies("DEAD"):
            event = decode(body)
            assert isinstance(event, MessageDead)
            found.append(event)
        return found

    async def bodies(self, stream: str, subject: str = ">") -> list[bytes]:
        info = await self.jetstream.stream_info(stream, subjects_filter=subject)
        if not sum((info.state.subjects or {}).values()):
            return []
        sub = await self.jetstream.subscribe(subject, stream=stream, ordered_consumer=True)
        total = sum((info.state.subjects or {}).values())
        found = [(await sub.next_msg(timeout=5)).data for _ in range(total)]
        await sub.unsubscribe()
        return found

    async def unfinished(self, where: Stage) -> int:
        info = await self.jetstream.consumer_info(where.stream.name, where.durable)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)


@pytest.fixture
async def desk(config: Settings) -> AsyncIterator[Desk]:
    client = await nats.connect(config.nats.url, max_reconnect_attempts=-1)
    async with AsyncExitStack() as stack:
        yield Desk(config, client, stack)
    await client.close()


def mail(mailbox: str = "default") -> MailReceived:
    return MailReceived.make(
        source="test",
        subject="test",
        time=utcnow(),
        id=uuid.uuid4(),
        data=MailReceivedData(mailbox=mailbox, content=b"Qm9uam91cg=="),
    )


async def eventually(condition: Callable[[], object], within: float = 15.0) -> None:
    """Wait until ``condition`` holds; it may be a coroutine function."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"did not happen within {within} s")
        await asyncio.sleep(0.05)
