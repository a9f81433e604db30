"""generate on a real broker with a model server that comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats.aio.msg
import pytest

from services.generate.app import build
from shared import admin
from shared.bus import Bus
from shared.events import DraftReady
from shared.progress import DraftProgress
from shared.registry import decode
from shared.settings import Settings
from shared.topology import GENERATE_DRAFT, STAGES
from tests.fakes.drafting import STUDY, context, mail, passage
from tests.fakes.endpoint import Reply, endpoint, parts

from .conftest import Desk, eventually

SAID = "Le programme cofinance l'étude préalable à hauteur de 50 % de son coût hors taxes."


def asked(number: int) -> Any:
    question = f"L'étude préalable de notre école numéro {number} est-elle financée ?"
    return context(mail([question]), [passage(STUDY)])


@asynccontextmanager
async def generate(config: Settings, url: str, **generation: object) -> AsyncIterator[Bus]:
    await admin.apply(config, STAGES)
    values = {"engine": "openai", "endpoint": url, "model": "m", "timeout": 0.5}
    settings = Settings.model_validate(config.model_dump() | {"generation": values | generation})
    bus = Bus("generate", settings)
    async with build(settings, bus) as brought:
        bus.needs = brought.needs
        await bus.connect()
        await bus.start()
        yield bus
        await bus.stop()


async def drafts(desk: Desk) -> list[DraftReady]:
    found = [decode(body) for body in await desk.bodies("DRAFT", "draft.ready.v1.>")]
    return [event for event in found if isinstance(event, DraftReady)]


@pytest.mark.parametrize("down", [Reply(status=503), Reply(SAID, cut=True), Reply("", delay=2)])
async def test_when_the_endpoint_returns_nothing_is_stuck(
    desk: Desk, config: Settings, down: Reply
) -> None:
    with endpoint(down) as server:
        async with generate(config, server.url, fallback=False):
            for number in range(6):
                event = asked(number)
                await desk.jetstream.publish(
                    event.nats_subject(), event.model_dump_json().encode(), stream="MAIL"
                )
            await eventually(lambda: len(server.requests) >= 6)
            await asyncio.sleep(0.5)
            assert await drafts(desk) == []
            server.script[:] = [parts((SAID, [1]))]

            async def all_written() -> bool:
                return len(await drafts(desk)) == 6

            await eventually(all_written, within=30)
            assert await desk.unfinished(GENERATE_DRAFT) == 0
    assert {draft.data.engine for draft in await drafts(desk)} == {"openai"}
    assert await desk.dead() == []


async def test_while_the_endpoint_is_down_the_extractive_engine_steps_in(
    desk: Desk, config: Settings
) -> None:
    with endpoint(Reply(status=503)) as server:
        async with generate(config, server.url, fallback=True):
            event = asked(1)
            await desk.jetstream.publish(
                event.nats_subject(), event.model_dump_json().encode(), stream="MAIL"
            )

            async def written() -> bool:
                return bool(await drafts(desk))

            await eventually(written)
    (draft,) = await drafts(desk)
    assert draft.data.engine == "extractive (endpoint down)"
    assert any(check.name == "engine" and not check.passed for check in draft.data.checks)


async def test_a_draft_in_progress_is_heard_and_in_no_stream(desk: Desk, config: Settings) -> None:
    heard: list[DraftProgress] = []

    async def hear(message: nats.aio.msg.Msg) -> None:
        heard.append(DraftProgress.model_validate_json(message.data))

    event = asked(1)
    await desk.client.subscribe(f"progress.draft.v1.default.{event.data.mail.mail_id}", cb=hear)
    slow = parts((SAID, [1]), pause=0.15)
    with endpoint(slow) as server:
        async with generate(config, server.url, timeout=5):
            await desk.jetstream.publish(
                event.nats_subject(), event.model_dump_json().encode(), stream="MAIL"
            )
            await eventually(lambda: bool(heard) and heard[-1].done)
    texts = [each.text for each in heard[:-1]]
    assert 2 <= len(texts) <= 6
    assert all(SAID.startswith(text) for text in texts)
    assert len(texts[-1]) > len(texts[0])
    for stream in ("MAIL", "DRAFT", "DEAD"):
        info = await desk.jetstream.stream_info(stream, subjects_filter="progress.>")
        assert not info.state.subjects
