"""Edits and locks on a real PostgreSQL: two agents, two windows, one draft."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from services.feedback.access import Viewer
from services.feedback.adapters.edits import PostgresEdits
from services.feedback.adapters.mail_reader import PostgresMails
from services.feedback.adapters.postgres import PostgresDrafts
from services.feedback.editing import Edit, Editing, Held, Overwritten
from services.feedback.errors import Conflict, NotFound, SearchDown, Unacceptable
from services.feedback.records import RegenerateWish, ReviewWish
from services.feedback.service import FeedbackService
from shared import settings
from shared.delivery import Unavailable
from shared.document_events import DocumentRejected, DocumentRemoved
from shared.events import DraftReady, DraftRequested, MailAccepted
from shared.postgres import Pool, open_pool
from shared.queries import SearchAnswer, SearchQuery
from shared.records import Passage
from shared.registry import decode
from tests import samples

TABLES = "mails, drafts, passages, documents, reviews, outbox, document_versions"
BOXES = frozenset({"default"})
ALIX = Viewer(account="alix", name="Alix", roles=frozenset(), pseudonym="p1", mailboxes=BOXES)
BEA = Viewer(account="bea", name="Béa", roles=frozenset(), pseudonym="p2", mailboxes=BOXES)
ELSEWHERE = Viewer(
    account="x", name="X", roles=frozenset(), pseudonym="p3", mailboxes=frozenset({"autre"})
)
DRAFT = samples.DRAFT
FOUND = samples.PASSAGE.model_copy(
    update={"passage_id": uuid4(), "document_id": uuid4(), "title": "Guide", "text": "Autre."}
)


class World:
    """A clock to turn, and an index that remembers what it was asked."""

    def __init__(self, pool: Pool) -> None:
        self.now = samples.AT
        self.pool = pool
        self.looked = 0
        self.asked: list[SearchQuery] = []
        self.index: tuple[Passage, ...] = (FOUND,)
        self.editing = Editing(PostgresEdits(pool), self.search, lambda: self.now, 10)
        self.service = FeedbackService(PostgresDrafts(pool), lambda: self.now, lambda: None)

    async def search(self, query: SearchQuery) -> SearchAnswer:
        self.asked.append(query)
        return SearchAnswer(passages=self.index, evidence=0.5, embedding="e", retrieval="r")

    def later(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now

    async def audited(self) -> list[tuple[str, str]]:
        """Since the last look: nothing in the audit can be deleted."""
        found = await self.pool.fetch(
            "select position, account, action from feedback.audit where position > $1 order by 1",
            self.looked,
        )
        self.looked = max((row["position"] for row in found), default=self.looked)
        return [(row["account"], row["action"]) for row in found]


@pytest.fixture
async def world(postgres_dsn: str) -> AsyncIterator[World]:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=6), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    world = World(pool)
    (event,) = (event for event in samples.events() if isinstance(event, DraftReady))
    await world.service.record_draft(event)
    await world.audited()
    yield world
    await pool.close()


async def test_opening_takes_the_draft_and_another_may_only_read(world: World) -> None:
    mine = await world.editing.open(ALIX, DRAFT)
    assert mine.lock is not None
    assert (mine.lock.account, mine.lock.expires) == ("alix", world.now + timedelta(minutes=10))
    assert (mine.text, mine.edit) == (mine.draft.text, None)
    world.later(minutes=1)
    theirs = await world.editing.open(BEA, DRAFT)
    assert theirs.lock is not None
    assert (theirs.lock.account, theirs.lock.name) == ("alix", "Alix")
    with pytest.raises(Held, match=r"Alix travaille.*encore 9 min") as held:
        await world.editing.save(BEA, DRAFT, "De Béa.", 0)
    assert held.value.lock == mine.lock
    with pytest.raises(Held):
        await world.service.review(BEA, DRAFT, ReviewWish(decision="approved"))
    with pytest.raises(Held):
        await world.editing.mark_wrong(BEA, DRAFT, samples.PASSAGE.passage_id, True)


async def test_looking_takes_nothing(world: World) -> None:
    assert (await world.editing.open(ALIX, DRAFT, take=False)).lock is None
    assert (await world.editing.save(BEA, DRAFT, "De Béa.", 0)).account == "bea"


async def test_saving_renews_the_lock_and_time_takes_it_away(world: World) -> None:
    await world.editing.open(ALIX, DRAFT)
    since = world.now
    world.later(minutes=9)
    await world.editing.save(ALIX, DRAFT, "Un.", 0)
    world.later(minutes=9)
    seen = await world.editing.open(BEA, DRAFT)
    assert seen.lock is not None
    assert (seen.lock.account, seen.lock.since) == ("alix", since)
    world.later(minutes=2)
    taken = await world.editing.open(BEA, DRAFT)
    assert taken.lock is not None
    assert taken.lock.account == "bea"
    assert taken.text == "Un."
    with pytest.raises(Held, match="Béa"):
        await world.editing.save(ALIX, DRAFT, "Deux.", 1)


async def test_a_lock_given_back_is_free_at_once(world: World) -> None:
    await world.editing.open(ALIX, DRAFT)
    await world.editing.release(BEA, DRAFT)
    with pytest.raises(Held):
        await world.editing.save(BEA, DRAFT, "x", 0)
    await world.editing.release(ALIX, DRAFT)
    assert (await world.editing.save(BEA, DRAFT, "x", 0)).revision == 1


async def test_taking_over_is_audited_and_keeps_what_was_typed(world: World) -> None:
    await world.editing.open(ALIX, DRAFT)
    await world.editing.save(ALIX, DRAFT, "D'Alix.", 0)
    lock = await world.editing.take_over(BEA, DRAFT)
    assert lock.account == "bea"
    assert await world.audited() == [("bea", "draft.take-over")]
    assert (await world.editing.open(BEA, DRAFT)).text == "D'Alix."
    with pytest.raises(Held, match="Béa"):
        await world.editing.save(ALIX, DRAFT, "Encore.", 1)
    await world.editing.take_over(BEA, DRAFT)
    assert await world.audited() == []


async def test_no_text_is_overwritten_unseen(world: World) -> None:
    first = await world.editing.save(ALIX, DRAFT, "Un.", 0)
    assert (first.revision, first.text) == (1, "Un.")
    again = await world.editing.save(ALIX, DRAFT, "Un.", 0)
    assert again.revision == 1
    with pytest.raises(Overwritten, match="autre fenêtre") as refused:
        await world.editing.save(ALIX, DRAFT, "D'une autre fenêtre.", 0)
    assert refused.value.edit is not None
    assert refused.value.edit.text == "Un."
    with pytest.raises(Overwritten):
        await world.service.review(
            ALIX, DRAFT, ReviewWish(decision="edited", final_text="Deux.", revision=0)
        )
    assert (await world.editing.save(ALIX, DRAFT, "Deux.", 1)).revision == 2


async def test_of_many_saves_at_once_one_wins(world: World) -> None:
    saves = (world.editing.save(ALIX, DRAFT, f"Texte {n}", 0) for n in range(8))
    found = await asyncio.gather(*saves, return_exceptions=True)
    kept = [edit for edit in found if isinstance(edit, Edit)]
    assert len(kept) == 1
    assert sum(isinstance(error, Overwritten) for error in found) == 7
    assert (await world.editing.open(ALIX, DRAFT)).text == kept[0].text


async def test_of_many_agents_at_once_one_holds_the_draft(world: World) -> None:
    agents = [ALIX.model_copy(update={"account": f"a{n}"}) for n in range(8)]
    found = await asyncio.gather(*(world.editing.open(agent, DRAFT) for agent in agents))
    assert len({opened.lock.account for opened in found if opened.lock}) == 1


async def test_passages_found_in_the_index_are_cited_by_its_own_text(world: World) -> None:
    found = await world.editing.find(ALIX, DRAFT, " Qui paie ? ")
    assert found == (FOUND,)
    (query,) = world.asked
    assert (query.question, query.audiences) == ("Qui paie ?", samples.MAIL.audiences)
    assert query.collections == samples.MAIL.collections
    edit = await world.editing.add_passage(ALIX, DRAFT, "Qui paie ?", FOUND.passage_id)
    assert (edit.added, edit.revision) == ((FOUND,), 0)
    opened = await world.editing.open(ALIX, DRAFT)
    assert [(s.number, s.title) for s in opened.sources][-1] == (2, "Guide")
    assert FOUND in opened.passages
    assert (await world.editing.save(ALIX, DRAFT, "Un [1], deux [2].", 0)).added == (FOUND,)
    dropped = await world.editing.drop_passage(ALIX, DRAFT, FOUND.passage_id)
    assert (dropped.added, dropped.text) == ((), "Un [1], deux [2].")


async def test_a_draft_whose_wrong_passage_was_dropped_can_be_decided(world: World) -> None:
    await world.editing.add_passage(ALIX, DRAFT, "Qui paie ?", FOUND.passage_id)
    for passage in (FOUND.passage_id, samples.PASSAGE.passage_id):
        await world.editing.mark_wrong(ALIX, DRAFT, passage, True)
    edit = await world.editing.drop_passage(ALIX, DRAFT, FOUND.passage_id)
    assert edit.wrong == (samples.PASSAGE.passage_id,)
    review = await world.service.review(ALIX, DRAFT, ReviewWish(decision="rejected"))
    assert review.review.wrong_passages == edit.wrong


async def test_what_the_search_does_not_give_is_not_cited(world: World) -> None:
    world.index = ()
    with pytest.raises(NotFound, match="cherchez à nouveau"):
        await world.editing.add_passage(ALIX, DRAFT, "Qui paie ?", FOUND.passage_id)
    for question in ("", "  ", "x" * 9000):
        with pytest.raises(Unacceptable):
            await world.editing.find(ALIX, DRAFT, question)
    assert (await world.editing.open(ALIX, DRAFT)).edit is None


async def test_a_search_that_is_down_says_so(world: World) -> None:
    async def down(_: SearchQuery) -> SearchAnswer:
        raise Unavailable("nobody answers")

    editing = Editing(PostgresEdits(world.pool), down, lambda: world.now, 10)
    with pytest.raises(SearchDown, match="recherche dans les documents"):
        await editing.find(ALIX, DRAFT, "Qui paie ?")
    known = await editing.add_passage(ALIX, DRAFT, "", samples.PASSAGE.passage_id)
    assert known.added == ()


async def test_another_draft_is_asked_for_from_what_the_agent_chose(world: World) -> None:
    await world.editing.add_passage(ALIX, DRAFT, "Qui paie ?", FOUND.passage_id)
    await world.editing.mark_wrong(ALIX, DRAFT, samples.PASSAGE.passage_id, True)
    await world.service.regenerate(ALIX, DRAFT, RegenerateWish(instruction="Plus court."))
    body = await world.pool.fetchval("select event from feedback.outbox")
    event = decode(body.encode())
    assert isinstance(event, DraftRequested)
    given = [passage.passage_id for passage in event.data.passages]
    assert FOUND.passage_id in given
    assert samples.PASSAGE.passage_id not in given


async def test_passages_are_called_wrong_and_right_again(world: World) -> None:
    passage = samples.PASSAGE.passage_id
    assert (await world.editing.mark_wrong(ALIX, DRAFT, passage, True)).wrong == (passage,)
    assert (await world.editing.mark_wrong(ALIX, DRAFT, passage, True)).wrong == (passage,)
    assert (await world.editing.mark_wrong(ALIX, DRAFT, passage, False)).wrong == ()
    with pytest.raises(NotFound):
        await world.editing.mark_wrong(ALIX, DRAFT, uuid4(), True)


async def test_the_review_takes_what_was_done_and_forgets_it(world: World) -> None:
    await world.editing.open(ALIX, DRAFT)
    await world.editing.add_passage(ALIX, DRAFT, "Qui paie ?", FOUND.passage_id)
    await world.editing.mark_wrong(ALIX, DRAFT, samples.PASSAGE.passage_id, True)
    await world.editing.save(ALIX, DRAFT, "Deux [2].", 0)
    world.later(seconds=42)
    wish = ReviewWish(decision="edited", reasons=("wrong-source",), note="Mauvais guide.")
    first = await world.service.review(ALIX, DRAFT, wish)
    review = first.review
    assert (review.final_text, review.seconds, review.reviewer) == ("Deux [2].", 42, "p1")
    assert review.citations_added == (FOUND.passage_id,)
    assert review.wrong_passages == review.citations_dropped == (samples.PASSAGE.passage_id,)
    assert await world.service.review(ALIX, DRAFT, wish) == first
    opened = await world.editing.open(BEA, DRAFT)
    assert (opened.lock, opened.edit, opened.text) == (None, None, "Deux [2].")
    assert [s.number for s in opened.sources] == [1, 2]
    assert FOUND in opened.passages
    row = await world.pool.fetchrow("select * from feedback.reviews")
    assert row is not None
    assert (row["reasons"], row["reviewer"], row["seconds"]) == (["wrong-source"], "p1", 42)
    assert (row["mailbox"], row["words_changed"] > 0) == ("default", True)
    reply = await world.pool.fetchrow("select * from feedback.replies")
    assert reply is not None
    assert (reply["state"], json.loads(reply["data"])["text"]) == ("approved", "Deux [2].")
    assert await world.audited() == [("alix", "draft.edited")]
    for late in (
        world.editing.save(BEA, DRAFT, "x", 0),
        world.editing.take_over(BEA, DRAFT),
    ):
        with pytest.raises(Conflict):
            await late


async def test_the_time_it_took_adds_up_over_an_agents_sittings(world: World) -> None:
    await world.editing.open(ALIX, DRAFT)
    world.later(minutes=25)  # for ten of which the lock held
    await world.editing.open(ALIX, DRAFT)
    world.later(minutes=2)
    await world.editing.release(ALIX, DRAFT)
    world.later(minutes=30)
    await world.editing.open(BEA, DRAFT)
    world.later(minutes=1)
    await world.editing.take_over(ALIX, DRAFT)
    world.later(minutes=3)
    await world.editing.save(ALIX, DRAFT, "Trois [1].", 0)
    world.later(seconds=5)
    done = await world.service.review(ALIX, DRAFT, ReviewWish(decision="edited"))
    assert done.review.seconds == (10 + 2 + 3) * 60 + 5
    assert await world.pool.fetchval("select count(*) from feedback.sittings") == 0


async def test_what_was_typed_survives_a_new_process(world: World, postgres_dsn: str) -> None:
    await world.editing.save(ALIX, DRAFT, "À moitié écr", 0)
    async with asyncpg.create_pool(postgres_dsn, min_size=1, max_size=1) as pool:
        fresh = World(pool)
        opened = await fresh.editing.open(ALIX, DRAFT)
    assert (opened.text, opened.edit and opened.edit.revision) == ("À moitié écr", 1)


async def test_a_document_taken_away_leaves_what_an_agent_typed(world: World) -> None:
    await world.editing.save(ALIX, DRAFT, "Un [1].", 0)
    (removed,) = (event for event in samples.events() if isinstance(event, DocumentRemoved))
    await world.service.record_document(removed)
    assert (await world.editing.open(ALIX, DRAFT)).draft.status == "waiting"
    with pytest.raises(Unacceptable, match=r"cite \[1\], dont le document a été retiré"):
        await world.service.review(ALIX, DRAFT, ReviewWish(decision="edited"))
    await world.editing.add_passage(ALIX, DRAFT, "Qui paie ?", FOUND.passage_id)
    await world.editing.save(ALIX, DRAFT, "Deux [2].", 1)
    assert (await world.service.review(ALIX, DRAFT, ReviewWish(decision="edited"))).created


async def test_a_refused_version_does_not_hide_a_removal(world: World) -> None:
    (removed,) = (event for event in samples.events() if isinstance(event, DocumentRemoved))
    refused = next(event for event in samples.events() if isinstance(event, DocumentRejected))
    document = removed.data.document_id
    changes = {"document_id": document, "submitted": removed.data.removed + timedelta(hours=1)}
    data = refused.data.model_copy(update=changes)
    await world.service.record_document(removed)
    await world.service.record_document(refused.model_copy(update={"data": data}))
    assert (await PostgresMails(world.pool).newest([document]))[document].state == "removed"


async def test_a_draft_withdrawn_meanwhile_says_so(world: World) -> None:
    await world.editing.open(ALIX, DRAFT)
    (removed,) = (event for event in samples.events() if isinstance(event, DocumentRemoved))
    await world.service.record_document(removed)
    with pytest.raises(Conflict, match="retiré"):
        await world.editing.save(ALIX, DRAFT, "Un.", 0)
    assert (await world.editing.open(ALIX, DRAFT)).draft.status == "withdrawn"


async def test_another_mailboxs_draft_is_as_if_absent(world: World) -> None:
    edits: tuple[Any, ...] = (
        world.editing.open(ELSEWHERE, DRAFT),
        world.editing.open(ELSEWHERE, DRAFT, take=False),
        world.editing.save(ELSEWHERE, DRAFT, "x", 0),
        world.editing.take_over(ELSEWHERE, DRAFT),
        world.editing.release(ELSEWHERE, DRAFT),
        world.editing.find(ELSEWHERE, DRAFT, "Qui ?"),
        world.editing.add_passage(ELSEWHERE, DRAFT, "Qui ?", FOUND.passage_id),
        world.editing.drop_passage(ELSEWHERE, DRAFT, FOUND.passage_id),
        world.editing.mark_wrong(ELSEWHERE, DRAFT, samples.PASSAGE.passage_id, True),
    )
    for refused in edits:
        with pytest.raises(NotFound):
            await refused
    assert world.asked == []
    assert await world.pool.fetchval("select count(*) from feedback.locks") == 0


async def test_locks_are_told_with_their_mailbox(world: World) -> None:
    told: list[dict[str, Any]] = []
    async with world.pool.acquire() as listener:
        await listener.add_listener("feedback", lambda *args: told.append(json.loads(args[-1])))
        await world.editing.open(ALIX, DRAFT)
        await world.editing.save(ALIX, DRAFT, "Un.", 0)
        await world.editing.take_over(BEA, DRAFT)
        await world.editing.release(BEA, DRAFT)
        await listener.fetchval("select 1")
        for _ in range(100):
            if len(told) >= 3:
                break
            await asyncio.sleep(0.01)
        await listener.reset()
    seen = [(change["kind"], change["id"], change["mailbox"]) for change in told]
    assert seen == [("lock", str(DRAFT), "default")] * 3


@pytest.mark.parametrize("edited", [True, False])
async def test_a_newer_mail_leaves_what_an_agent_typed(world: World, edited: bool) -> None:
    if edited:
        await world.editing.open(ALIX, DRAFT)
        await world.editing.save(ALIX, DRAFT, "Déjà à moitié écrit.", 0)
    block = samples.MAIL.model_copy(
        update={"mail_id": uuid4(), "received": samples.MAIL.received + timedelta(hours=1)}
    )
    event = next(event for event in samples.events() if isinstance(event, MailAccepted))
    await world.service.record_mail(
        event.model_copy(update={"data": event.data.model_copy(update={"mail": block})})
    )
    kept = (await world.editing.open(ALIX, DRAFT, take=False)).draft
    assert kept.status == ("waiting" if edited else "withdrawn")
