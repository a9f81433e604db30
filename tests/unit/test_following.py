"""Open pages follow what their viewers may know of, and a slow one costs nothing."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID, uuid4

from services.feedback.access import Viewer
from services.feedback.following import WAITING, Live
from services.feedback.queueing import Change, Place, place
from tests.samples import AT


def viewer(*mailboxes: str, audiences: frozenset[str] | None = None) -> Viewer:
    return Viewer(
        account="a",
        name="A",
        roles=frozenset({"agent"}),
        mailboxes=frozenset(mailboxes) if mailboxes else None,
        audiences=audiences,
        pseudonym="p-0000",
    )


def draft(mailbox: str) -> Change:
    return Change(kind="draft", op="insert", id=uuid4(), mailbox=mailbox)


async def heard(live: Live, who: Viewer, seconds: float = 0.2) -> list[Change]:
    return [change async for change in live.follow(who, seconds)]


async def test_a_page_hears_of_its_mailboxes_and_audiences_only() -> None:
    live = Live()
    mine = viewer("one", audiences=frozenset({"public"}))
    following = asyncio.gather(heard(live, mine), heard(live, viewer()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    told = [
        draft("one"),
        draft("two"),
        Change(kind="document", id=uuid4(), audience="public"),
        Change(kind="document", id=uuid4(), audience="staff"),
        Change(kind="document", id=uuid4()),
        Change(kind="lock", id=uuid4()),
    ]
    for change in told:
        live.tell(change)
    of_one, of_all = await following
    assert of_one == [told[0], told[2]]
    assert of_all == told


async def test_that_something_was_missed_concerns_everybody() -> None:
    live = Live()
    following = asyncio.create_task(heard(live, viewer("one")))
    await asyncio.sleep(0.01)
    live.tell(draft("one"))
    live.tell(Change(kind="resync"))
    live.tell(draft("one"))
    assert await following == [Change(kind="resync")]


async def test_what_waits_for_a_slow_page_is_bounded() -> None:
    live = Live()
    following = asyncio.create_task(heard(live, viewer()))
    await asyncio.sleep(0.01)
    for _ in range(WAITING * 10):
        live.tell(draft("one"))
    assert await following == [Change(kind="resync")]


async def test_closing_ends_every_page_at_once_and_admits_no_other() -> None:
    live = Live()
    following = [asyncio.create_task(heard(live, viewer(), 60)) for _ in range(50)]
    await asyncio.sleep(0.01)
    began = time.monotonic()
    live.close()
    assert await asyncio.gather(*following) == [[]] * 50
    assert time.monotonic() - began < 1
    assert live.full
    assert await heard(live, viewer(), 60) == []


def test_a_place_in_a_list_survives_the_address() -> None:
    where = Place(time=AT.replace(microsecond=123456), key=UUID(int=7))
    assert place(str(where)) == where
