"""What is seen of a message that is retried and given up: figures, logs, its trace."""

from __future__ import annotations

import asyncio
import json

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from shared.bus import Bus
from shared.events import MailReceived
from shared.queries import EmbedAnswer, EmbedQuery
from shared.topology import STREAMS

from .conftest import Desk, eventually, stage

TEXT = "Madame Lefèvre demande un prêt"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_message_that_is_given_up(desk: Desk) -> None:
    where = stage()
    labels = {"stage": where.durable}
    before = {
        outcome: value("sourcier_handled_total", outcome=outcome, **labels)
        for outcome in ("ack", "retry", "deadletter")
    }
    oldest: list[float] = []

    async def fails(event: MailReceived, bus: Bus) -> None:
        await asyncio.sleep(0.2)
        oldest.append(value("sourcier_oldest_seconds", **labels))
        raise ValueError(TEXT)

    with capture_logs() as logs:
        await desk.bus(where, fails)
        (said,) = await desk.hand_in()
        await eventually(desk.dead)
        await eventually(lambda: not value("sourcier_oldest_seconds", **labels))
    (dead,) = await desk.dead()
    counted = {
        k: value("sourcier_handled_total", outcome=k, **labels) - v for k, v in before.items()
    }
    assert counted == {"ack": 0, "retry": where.policy.attempts - 1, "deadletter": 1}
    assert oldest[0] >= 0.2
    assert oldest == sorted(oldest), "its age counts from its arrival, through all retries"
    assert value("sourcier_latency_seconds_count", **labels) >= 1
    told = [line for line in logs if line["log_level"] != "debug"]
    assert TEXT not in json.dumps(told, ensure_ascii=False, default=str)
    failed = [line for line in told if line["event"] == "handler failed"]
    assert [line["outcome"] for line in failed] == ["retry", "retry", "deadletter"]
    assert all(line["error"].startswith("ValueError in fails, ") for line in failed)
    assert TEXT in dead.data.reason, "the dead letter keeps the whole reason"
    assert dead.traceparent
    assert said.traceparent is None


async def test_a_request_carries_the_trace_of_its_asker(desk: Desk) -> None:
    asked: list[str | None] = []
    where = stage()

    async def asks(event: MailReceived, bus: Bus) -> None:
        await bus.ask(EmbedQuery(texts=("?",)), EmbedAnswer)

    bus = await desk.bus(where, asks)
    answering = Bus("embed", desk.config)

    @answering.answers(EmbedQuery)
    async def answer(query: EmbedQuery) -> EmbedAnswer:
        asked.append(query.traceparent)
        return EmbedAnswer(vectors=(), embedding="e")

    await answering.connect()
    await answering.start()
    (said,) = await desk.hand_in()
    await eventually(lambda: asked)
    await answering.stop()
    assert asked[0]
    assert asked[0] != said.traceparent
    assert bus.service == "ingest"


async def test_streams_are_told_with_their_limits(desk: Desk) -> None:
    async def takes(event: MailReceived, bus: Bus) -> None:
        return None

    await desk.bus(stage(), takes)
    for stream in STREAMS:
        await eventually(lambda s=stream: value("sourcier_stream_limit_bytes", stream=s.name))
        assert value("sourcier_stream_limit_bytes", stream=stream.name) == 16 * 1024 * 1024
