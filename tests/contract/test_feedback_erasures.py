"""An e-mail is forgotten on a real PostgreSQL: nothing of what was written is left in any table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.feedback.adapters.dataset_rows import PostgresReviewed
from services.feedback.adapters.edits import PostgresEdits
from services.feedback.adapters.erasures import PostgresErasures
from services.feedback.adapters.mail_reader import PostgresMails
from services.feedback.adapters.postgres import PostgresDrafts
from services.feedback.adapters.queue import PostgresQueue
from services.feedback.adapters.replies import PostgresReplies
from services.feedback.answering import Answering
from services.feedback.editing import Editing
from services.feedback.erasing import ERASED, Erasing, sender_sha256
from services.feedback.records import ReviewWish
from services.feedback.service import FeedbackService
from services.feedback.settling import StoredReply
from shared import settings
from shared.document_events import MailErased, MailErasedData
from shared.envelope import Event
from shared.events import DraftReady, MailAccepted, MailSkipped, ReplySent
from shared.postgres import Pool, open_pool
from shared.records import Message
from shared.registry import decode
from tests import samples
from tests.viewers import ADMIN, AGENT

EVENTS: dict[Any, Any] = {type(event): event for event in samples.events()}
TABLES = "mails, drafts, passages, documents, reviews, replies, outbox, unmatched, erasures"
SECRET = "Zéphyrine"
SENDER = "zephyrine@college.example"
MAIL = samples.MAIL.model_copy(
    update={
        "sender": samples.MAIL.sender.model_copy(update={"address": SENDER, "name": SECRET}),
        "subject": f"De {SECRET}",
        "new_text": f"Je suis {SECRET}.",
        "questions": (f"Que doit faire {SECRET} ?",),
    }
)


class World:
    """The use cases over one database."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        now = self.now = samples.AT
        self.service = FeedbackService(PostgresDrafts(pool), lambda: now, lambda: None)
        self.answering = Answering(
            PostgresReplies(pool), lambda: now, lambda: None, self.service.withdraw
        )
        self.erasing = Erasing(PostgresErasures(pool), lambda: now)
        self.editing = Editing(PostgresEdits(pool), None, lambda: now, 10)  # type: ignore[arg-type]  # not searched

    async def draft(self, **mail: object) -> UUID:
        """A draft of `MAIL` with changes; an own e-mail and draft when they name another."""
        event = EVENTS[DraftReady]
        data = event.data.model_copy(
            update={
                "draft_id": uuid4(),
                "mail": MAIL.model_copy(update=mail),
                "text": f"Bonjour {SECRET}, voici [1].",
                "messages": (Message(role="user", content=f"{SECRET} demande"),),
                "raw_output": SECRET,
            }
        )
        await self.service.record_draft(event.model_copy(update={"data": data}))
        return UUID(str(data.draft_id))

    async def erase(self, **named: object) -> None:
        data = MailErasedData.model_validate(named)
        event = MailErased.make(source="test", subject="-", time=samples.AT, data=data, id=uuid4())
        for _ in range(2):  # events may come twice
            await self.erasing.hear(event)

    async def holding(self, word: str) -> list[str]:
        """The tables that hold ``word`` in any column."""
        found = await self.pool.fetch(
            "select table_name as t from information_schema.tables"
            " where table_schema = 'feedback' and table_type = 'BASE TABLE'"
        )
        query = "select count(*) from feedback.{0} t where t::text ilike $1"
        tables = sorted(row["t"] for row in found)
        return [t for t in tables if await self.pool.fetchval(query.format(t), f"%{word}%")]

    async def accept(self, **mail: object) -> None:
        event = EVENTS[MailAccepted]
        data = event.data.model_copy(update={"mail": MAIL.model_copy(update=mail)})
        await self.service.record_mail(event.model_copy(update={"data": data}))

    async def told(self) -> list[MailErased]:
        """What the outbox tells ingest."""
        rows = await self.pool.fetch("select event from feedback.outbox order by position")
        events = [decode(row["event"].encode()) for row in rows]
        return [event for event in events if isinstance(event, MailErased)]

    async def reply(self) -> StoredReply:
        (reply,) = await self.answering.list_replies(AGENT, None, None, 10, None)
        return reply

    async def say_sent(self, reply_id: UUID | None = None) -> None:
        event = EVENTS[ReplySent]
        text = f"Bonjour {SECRET}, oui."
        update = {"mail_id": MAIL.mail_id, "reply_id": reply_id, "text": text}
        data = event.data.model_copy(update=update)
        await self.answering.hear(event.model_copy(update={"data": data, "id": uuid4()}))


