"""One suite for both registers of ingest: in memory, and in a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from services.ingest.adapters.postgres import PostgresIntake
from services.ingest.mail_service import Arrival, Registration
from services.ingest.threads import Strand
from shared import settings
from shared.delivery import Unavailable
from shared.postgres import open_pool
from tests.fakes.intake_memory import MemoryIntake

Store = MemoryIntake | PostgresIntake
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(params=["memory", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None


@pytest.fixture
async def store(dsn: str | None) -> AsyncIterator[Store]:
    if dsn is None:
        yield MemoryIntake()
        return
    pool = await open_pool(settings.Postgres(dsn=SecretStr(dsn), pool=4), "test")
    yield PostgresIntake(pool)
    await pool.close()


@pytest.fixture
def mailbox() -> str:
    return f"box-{uuid4().hex[:8]}"


def arrival(mailbox: str, message_id: str, *related: str, sender: str = "a") -> Arrival:
    strand = Strand(
        message_id=message_id,
        related=related,
        subject="",
        reply=False,
        sender=sender * 64,
        people=(sender * 64,),
        thread_id=uuid4(),
        own_thread_id=uuid4(),
    )
    return Arrival(event_id=uuid4(), mail_id=uuid4(), mailbox=mailbox, strand=strand, received=AT)


def thread(mail: Arrival) -> UUID:
    """The thread that it starts when nothing of it is known."""
    return mail.strand.thread_id


def later(mail: Arrival, minutes: int, **strand: Any) -> Arrival:
    return replace(
        mail,
        received=AT + timedelta(minutes=minutes),
        strand=replace(mail.strand, **strand),
    )


async def test_ready(store: Store) -> None:
    await store.ready()


async def test_redelivery_gets_the_same_answer(store: Store, mailbox: str) -> None:
    first = arrival(mailbox, "<1@x>")
    decided = await store.register(first, 5)
    assert decided == Registration("accepted", thread(first))
    assert await store.register(later(first, 0, thread_id=uuid4()), 0) == decided


async def test_duplicates(store: Store, mailbox: str) -> None:
    first = arrival(mailbox, "<1@x>")
    await store.register(first, 5)
    again = replace(first, event_id=uuid4())
    copy = arrival(mailbox, "<1@x>")
    assert (await store.register(again, 5)).outcome == "duplicate"
    assert (await store.register(copy, 5)).outcome == "duplicate"
    assert (await store.register(copy, 5)).outcome == "duplicate"
    elsewhere = replace(copy, mailbox=f"{mailbox}-b", mail_id=uuid4())
    assert (await store.register(elsewhere, 5)).outcome == "accepted"


async def test_mails_without_message_id_are_no_duplicates(store: Store, mailbox: str) -> None:
    for _ in range(2):
        assert (await store.register(arrival(mailbox, ""), 5)).outcome == "accepted"


async def test_threads_follow_the_nearest_known_mail(store: Store, mailbox: str) -> None:
    first, other = arrival(mailbox, "<1@x>"), arrival(mailbox, "<2@x>")
    await store.register(first, 5)
    await store.register(other, 5)
    reply = arrival(mailbox, "<3@x>", "<2@x>", "<unknown@x>", "<1@x>")
    assert (await store.register(reply, 5)).thread_id == thread(first)
    stranger = arrival(mailbox, "<4@x>", "<unknown@x>")
    assert (await store.register(stranger, 5)).thread_id == thread(stranger)


async def test_senders_share_neither_threads_nor_message_ids(store: Store, mailbox: str) -> None:
    first = arrival(mailbox, "<1@x>")
    await store.register(first, 5)
    other = arrival(mailbox, "<2@x>", "<1@x>", sender="b")
    assert await store.register(other, 5) == Registration("accepted", thread(other))
    same_id = arrival(mailbox, "<1@x>", sender="c")
    assert await store.register(same_id, 5) == Registration("accepted", thread(same_id))


async def test_over_the_limit_is_decided_anew_when_it_comes_again(
    store: Store, mailbox: str
) -> None:
    await store.register(arrival(mailbox, "<1@x>"), 1)
    over = arrival(mailbox, "<2@x>")
    assert (await store.register(over, 1)).outcome == "limit"
    assert (await store.register(over, 9)).outcome == "limit"
    soon = replace(over, event_id=uuid4())
    assert (await store.register(soon, 1)).outcome == "limit"
    again = replace(over, event_id=uuid4(), received=AT + timedelta(hours=2))
    decided = await store.register(again, 1)
    assert decided.outcome == "accepted"
    assert await store.register(again, 1) == decided
    assert (await store.register(soon, 1)).outcome == "duplicate"
    copy = replace(again, event_id=uuid4(), mail_id=uuid4())
    assert (await store.register(copy, 9)).outcome == "duplicate"


async def test_limit_of_a_sender_within_the_hour(store: Store, mailbox: str) -> None:
    outcomes = [
        (await store.register(arrival(mailbox, f"<{number}@x>"), 2)).outcome for number in range(3)
    ]
    assert outcomes == ["accepted", "accepted", "limit"]
    assert (await store.register(arrival(mailbox, "<o@x>", sender="b"), 2)).outcome == "accepted"
    after = later(arrival(mailbox, "<l@x>"), 61)
    assert (await store.register(after, 2)).outcome == "accepted"


async def test_a_reply_without_headers_joins_by_subject(store: Store, mailbox: str) -> None:
    first = later(arrival(mailbox, "<1@x>"), 0, subject="s" * 64)
    other = later(arrival(mailbox, "<2@x>", sender="b"), 1, subject="s" * 64)
    for mail in (first, other):
        await store.register(mail, 5)
    reply = later(arrival(mailbox, "<3@x>"), 5, subject="s" * 64, reply=True)
    assert await store.register(reply, 5) == Registration(
        "accepted", thread(first), (first.mail_id,)
    )
    fresh = later(arrival(mailbox, "<4@x>"), 6, subject="s" * 64)
    assert await store.register(fresh, 5) == Registration("accepted", thread(fresh))
    late = later(arrival(mailbox, "<5@x>"), 31 * 24 * 60, subject="s" * 64, reply=True)
    assert await store.register(late, 5) == Registration("accepted", thread(late))
    elsewhere = replace(reply, mailbox=f"{mailbox}-b", mail_id=uuid4())
    assert (await store.register(elsewhere, 5)).thread_id == thread(reply)


async def test_whoever_was_written_to_may_join(store: Store, mailbox: str) -> None:
    first = later(arrival(mailbox, "<1@x>"), 0, people=("a" * 64, "b" * 64))
    await store.register(first, 5)
    copied = later(arrival(mailbox, "<2@x>", "<1@x>", sender="b"), 1)
    assert (await store.register(copied, 5)).thread_id == thread(first)
    stranger = later(arrival(mailbox, "<3@x>", "<1@x>", sender="c"), 2)
    assert (await store.register(stranger, 5)).thread_id == thread(stranger)


async def test_a_new_subject_on_an_old_mail_starts_a_thread(store: Store, mailbox: str) -> None:
    first = later(arrival(mailbox, "<1@x>"), 0, subject="s" * 64)
    await store.register(first, 5)
    changed = later(arrival(mailbox, "<2@x>", "<1@x>"), 1, subject="t" * 64)
    known = await store.register(changed, 5)
    assert known == Registration("accepted", changed.strand.own_thread_id)


async def test_the_last_mails_of_the_thread_before(store: Store, mailbox: str) -> None:
    first = arrival(mailbox, "<0@x>")
    mails = [first]
    mails += [later(arrival(mailbox, f"<{n}@x>", "<0@x>"), n) for n in (1, 2, 3, 4)]
    for mail in mails[:1] + mails[:0:-1]:  # the answers come in reverse
        await store.register(mail, 9)
    over = later(arrival(mailbox, "<5@x>", "<0@x>"), 5)
    assert (await store.register(over, 0)).outcome == "limit"
    last = later(arrival(mailbox, "<6@x>", "<0@x>"), 6)
    ids = tuple(mail.mail_id for mail in mails)
    assert (await store.register(last, 9)).earlier == ids[2:]
    assert (await store.register(last, 9)).earlier == ids[2:]


async def test_simultaneous_copies_are_accepted_once(store: Store, mailbox: str) -> None:
    copies = [arrival(mailbox, "<1@x>") for _ in range(6)]
    decided = await asyncio.gather(*(store.register(copy, 5) for copy in copies))
    assert sorted(one.outcome for one in decided) == ["accepted"] + ["duplicate"] * 5


async def test_one_writer_of_a_document(store: Store) -> None:
    document, inside, most = uuid4(), 0, 0

    async def write(name: UUID) -> None:
        nonlocal inside, most
        async with store.document(name):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(write(document) for _ in range(4)))
    assert most == 1


async def test_database_down_is_unavailable() -> None:
    dsn = SecretStr("postgresql://nobody@127.0.0.1:1/none")
    pool = await open_pool(settings.Postgres(dsn=dsn, pool=1), "test")
    intake = PostgresIntake(pool)
    with pytest.raises(Unavailable):
        await intake.ready()
    with pytest.raises(Unavailable):
        await intake.register(arrival("box", "<1@x>"), 5)
    await pool.close()


async def test_a_preview_remembers_nothing(store: Store, mailbox: str) -> None:
    first = arrival(mailbox, "<1@x>")
    for _ in range(2):
        assert await store.preview(first, 1) == Registration("accepted", thread(first))
    await store.register(first, 1)
    answer = later(arrival(mailbox, "<2@x>", "<1@x>"), 1)
    over = Registration("limit", thread(first), (first.mail_id,))
    assert await store.preview(answer, 1) == over
    assert (await store.preview(replace(first, event_id=uuid4()), 9)).outcome == "duplicate"


async def test_what_is_forgotten_still_came(store: Store, mailbox: str) -> None:
    came = arrival(mailbox, "<a@x>")
    await store.register(came, 5)
    for _ in range(2):
        assert await store.forget(came.mail_id) == mailbox
    assert await store.forget(uuid4()) is None
    again = await store.register(replace(came, event_id=uuid4()), 5)
    assert again.outcome == "duplicate"
    answer = arrival(mailbox, "<b@x>", "<a@x>")  # nothing leads to it any more
    assert (await store.register(answer, 5)).earlier == ()
