"""Rounds of drafts: through broker, generate, embed and endpoint, and straight at the endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import nats
from openai import AsyncOpenAI

from benchmarks.layouts import Asked
from benchmarks.served import Served
from services.generate.adapters.bus_scorer import BusScorer
from shared import admin
from shared.cli.client import BusClient, connected
from shared.cli.where import Where
from shared.events import ContextRetrieved, DraftDeclined, DraftReady
from shared.progress import DraftProgress
from shared.registry import decode


@dataclass
class Round:
    """What one round took, in seconds; ``first``: to each first token."""

    seconds: float = 0.0
    tokens: float = 0.0
    first: list[float] = field(default_factory=list)
    writing: float = 0.0
    checking: float = 0.0
    fell_back: int = 0
    """Drafts that the extractive engine wrote, because the model's answer was of no use."""


Work = Callable[[int], Awaitable[None]]


async def keep_busy(count: int, at_once: int, work: Work) -> float:
    """Seconds for ``count`` pieces of work, ``at_once`` at any time."""
    left = iter(range(count))

    async def one() -> None:
        for number in left:
            await work(number)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(at_once)))
    return time.perf_counter() - began


class Journey:
    """The generate path, from ``context.retrieved`` to ``draft.*``."""

    def __init__(self, client: BusClient, served: Served) -> None:
        self._client = client
        self._served = served
        self._first: dict[UUID, asyncio.Future[float]] = {}
        self._outcome: dict[UUID, asyncio.Future[DraftReady | DraftDeclined]] = {}

    async def hears(self, subject: str, body: bytes) -> None:
        """A message of the bus."""
        now = time.perf_counter()
        if subject.startswith(DraftProgress.PREFIX):
            told = self._first.get(DraftProgress.model_validate_json(body).mail_id)
            if told and not told.done():
                told.set_result(now)
            return
        event = decode(body)
        if isinstance(event, DraftReady | DraftDeclined):
            waiting = self._outcome.get(event.data.mail.mail_id)
            if waiting and not waiting.done():
                waiting.set_result(event)

    async def round(self, events: Sequence[ContextRetrieved], at_once: int) -> Round:
        done, before = Round(), await self._served.counters()

        async def work(number: int) -> None:
            event = events[number]
            mail, loop = event.data.mail.mail_id, asyncio.get_running_loop()
            self._first[mail], self._outcome[mail] = loop.create_future(), loop.create_future()
            began = time.perf_counter()
            await self._client.say(event)
            outcome = await asyncio.wait_for(self._outcome[mail], 900)
            if self._first[mail].done():
                done.first.append(self._first[mail].result() - began)
            done.fell_back += outcome.data.engine.startswith("extractive")
            timings = outcome.data.timings
            if "checks" in timings:  # a refusal has none
                done.writing += timings["generate"]
                done.checking += timings["checks"]

        done.seconds = await keep_busy(len(events), at_once, work)
        done.tokens = (await self._served.spent(before))["vllm:generation_tokens_total"]
        return done


async def bare(served: Served, prompts: Sequence[Asked], at_once: int) -> Round:
    """The same requests, sent by nothing but the library."""
    done, before = Round(), await served.counters()
    client = AsyncOpenAI(base_url=served.url, api_key="none", max_retries=0, timeout=900)

    async def work(number: int) -> None:
        asked, began, first = prompts[number], time.perf_counter(), 0.0
        stream = await client.chat.completions.create(
            model=served.model,
            messages=cast("Any", [message.model_dump() for message in asked.messages]),
            stream=True,
            **asked.options,
        )
        async for chunk in stream:
            if not first and chunk.choices and chunk.choices[0].delta.content:
                first = time.perf_counter() - began
        done.first.append(first)

    done.seconds = await keep_busy(len(prompts), at_once, work)
    done.tokens = (await served.spent(before))["vllm:generation_tokens_total"]
    await client.close()
    return done


class Asker:
    """The bus as a scorer needs it."""

    def __init__(self, client: BusClient) -> None:
        self._client = client

    async def ask(self, query: Any, answer: Any, timeout: float) -> Any:
        return await self._client.ask(query, answer, timeout)


@asynccontextmanager
async def on_the_bus(where: Where, served: Served) -> AsyncIterator[tuple[Journey, BusScorer]]:
    """The path, and the scorer that its engine has."""
    config = where.settings.nats
    plain = await nats.connect(config.url, **admin.credentials(config))
    async with connected(where.settings) as client:
        path = Journey(client, served)

        async def progress(message: Any) -> None:
            await path.hears(message.subject, message.data)

        await plain.subscribe(f"{DraftProgress.PREFIX}.>", cb=progress)
        await plain.flush()
        wanted = [("DRAFT", "draft.ready.v1.>"), ("DRAFT", "draft.declined.v1.>")]
        async with client.watch(wanted) as heard:

            async def outcomes() -> None:
                while True:
                    message = await heard.get()
                    await path.hears(message.subject, message.body)

            hearing = asyncio.create_task(outcomes())
            try:
                yield path, BusScorer(cast("Any", Asker(client)))
            finally:
                hearing.cancel()
                await plain.close()