@pytest.fixture
async def world(postgres_dsn: str) -> AsyncIterator[World]:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=4), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    yield World(pool)
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    await pool.close()


async def test_no_word_is_left_and_the_counts_stay(world: World) -> None:
    draft = await world.draft()
    other = await world.draft(received=samples.AT)
    await world.editing.save(AGENT, other, f"Je réponds à {SECRET}", 0)
    wish = ReviewWish(decision="edited", final_text=f"Bonjour {SECRET}, non [1].", note=SECRET)
    await world.service.review(AGENT, draft, wish)
    await world.say_sent()
    reviewed = PostgresReviewed(world.pool, None)
    before = await world.service.figures(ADMIN), await reviewed.count()
    assert len(await world.holding(SECRET)) >= 5
    await world.erase(mail_ids=[MAIL.mail_id])
    assert await world.holding(SECRET) == await world.holding(SENDER) == []
    after = await world.service.figures(ADMIN), await reviewed.count()
    assert after[0].outcomes == before[0].outcomes
    assert after[0].statuses == before[0].statuses
    assert (before[1], after[1]) == (1, 0)
    assert [drafts async for drafts in reviewed.mails()] == []
    row = await world.pool.fetchrow("select * from feedback.reviews")
    assert row is not None
    assert row["words_changed"] > 0
    assert (row["decision"], json.loads(row["data"])["final_text"]) == ("edited", "")
    said = "select count(*) from feedback.audit where action = 'mail.erased' and object = $1"
    assert await world.pool.fetchval(said, f"mail:{MAIL.mail_id}") == 1


async def test_what_is_shown_of_it_says_that_it_was_erased(world: World) -> None:
    draft = await world.draft()
    await world.erase(sender_sha256=sender_sha256(SENDER.title()))
    opened = await world.editing.open(AGENT, draft)
    assert (opened.draft.status, opened.draft.status_detail, opened.text) == (
        "withdrawn",
        ERASED,
        "",
    )
    kept = await PostgresMails(world.pool).mail(AGENT, MAIL.mail_id)
    assert kept is not None
    assert (kept.subject, kept.raw_key, kept.block) == ("", None, None)
    assert await PostgresQueue(world.pool).mail(AGENT, MAIL.mail_id)


async def test_a_senders_mails_are_told_to_ingest_by_id_once(world: World) -> None:
    await world.draft()
    await world.erase(mail_ids=[MAIL.mail_id])
    assert await world.pool.fetch("select event from feedback.outbox") == []
    await world.pool.execute("update feedback.mails set erased = null, sender = $1", SENDER)
    await world.erase(sender_sha256=sender_sha256(SENDER))
    (told,) = await world.pool.fetch("select event from feedback.outbox")
    event = decode(told["event"].encode())
    assert isinstance(event, MailErased)
    assert event.data.mail_ids == (MAIL.mail_id,)


