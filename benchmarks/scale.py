"""How a waiting stage grows with its replicas, and what the bus itself can take.

Replicas are processes with our bus on a real nats-server (synced writes, as in production). In the
first part a handler only waits, as one does for a model server: ideal is messages × wait ÷ slots.
In the second it does nothing, beside nats-py alone, which fetches, decodes the event and confirms
its acknowledgement: one message after the other, and sixteen at once, as our bus has them in
hand. Ratios are of one run on one machine. A busy one spoils them (see the load); processor time
per message hardly suffers, and one process can do no more than its inverse.

    python -m benchmarks.scale [--wait 2] [--rounds 8]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.js.api import ConsumerConfig

from benchmarks.report import report
from deploy.local.nats import NatsServer
from deploy.local.process import free_ports
from shared import admin, telemetry
from shared.bus import Bus
from shared.clock import utcnow
from shared.events import MailReceived, MailReceivedData
from shared.settings import Log, Nats, Settings, Streams
from shared.topology import MAIL, Stage

REPLICAS = (1, 2, 4)
HANDLERS = (16, 64)
CEILING = 6000
AT_ONCE = 16
"""Messages in hand in the second part, on both sides."""
AIM_EFFICIENCY, AIM_CEILING = 0.95, 0.6


def stage(name: str, workers: int) -> Stage:
    return Stage("ingest", name, MAIL, MailReceived, workers=workers)


def settings(url: str) -> Settings:
    return Settings(nats=Nats(url=url), streams=Streams(max_bytes=512 * 1024 * 1024))


def event() -> MailReceived:
    data = MailReceivedData(mailbox="default", content=b"Qm9uam91" * 100)
    return MailReceived.make(
        source="benchmark", subject="benchmark", time=utcnow(), id=uuid.uuid4(), data=data
    )


async def hand_in(client: Client, count: int) -> None:
    """Publish ``count`` events, a hundred under way at once."""
    jetstream = client.jetstream()
    for begin in range(0, count, 100):
        said = [event() for _ in range(begin, min(begin + 100, count))]
        await asyncio.gather(
            *(
                jetstream.publish(e.nats_subject(), e.model_dump_json().encode(), timeout=10)
                for e in said
            )
        )


# -- a replica: a process of its own ------------------------------------------------------------


async def replica(url: str, name: str, workers: int, wait: float) -> None:
    """Handle until standard input ends; then print when it worked, and on how much."""
    telemetry.configure(Log(level="warning"), "benchmark")
    bus, began, ended = Bus("ingest", settings(url)), [0.0], [0.0]
    count = 0

    @bus.hears(stage(name, workers))
    async def heard(event: MailReceived) -> None:
        nonlocal count
        began[0] = began[0] or time.time()
        if wait:
            await asyncio.sleep(wait)
        ended[0] = time.time()
        count += 1

    await bus.connect()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    spent = time.process_time()
    await bus.start()
    await asyncio.to_thread(sys.stdin.readline)
    spent = time.process_time() - spent
    await bus.stop()
    told = {"count": count, "began": began[0], "ended": ended[0], "cpu": spent}
    print(json.dumps(told), flush=True)


@contextmanager
def replicas(number: int, *words: object) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "benchmarks.scale", "--replica", *map(str, words)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(number)
    ]
    try:
        yield running
    finally:
        for each in running:
            each.kill()
            each.wait()


def tell(running: list[subprocess.Popen[str]]) -> None:
    for each in running:
        assert each.stdin
        each.stdin.write("\n")
        each.stdin.flush()


def hear(running: list[subprocess.Popen[str]]) -> list[str]:
    return [each.stdout.readline().strip() for each in running if each.stdout]


@dataclass
class Drained:
    """``seconds`` from the first message to the last; ``cpu`` seconds of all replicas."""

    seconds: float
    repeated: int
    cpu: float


async def drained(
    url: str, name: str, number: int, workers: int, wait: float, count: int
) -> Drained:
    """``count`` messages through ``number`` replicas."""
    client = await nats.connect(url)
    where = stage(name, workers)
    await admin.apply(settings(url), [where])
    await client.jetstream().purge_stream(MAIL.name)
    await hand_in(client, count)
    with replicas(number, url, name, workers, wait) as running:
        hear(running)
        tell(running)
        while True:
            info = await client.jetstream().consumer_info(MAIL.name, where.durable)
            if not info.num_pending and not info.num_ack_pending:
                break
            await asyncio.sleep(0.2)
        tell(running)
        told = [json.loads(line) for line in hear(running)]
    delivered = info.delivered.consumer_seq if info.delivered else 0
    await client.jetstream().delete_consumer(MAIL.name, where.durable)
    await client.close()
    assert sum(each["count"] for each in told) == delivered, "each delivery was handled"
    worked = [each for each in told if each["count"]]
    seconds = max(e["ended"] for e in worked) - min(e["began"] for e in worked)
    return Drained(seconds, delivered - count, sum(each["cpu"] for each in told))


# -- nats-py alone ------------------------------------------------------------------------------


async def raw(url: str, count: int, at_once: int) -> Drained:
    """The same by nats-py alone: fetched, decoded, acknowledged with confirmation."""
    client = await nats.connect(url)
    jetstream = client.jetstream()
    await jetstream.purge_stream(MAIL.name)
    await jetstream.add_consumer(
        MAIL.name, ConsumerConfig(durable_name="raw", filter_subject="mail.>")
    )
    await hand_in(client, count)
    messages = await jetstream.pull_subscribe_bind("raw", MAIL.name)

    async def one(message: Any) -> None:
        MailReceived.model_validate_json(message.data)
        await message.ack_sync()

    began, spent, done = time.perf_counter(), time.process_time(), 0
    while done < count:
        batch = await messages.fetch(at_once)
        await asyncio.gather(*map(one, batch))
        done += len(batch)
    found = Drained(time.perf_counter() - began, 0, time.process_time() - spent)
    await jetstream.delete_consumer(MAIL.name, "raw")
    await client.close()
    return found


async def measured(url: str, wait: float, rounds: int) -> dict[str, object]:
    """All figures."""
    figures: dict[str, object] = {"wait_s": wait, "load_1min": round(os.getloadavg()[0], 1)}
    worst, again = 1.0, 0
    for workers in HANDLERS:
        for number in REPLICAS:
            count = number * workers * rounds
            name = f"wait-{number}x{workers}"
            found = await drained(url, name, number, workers, wait, count)
            efficiency = rounds * wait / found.seconds
            figures[f"{number}x{workers}_per_s"] = count / found.seconds
            figures[f"{number}x{workers}_of_ideal"] = efficiency
            worst, again = min(worst, efficiency), again + found.repeated
    figures |= {"least_of_ideal": worst, "redeliveries": again}
    return figures | await ceiling(url)


async def ceiling(url: str) -> dict[str, object]:
    """Messages a second, and microseconds of processor time for each, beside nats-py alone."""
    figures: dict[str, object] = {}
    one = await raw(url, CEILING // 3, 1)
    sixteen = await raw(url, CEILING, AT_ONCE)
    ours = await drained(url, "ceiling", 1, AT_ONCE, 0, CEILING)
    for name, found, count in (
        ("one_by_one", one, CEILING // 3),
        ("16_at_once", sixteen, CEILING),
    ):
        rate, spent = count / found.seconds, found.cpu / count * 1e6
        figures |= {f"nats_py_{name}_per_s": rate, f"nats_py_{name}_cpu_us": spent}
        figures[f"bus_of_{name}"] = CEILING / ours.seconds / rate
        figures[f"bus_of_{name}_by_cpu"] = spent / (ours.cpu / CEILING * 1e6)
    figures |= {"bus_per_s": CEILING / ours.seconds, "bus_cpu_us": ours.cpu / CEILING * 1e6}
    return figures | {"ceiling_redeliveries": ours.repeated}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wait", type=float, default=2.0, help="seconds that a handler waits")
    parser.add_argument("--rounds", type=int, default=8, help="messages per slot")
    parser.add_argument("--replica", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.replica:
        url, name, workers, wait = asked.replica
        asyncio.run(replica(url, name, int(workers), float(wait)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        server = NatsServer(path, path / "nats.log", free_ports(1)[0])
        server.start()
        try:
            figures = asyncio.run(measured(server.url, asked.wait, asked.rounds))
        finally:
            server.stop()
    aims = {
        "least_of_ideal": f"≥ {AIM_EFFICIENCY}",
        "redeliveries": "0",
        "ceiling_redeliveries": "0",
        "bus_of_one_by_one": f"≥ {AIM_CEILING}",
        "bus_of_16_at_once": f"≥ {AIM_CEILING}",
    }
    report("scale", figures, aims)
    return 0


if __name__ == "__main__":
    sys.exit(main())
