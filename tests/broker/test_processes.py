"""What must hold when whole processes die, stop, or meet a broker that is not as agreed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from shared import admin
from shared.bus import Bus, TopologyDiffers
from shared.events import MailReceived
from shared.settings import Settings

from .conftest import Desk, NatsServer, eventually, stage


async def start(config: Settings, mode: str, notes: Path) -> asyncio.subprocess.Process:
    environment = os.environ | {
        "SOURCIER_NATS__URL": config.nats.url,
        "SOURCIER_STREAMS__MAX_BYTES": str(config.streams.max_bytes),
        "SOURCIER_DELIVERY__DRAIN": "5",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.broker.dies",
        mode,
        str(notes),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )


def lines(notes: Path, word: str) -> int:
    return notes.read_text().count(word) if notes.exists() else 0


async def test_a_handler_that_kills_its_process_is_dead_lettered_before_it_runs_again(
    desk: Desk, config: Settings, tmp_path: Path
) -> None:
    where, notes = stage(ack_wait=5.0), tmp_path / "notes"
    await admin.apply(config, [where])
    (said,) = await desk.hand_in()
    for _ in range(where.policy.attempts):
        process = await start(config, "die", notes)
        assert await asyncio.wait_for(process.wait(), 30) == 9
    last = await start(config, "die", notes)
    await eventually(desk.dead, within=30)
    last.send_signal(signal.SIGTERM)
    await asyncio.wait_for(last.wait(), 30)

    (dead,) = await desk.dead()
    assert lines(notes, "run") == where.policy.attempts
    assert dead.data.error == "NoOutcome"
    assert dead.data.attempt == where.policy.attempts + 1
    assert dead.data.payload == said.model_dump_json().encode()
    assert await desk.unfinished(where) == 0


async def test_sigterm_finishes_what_is_in_hand_and_takes_nothing_new(
    desk: Desk, config: Settings, tmp_path: Path
) -> None:
    where, notes = stage(ack_wait=5.0), tmp_path / "notes"
    await admin.apply(config, [where])
    process = await start(config, "slow", notes)
    await desk.hand_in(10)
    await eventually(lambda: lines(notes, "run") == where.workers, within=30)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0

    assert lines(notes, "run") == lines(notes, "done") == where.workers
    info = await desk.jetstream.consumer_info("MAIL", where.durable)
    assert (info.num_pending, info.num_ack_pending) == (6, 0)


async def test_sigterm_while_the_broker_is_gone_still_ends_the_process(
    desk: Desk, config: Settings, server: NatsServer, tmp_path: Path
) -> None:
    where, notes = stage(ack_wait=5.0), tmp_path / "notes"
    await admin.apply(config, [where])
    process = await start(config, "slow", notes)
    await desk.hand_in(1)
    await eventually(lambda: lines(notes, "run"), within=30)
    server.kill()
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()


async def test_what_cannot_finish_in_time_is_handed_back_at_once(
    desk: Desk, config: Settings
) -> None:
    where = stage(ack_wait=60.0)
    config.delivery.drain = 0.2
    started = asyncio.Event()

    async def never_ends(event: MailReceived, bus: Bus) -> None:
        started.set()
        await asyncio.sleep(60)

    bus = await desk.bus(where, never_ends)
    await desk.hand_in()
    await started.wait()
    await bus.stop()
    seen = asyncio.Event()

    async def takes_over(event: MailReceived, bus: Bus) -> None:
        seen.set()

    await desk.bus(where, takes_over)
    await asyncio.wait_for(seen.wait(), 5)  # not after ack_wait, which is a minute


async def test_a_consumer_unlike_the_topology_is_refused_with_the_difference(
    desk: Desk, config: Settings
) -> None:
    where = stage()
    await admin.apply(config, [where])
    changed = admin.consumer_config(where)
    changed.ack_wait = 99.0
    await desk.jetstream.add_consumer("MAIL", changed)
    bus = Bus("ingest", config)
    bus.hears(where)(_nothing)
    with pytest.raises(TopologyDiffers, match=r"ingest-test: ack_wait is 99\.0, should be 1\.0"):
        await bus.connect()
    await bus.stop()


async def test_a_missing_stream_is_named_and_apply_mends_it(desk: Desk, config: Settings) -> None:
    bus = Bus("ingest", config)
    bus.hears(stage())(_nothing)
    with pytest.raises(TopologyDiffers, match="stream MAIL: missing"):
        await bus.connect()
    assert any("stream MAIL: missing" in line for line in await admin.apply(config, [stage()]))
    assert await admin.apply(config, [stage()]) == []
    await bus.connect()
    await bus.stop()


async def test_a_service_refused_by_the_topology_exits_with_words(
    config: Settings, tmp_path: Path
) -> None:
    process = await start(config, "slow", tmp_path / "notes")
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"sourcier topology apply" in errors
    assert b"stream MAIL: missing" in errors


async def _nothing(event: MailReceived) -> None:
    return None
