"""The delivery rules on a real nats-server: each of these traps loses mail when it is missed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import replace

import pytest
from nats.js.errors import APIError

from shared.bus import Bus
from shared.clock import utcnow
from shared.delivery import Invalid, Unavailable
from shared.envelope import caused
from shared.events import MailReceived, MailSkipped, MailSkippedData

from .conftest import QUICK, Desk, NatsServer, eventually, mail, stage


async def test_unknown_error_is_retried_with_growing_delay_then_dead_lettered(desk: Desk) -> None:
    where, runs = stage(), list[float]()

    async def fails(event: MailReceived, bus: Bus) -> None:
        runs.append(time.monotonic())
        raise RuntimeError("the roof leaks")

    await desk.bus(where, fails)
    (said,) = await desk.hand_in()
    await eventually(desk.dead)

    (dead,) = await desk.dead()
    assert len(runs) == where.policy.attempts
    first, second = runs[1] - runs[0], runs[2] - runs[1]
    assert first >= 0.15
    assert second > first
    assert dead.data.payload == said.model_dump_json().encode()
    assert "the roof leaks" in dead.data.reason
    assert dead.data.error == "RuntimeError"
    assert dead.data.original_subject == "mail.received.v1.default"
    assert dead.data.attempt == 3
    await eventually(lambda: _finished(desk, where))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"not json", "Invalid JSON"),
        (b"\xff\xfe\x00", "Invalid JSON"),
        (b"{}", "Field required"),
        (b'{"type": "sourcier.mail.received.v9"}', "Field required"),
        (
            mail().model_dump_json().replace("received.v1", "received.v9").encode(),
            "unknown event type or version 'sourcier.mail.received.v9'",
        ),
        (mail().model_dump_json().replace('"default"', '"Not a slug!"').encode(), "data.mailbox"),
    ],
)
async def test_invalid_payload_is_dead_lettered_at_once(
    desk: Desk, body: bytes, words: str
) -> None:
    async def never(event: MailReceived, bus: Bus) -> None:
        raise AssertionError("the handler must not see it")

    await desk.bus(stage(), never)
    await desk.jetstream.publish("mail.received.v1.default", body, stream="MAIL")
    await eventually(desk.dead)
    (dead,) = await desk.dead()
    assert dead.data.error == "Invalid"
    assert words in dead.data.reason
    assert dead.data.attempt == 1
    assert dead.data.payload == body


async def test_invalid_input_found_by_the_handler_is_dead_lettered_at_once(desk: Desk) -> None:
    async def refuses(event: MailReceived, bus: Bus) -> None:
        raise Invalid("no such object")

    await desk.bus(stage(), refuses)
    await desk.hand_in()
    await eventually(desk.dead)
    (dead,) = await desk.dead()
    assert (dead.data.reason, dead.data.attempt) == ("no such object", 1)


async def test_an_outage_uses_up_no_attempts_and_stops_fetching(desk: Desk) -> None:
    """Longer than all retries and several ack_waits together; `make chaos` runs two minutes."""
    where, down_until = stage(workers=2), time.monotonic() + 4
    seen, finished = Counter[uuid.UUID](), set[uuid.UUID]()

    async def needs_database(event: MailReceived, bus: Bus) -> None:
        seen[event.id] += 1
        if time.monotonic() < down_until:
            raise Unavailable("database down")
        finished.add(event.id)

    await desk.bus(where, needs_database)
    said = await desk.hand_in(6)
    await asyncio.sleep(3)
    info = await desk.jetstream.consumer_info("MAIL", where.durable)
    assert info.num_ack_pending == 2, "fetched beyond what is in hand"
    assert info.num_redelivered in (0, None), "redelivered while held"
    await eventually(lambda: len(finished) == len(said))
    assert len(seen) == len(said)
    assert max(seen.values()) > where.policy.attempts
    assert await desk.dead() == []
    await eventually(lambda: _finished(desk, where))


async def test_one_message_that_cannot_be_served_does_not_stop_the_stage(desk: Desk) -> None:
    """Its dependency answers everybody else: after some patience it counts as its own fault."""
    where, done = stage(workers=1, policy=replace(QUICK, patience=3)), list[uuid.UUID]()

    async def refuses_one(event: MailReceived, bus: Bus) -> None:
        if event.data.mailbox == "refused":
            raise Unavailable("the store refuses this key")
        done.append(event.id)

    async def answers() -> None:
        return None

    bus = await desk.bus(where, refuses_one)
    bus.needs = {"objects": answers}
    refused = mail("refused")
    await desk.jetstream.publish(refused.nats_subject(), refused.model_dump_json().encode())
    await desk.hand_in(2)
    await eventually(lambda: len(done) == 2)
    await eventually(desk.dead)
    assert "refuses this key" in (await desk.dead())[0].data.reason


async def test_redelivery_after_the_output_was_published_gives_no_second_output(desk: Desk) -> None:
    runs = Counter[uuid.UUID]()

    async def says_then_fails_once(event: MailReceived, bus: Bus) -> None:
        runs[event.id] += 1
        await bus.say(skipped(event))
        if runs[event.id] == 1:
            raise RuntimeError("lost the acknowledgement")

    await desk.bus(stage(), says_then_fails_once)
    (said,) = await desk.hand_in()
    await eventually(lambda: runs[said.id] == 2)
    await asyncio.sleep(0.3)
    assert len(await desk.bodies("MAIL", "mail.skipped.>")) == 1


async def test_heartbeat_keeps_a_slow_handler_from_being_redelivered(desk: Desk) -> None:
    where, runs = stage(ack_wait=1.0), Counter[uuid.UUID]()

    async def slow(event: MailReceived, bus: Bus) -> None:
        runs[event.id] += 1
        await asyncio.sleep(3 * where.ack_wait)

    await desk.bus(where, slow)
    (said,) = await desk.hand_in()
    await eventually(lambda: _finished(desk, where))
    assert runs == {said.id: 1}


async def test_a_handler_over_its_cap_is_retried_then_dead_lettered(desk: Desk) -> None:
    async def hangs(event: MailReceived, bus: Bus) -> None:
        await asyncio.sleep(60)

    await desk.bus(stage(cap=0.2), hangs)
    await desk.hand_in()
    await eventually(desk.dead)
    assert (await desk.dead())[0].data.error == "TimeoutError"


async def test_sixteen_handlers_really_run_at_once(desk: Desk) -> None:
    together, most = 0, 0
    meeting = asyncio.Barrier(16)

    async def meets(event: MailReceived, bus: Bus) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await meeting.wait()
        together -= 1

    where = stage(workers=16, ack_wait=10.0)
    await desk.bus(where, meets)
    await desk.hand_in(64)
    await eventually(lambda: _finished(desk, where))
    assert most == 16


async def test_a_slow_message_does_not_hold_up_the_others(desk: Desk) -> None:
    done = list[float]()

    where, runs = stage(workers=2, ack_wait=10.0), 0

    async def first_is_slow(event: MailReceived, bus: Bus) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(2.0 if runs == 1 else 0.01)
        done.append(time.monotonic())

    await desk.bus(where, first_is_slow)
    began = time.monotonic()
    await desk.hand_in(20)
    await eventually(lambda: len(done) == 20)
    assert sum(at - began < 1.5 for at in done) == 19


async def test_broker_restart_resumes(desk: Desk, server: NatsServer) -> None:
    where, done = stage(), set[uuid.UUID]()

    async def works(event: MailReceived, bus: Bus) -> None:
        await asyncio.sleep(0.2)
        await bus.say(skipped(event))
        done.add(event.id)

    await desk.bus(where, works)
    said = await desk.hand_in(12)
    await eventually(lambda: len(done) >= 2)
    server.kill()
    await asyncio.sleep(1)
    server.start()
    await eventually(lambda: len(done) == len(said), within=30)
    await eventually(lambda: _finished(desk, where), within=30)
    said += await desk.hand_in(2)
    await eventually(lambda: len(done) == len(said))
    assert len(await desk.bodies("MAIL", "mail.skipped.>")) == len(said)
    assert await desk.dead() == []


async def test_a_full_stream_holds_the_message_until_there_is_room(desk: Desk) -> None:
    desk.config.streams.max_bytes = 1024 * 1024
    where, done = stage(), list[uuid.UUID]()

    async def says(event: MailReceived, bus: Bus) -> None:
        await bus.say(skipped(event))
        done.append(event.id)

    await desk.bus(where, says)
    filler = b"x" * 250_000
    for _ in range(4):
        await desk.jetstream.publish("mail.filler", filler, stream="MAIL")
    await desk.hand_in(1)
    while True:  # take the last room
        try:
            await desk.jetstream.publish("mail.filler", b"x" * 500, stream="MAIL")
        except APIError:
            break
    if not done:
        await asyncio.sleep(1)
    before = len(done)
    await desk.jetstream.purge_stream("MAIL", subject="mail.filler")
    await eventually(lambda: len(done) == 1)
    assert before in (0, 1)
    assert await desk.dead() == []


async def test_an_event_too_large_for_its_stream_is_dead_lettered(desk: Desk) -> None:
    async def says_too_much(event: MailReceived, bus: Bus) -> None:
        await bus.say(skipped(event, detail="x" * 600_000))

    await desk.bus(stage(), says_too_much)
    await desk.hand_in()
    await eventually(desk.dead)
    (dead,) = await desk.dead()
    assert "too large" in dead.data.reason


async def test_an_event_larger_than_the_broker_takes_is_dead_lettered(desk: Desk) -> None:
    async def says_far_too_much(event: MailReceived, bus: Bus) -> None:
        await bus.say(skipped(event, detail="x" * 1_200_000))

    await desk.bus(stage(), says_far_too_much)
    await desk.hand_in()
    await eventually(desk.dead)
    assert "larger than the broker takes" in (await desk.dead())[0].data.reason


async def test_a_message_with_a_huge_wrong_type_is_buried_and_the_others_go_on(desk: Desk) -> None:
    done = list[uuid.UUID]()

    async def works(event: MailReceived, bus: Bus) -> None:
        done.append(event.id)

    where = stage(workers=2)
    await desk.bus(where, works)
    huge = mail().model_dump_json().replace(MailReceived.TYPE, "x" * 500_000).encode()
    for _ in range(3):
        await desk.jetstream.publish("mail.received.v1.default", huge, stream="MAIL")
    await desk.hand_in(2)
    await eventually(lambda: len(done) == 2)
    await eventually(lambda: _finished(desk, where))
    dead = await desk.dead()
    assert len(dead) == 3
    assert all(len(each.data.reason) < 2100 for each in dead)


async def test_when_nothing_passes_a_long_outage_is_still_no_fault_of_the_messages(
    desk: Desk,
) -> None:
    """The probe answers (a read-only store, say) but no message passes: all are held."""
    where, down = stage(workers=2, policy=replace(QUICK, patience=2)), True
    done = list[uuid.UUID]()

    async def cannot_write(event: MailReceived, bus: Bus) -> None:
        if down:
            raise Unavailable("read-only")
        done.append(event.id)

    async def answers() -> None:
        return None

    bus = await desk.bus(where, cannot_write)
    bus.needs = {"objects": answers}
    await desk.hand_in(4)
    await asyncio.sleep(4)
    assert await desk.dead() == []
    down = False
    await eventually(lambda: len(done) == 4)


def skipped(event: MailReceived, detail: str = "essai") -> MailSkipped:
    data = MailSkippedData(
        mailbox=event.data.mailbox,
        mail_id=event.id,
        reason="empty",
        detail=detail,
        received=event.time,
    )
    return caused(event, MailSkipped, source="ingest", time=utcnow(), data=data)


async def _finished(desk: Desk, where: object) -> bool:
    return await desk.unfinished(where) == 0  # type: ignore[arg-type]  # always a Stage
