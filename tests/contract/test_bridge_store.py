"""One suite for what the bridge remembers: in memory, and in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from services.mail.adapters.postgres import PostgresPlaces, PostgresSends
from services.mail.collecting import Place
from services.mail.service import Busy, Verdict
from shared import settings
from shared.delivery import Unavailable
from shared.postgres import open_pool
from tests.fakes.bridge_memory import MemoryPlaces, MemorySends

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
Stores = tuple[MemorySends | PostgresSends, MemoryPlaces | PostgresPlaces]


@pytest.fixture(params=["memory", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None


@pytest.fixture
async def stores(dsn: str | None) -> AsyncIterator[Stores]:
    if dsn is None:
        yield MemorySends(), MemoryPlaces()
        return
    config = settings.Postgres(dsn=SecretStr(dsn), pool=2)
    pool, locks = await open_pool(config, "test"), await open_pool(config, "test")
    yield PostgresSends(pool, locks), PostgresPlaces(pool)
    await pool.close()
    await locks.close()


async def test_a_verdict_is_kept_replaced_and_forgotten(stores: Stores) -> None:
    sends, _ = stores
    await sends.ready()
    reply, intention = uuid4(), Verdict("intended", "<m@x>", AT, attempt=uuid4())
    assert await sends.find(reply) is None
    await sends.keep(reply, "default", intention)
    assert await sends.find(reply) == intention
    sent = Verdict("sent", "<m@x>", AT + timedelta(seconds=1))
    await sends.keep(reply, "default", sent)
    assert await sends.find(reply) == sent
    await sends.forget(reply)
    await sends.forget(reply)
    assert await sends.find(reply) is None


async def test_one_hand_at_a_time(stores: Stores) -> None:
    sends, _ = stores
    reply = uuid4()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sends.alone(reply))
        with pytest.raises(Busy):
            async with sends.alone(reply):
                raise AssertionError("two have it")
        async with sends.alone(uuid4()):
            await sends.keep(reply, "default", Verdict("intended", "<m@x>", AT))
    async with sends.alone(reply):
        assert await sends.find(reply) == Verdict("intended", "<m@x>", AT)


async def test_an_error_inside_frees_the_reply(stores: Stores) -> None:
    sends, _ = stores
    reply = uuid4()
    with pytest.raises(ValueError, match="ours"):
        async with sends.alone(reply):
            raise ValueError("ours")
    async with sends.alone(reply):
        assert await sends.find(reply) is None


async def test_the_first_beginning_counts(stores: Stores) -> None:
    sends, _ = stores
    box = f"box-{uuid4().hex[:8]}"
    assert await sends.since(box, AT) == AT
    assert await sends.since(box, AT + timedelta(days=1)) == AT


async def test_places(stores: Stores) -> None:
    _, places = stores
    key = (f"box-{uuid4().hex[:8]}", "me@imap:993", "INBOX")
    assert await places.find(*key) is None
    first = Place(7, 3, date(2026, 3, 2))
    await places.keep(*key, first)
    await places.keep(*key, replace(first, uid=9))
    assert await places.find(*key) == replace(first, uid=9)
    await places.keep(*key, Place(8, 0))
    assert await places.find(*key) == Place(8, 0)
    assert await places.find(key[0], key[1], "Archive") is None


async def test_an_absent_database_is_unavailable() -> None:
    config = settings.Postgres(dsn=SecretStr("postgresql://x@127.0.0.1:1/x"))
    pool = await open_pool(config, "test")
    with pytest.raises(Unavailable):
        await PostgresSends(pool, pool).ready()
    with pytest.raises(Unavailable):
        await PostgresPlaces(pool).find("a", "b", "c")
    await pool.close()
