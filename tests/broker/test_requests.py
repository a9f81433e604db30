"""Interactive requests over core NATS."""

from __future__ import annotations

import asyncio

import pytest

from shared import admin
from shared.bus import Bus
from shared.delivery import Invalid, Unavailable
from shared.queries import EmbedAnswer, EmbedQuery
from shared.settings import Settings

from .conftest import Desk


async def ready(desk: Desk, config: Settings, *buses: Bus) -> None:
    await admin.apply(config, [])
    for bus in buses:
        await bus.connect()
        await bus.start()


async def test_request_is_answered_and_failures_have_names(desk: Desk, config: Settings) -> None:
    embed, asker = Bus("embed", config), Bus("ingest", config)

    @embed.answers(EmbedQuery)
    async def answer(query: EmbedQuery) -> EmbedAnswer:
        match query.texts[0]:
            case "invalid":
                raise Invalid("not like this")
            case "down":
                raise Unavailable("model not loaded")
            case "bug":
                raise RuntimeError("oops")
        return EmbedAnswer(vectors=(), embedding="abc")

    await ready(desk, config, embed, asker)
    assert (await asker.ask(EmbedQuery(texts=("oui",)), EmbedAnswer)).embedding == "abc"
    with pytest.raises(Invalid, match="not like this"):
        await asker.ask(EmbedQuery(texts=("invalid",)), EmbedAnswer)
    for text, words in (("down", "model not loaded"), ("bug", "RuntimeError in answer")):
        with pytest.raises(Unavailable, match=words):
            await asker.ask(EmbedQuery(texts=(text,)), EmbedAnswer)
    reply = await desk.client.request("query.embed.v1", b"nonsense", timeout=5)
    assert b'"invalid"' in reply.data
    await asyncio.gather(embed.stop(), asker.stop())


async def test_nobody_there_is_unavailable_at_once(desk: Desk, config: Settings) -> None:
    asker = Bus("ingest", config)
    await ready(desk, config, asker)
    with pytest.raises(Unavailable, match="nobody answers"):
        await asker.ask(EmbedQuery(texts=("oui",)), EmbedAnswer)
    await asker.stop()


async def test_requests_are_answered_at_once_not_one_by_one(desk: Desk, config: Settings) -> None:
    embed, asker = Bus("embed", config), Bus("ingest", config)
    together = asyncio.Barrier(8)

    @embed.answers(EmbedQuery)
    async def answer(query: EmbedQuery) -> EmbedAnswer:
        await together.wait()
        return EmbedAnswer(vectors=(), embedding="abc")

    await ready(desk, config, embed, asker)
    asked = [asker.ask(EmbedQuery(texts=("oui",)), EmbedAnswer) for _ in range(8)]
    assert len(await asyncio.gather(*asked)) == 8
    await asyncio.gather(embed.stop(), asker.stop())
