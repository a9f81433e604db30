"""Stands in for retrieve: answers searches with the seed's passages that share words with them."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import nats
from nats.aio.msg import Msg

from shared.queries import SearchAnswer, SearchQuery
from tests.browser.seed import Seeded

_WORD = re.compile(r"\w{4,}")


@contextmanager
def answering(broker: str, seeded: Seeded) -> Iterator[None]:
    """Answers ``query.search.v1`` on ``broker`` until it is left."""
    passages = [p for each in seeded.passages.values() for p in each]

    async def answer(message: Msg) -> None:
        query = SearchQuery.model_validate_json(message.data)
        wanted = set(_WORD.findall(query.question.lower()))
        best = sorted(
            passages, key=lambda p: -len(wanted & set(_WORD.findall(f"{p.title} {p.text}".lower())))
        )
        found = SearchAnswer(
            passages=tuple(best[: query.limit]), evidence=0.5, embedding="e5", retrieval="hybrid"
        )
        await message.respond(found.model_dump_json().encode())

    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()

    async def serve() -> None:
        client = await nats.connect(broker)
        await client.subscribe(SearchQuery.SUBJECT, cb=answer)
        await client.flush()
        ready.set()
        await done.wait()
        await client.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()