async def test_what_comes_later_of_an_erased_mail_is_not_kept(world: World) -> None:
    await world.erase(mail_ids=[MAIL.mail_id], sender_sha256=sender_sha256(SENDER))
    await world.draft()
    await world.accept()
    skipped = EVENTS[MailSkipped]
    update = {"mail_id": uuid4(), "sender": MAIL.sender, "subject": SECRET}
    passed = skipped.data.model_copy(update=update)
    await world.service.record_skipped(skipped.model_copy(update={"data": passed}))
    assert await world.holding(SECRET) == []
    named = [event.data.mail_ids for event in await world.told()]
    assert named == [(MAIL.mail_id,), (passed.mail_id,)], "ingest has stored them"
    await world.accept(received=samples.AT + timedelta(hours=1))
    assert len({event.id for event in await world.told()}) == 3, "handed in again: stored again"
    for event in await world.told():
        await world.erasing.hear(event)
    assert len(await world.told()) == 3
    await world.draft(mail_id=uuid4(), received=samples.AT + timedelta(hours=1))
    assert "drafts" in await world.holding(SECRET), "the sender wrote again, after the erasure"


async def test_a_mail_system_that_tells_of_it_later_brings_nothing_back(world: World) -> None:
    await world.draft()
    await world.erase(mail_ids=[MAIL.mail_id])
    await world.say_sent()
    assert await world.holding(SECRET) == []
    await world.pool.execute("truncate feedback.mails cascade")  # as if it had never come
    await world.say_sent()
    assert await world.holding(SECRET) == []


async def test_an_approved_reply_does_not_leave_without_its_words(world: World) -> None:
    draft = await world.draft()
    await world.service.review(AGENT, draft, ReviewWish(decision="approved"))
    await world.erase(mail_ids=[MAIL.mail_id])
    reply = await world.reply()
    assert (reply.state, reply.why, reply.reply) == ("failed", ERASED, None)
    assert await world.pool.fetchval("select count(*) from feedback.outbox") == 0


async def test_a_reply_that_was_said_may_still_leave_and_is_told_of_without_words(
    world: World,
) -> None:
    draft = await world.draft()
    await world.service.review(AGENT, draft, ReviewWish(decision="approved"))
    erasing: list[asyncio.Task[None]] = []

    async def say(_: Event) -> None:
        if not erasing:
            erasing.append(asyncio.create_task(world.erase(mail_ids=[MAIL.mail_id])))
            await asyncio.sleep(0.2)

    assert await PostgresDrafts(world.pool).relay(say, 10) == 2
    await erasing[0]
    reply = await world.reply()
    assert (reply.state, reply.why, reply.reply) == ("approved", "", None)
    for _ in range(2):
        await world.say_sent(reply.reply_id)
        sent = await world.reply()
        assert (sent.state, sent.text, sent.message_id) == ("sent", None, "")
    assert await world.holding(SECRET) == []


async def test_later_mails_of_the_conversation_lose_what_they_quote(world: World) -> None:
    await world.draft()
    later = uuid4()
    await world.draft(
        mail_id=later,
        received=samples.AT + timedelta(hours=1),
        earlier=("Le collège de Brest demande.",),
    )
    await world.erase(mail_ids=[MAIL.mail_id])
    assert await world.holding("collège de Brest") == []
    kept = await PostgresMails(world.pool).mail(AGENT, later)
    assert kept is not None
    assert kept.block is not None
    assert SECRET in kept.block.new_text


async def test_a_later_mail_that_was_on_its_way_is_kept_without_what_it_quotes(
    world: World,
) -> None:
    await world.draft()
    await world.erase(mail_ids=[MAIL.mail_id])
    later = {"mail_id": uuid4(), "received": samples.AT + timedelta(hours=1)}
    quoting = {**later, "earlier": ("Le collège de Brest demande.",)}
    await world.accept(**quoting)
    draft = await world.draft(**quoting)
    assert await world.holding("collège de Brest") == []
    opened = await world.editing.open(AGENT, draft)
    assert opened.draft.data.messages == ()
    assert SECRET in opened.draft.data.mail.new_text


async def test_a_sender_whose_address_has_accents_is_found(world: World) -> None:
    sender = MAIL.sender.model_copy(update={"address": "ÉLODIE@collège.example"})
    await world.draft(sender=sender)
    await world.erase(sender_sha256=sender_sha256("élodie@collège.example"))
    assert await world.holding(SECRET) == []
