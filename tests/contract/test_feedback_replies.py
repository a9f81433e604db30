"""What mail systems say of replies, on a real PostgreSQL: found, compared, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.feedback.access import Viewer
from services.feedback.adapters.edits import PostgresEdits
from services.feedback.adapters.postgres import PostgresDrafts
from services.feedback.adapters.replies import PostgresReplies
from services.feedback.answering import Answering
from services.feedback.editing import Editing
from services.feedback.errors import Unacceptable
from services.feedback.records import ReviewWish, StoredDraft
from services.feedback.service import FeedbackService
from services.feedback.settling import StoredReply, Word
from shared import settings
from shared.events import (
    DraftReady,
    MailAccepted,
    ReplyFailed,
    ReplyFailedData,
    ReplySent,
    ReplySentData,
)
from shared.identity import stable_id
from shared.postgres import Pool, open_pool
from shared.queries import SearchAnswer, SearchQuery
from tests import samples

TABLES = "mails, drafts, passages, documents, reviews, outbox, replies, unmatched"
ALIX = Viewer(account="alix", name="Alix", roles=frozenset({"agent"}), pseudonym="p1")
ELSEWHERE = ALIX.model_copy(update={"mailboxes": frozenset({"autre"})})
MAIL = samples.MAIL
DRAFT_TEXT = (
    "Bonjour,\n\nL'étude préalable de votre école est financée à 50 % par le programme, dans la"
    " limite de 20 000 euros [1]. La demande se fait avant le début des travaux [1].\n\n"
    "Cordialement,\nL'équipe du programme"
)
SIGNED = "\n\nBien cordialement,\n\nAlix Martin\nMairie de Saint-Example\nTél. : 01 23 45 67 89\n"
QUOTE = (
    "\nLe mar. 3 nov. 2026 à 10:12, Marie <marie@mairie.example> a écrit :\n> Bonjour,\n"
    "> Le programme paie-t-il l'étude ?\n"
)
OTHER = (
    "Bonjour,\n\nVotre dossier relève du conseil départemental : adressez-vous à son guichet"
    " unique, qui vous rappellera sous huit jours."
)


def event_of(kind: type[Any]) -> Any:
    (found,) = (event for event in samples.events() if isinstance(event, kind))
    return found


def ready(**changes: Any) -> DraftReady:
    event = event_of(DraftReady)
    data = event.data.model_copy(update={"text": DRAFT_TEXT, **changes})
    return event.model_copy(update={"data": data})


def sent(text: str | None, **changes: Any) -> ReplySent:
    values = {"mailbox": "default", "mail_id": MAIL.mail_id, "message_id": "<r1@x>", **changes}
    data = ReplySentData(sent=samples.AT + timedelta(hours=1), text=text, **values)
    return ReplySent.make(
        source="test", subject="x", time=samples.AT, data=data, id=stable_id(str(data))
    )


def failed(reply_id: UUID, why: str = "550", minutes: int = 5, kind: Any = ReplyFailed) -> Any:
    data = ReplyFailedData(mailbox="default", reply_id=reply_id, mail_id=MAIL.mail_id, why=why)
    time = samples.AT + timedelta(minutes=minutes)
    return kind.make(source="test", subject="x", time=time, data=data, id=uuid4())


class World:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.drafts = PostgresDrafts(pool)
        self.service = FeedbackService(self.drafts, lambda: samples.AT, lambda: None)
        replies = PostgresReplies(pool)
        self.answering = Answering(replies, lambda: samples.AT, lambda: None, self.service.withdraw)

    async def replies(self, **wish: Any) -> list[StoredReply]:
        values = {"state": None, "mailbox": None, "limit": 10, "after": None, **wish}
        return list(await self.answering.list_replies(ALIX, **values))

    async def draft(self, draft_id: UUID = samples.DRAFT) -> StoredDraft:
        return await self.service.get_draft(ALIX, draft_id)

    async def said(self) -> list[str]:
        found = await self.pool.fetch("select type from feedback.outbox order by position")
        return [row["type"].removeprefix("sourcier.") for row in found]

    async def unmatched(self) -> int:
        return (await self.service.figures(ALIX)).unmatched


@pytest.fixture
async def world(postgres_dsn: str) -> AsyncIterator[World]:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=6), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    yield World(pool)
    await pool.close()


async def test_an_approved_reply_that_was_sent(world: World) -> None:
    await world.service.record_draft(ready())
    review = await world.service.review(ALIX, samples.DRAFT, ReviewWish(decision="approved"))
    (reply,) = await world.replies(state="approved")
    assert reply.reply is not None
    assert reply.reply.text == DRAFT_TEXT
    for _ in range(2):
        await world.answering.hear(sent(DRAFT_TEXT + QUOTE, reply_id=reply.reply_id))
    (reply,) = await world.replies()
    assert (reply.state, reply.message_id) == ("sent", "<r1@x>")
    assert reply.comparison is not None
    assert (reply.comparison.words_changed, reply.comparison.similarity) == (0, 1)
    assert "écrit" not in (reply.text or "")
    assert (await world.draft()).review == review
    assert await world.said() == ["review.recorded.v1", "reply.approved.v1"]


async def test_a_mail_system_that_knows_no_ids(world: World) -> None:
    await world.service.record_draft(ready())
    await world.service.review(ALIX, samples.DRAFT, ReviewWish(decision="approved"))
    await world.answering.hear(sent(None, mail_id=None, in_reply_to=f" {MAIL.message_id}"))
    (reply,) = await world.replies()
    assert (reply.state, reply.text, reply.comparison) == ("sent", None, None)
    assert reply.approved is not None


async def test_failures_are_kept_and_sent_is_the_last_word(world: World) -> None:
    await world.service.record_draft(ready())
    await world.service.review(ALIX, samples.DRAFT, ReviewWish(decision="approved"))
    (reply,) = await world.replies()
    await world.answering.hear(failed(reply.reply_id, "550 inconnu", minutes=5))
    await world.answering.hear(failed(reply.reply_id, "trop tôt", minutes=1))
    (reply,) = await world.replies(state="failed")
    assert reply.why == "550 inconnu"
    await world.answering.hear(sent(None, reply_id=reply.reply_id))
    await world.answering.hear(failed(reply.reply_id, minutes=90))
    assert [r.state for r in await world.replies()] == ["sent"]


async def test_a_text_like_the_draft_was_an_edit_made_elsewhere(world: World) -> None:
    await world.service.record_draft(ready())
    edited = DRAFT_TEXT.replace("20 000", "25 000").replace(" [1]", "")
    await world.answering.hear(sent(edited.split("\n\nCordial")[0] + SIGNED + QUOTE))
    draft = await world.draft()
    assert (draft.status, draft.review is not None) == ("edited", True)
    assert draft.review is not None
    review = draft.review.review
    assert (review.reviewer, review.seconds) == ("mail-system", None)
    assert "25 000" in review.final_text
    assert "Tél." not in review.final_text
    assert review.citations_kept == review.citations_dropped == ()
    assert review.words_changed == 1
    assert await world.said() == ["review.recorded.v1"]
    assert (await world.replies())[0].draft_id == samples.DRAFT


async def test_the_draft_sent_as_it_was_is_an_approval(world: World) -> None:
    await world.service.record_draft(ready())
    body = DRAFT_TEXT.split("\n\nCordial")[0]
    listed = "\n\nSources\n[1] Guide, p. 2\n    https://programme.example/guide\n"
    await world.answering.hear(sent(body + listed))
    draft = await world.draft()
    assert draft.status == "approved"
    assert draft.review is not None
    assert draft.review.review.citations_kept == (samples.PASSAGE.passage_id,)


async def test_a_text_of_its_own_leaves_the_draft_unused(world: World) -> None:
    await world.service.record_draft(ready())
    event = sent(OTHER + SIGNED + QUOTE)
    for _ in range(2):
        await world.answering.hear(event)
    draft = await world.draft()
    assert draft.status == "unused"
    assert draft.review is not None
    assert (draft.review.review.decision, draft.review.review.final_text) == ("unused", OTHER)
    assert await world.said() == ["review.recorded.v1"]
    (reply,) = await world.replies()
    assert reply.comparison is not None
    assert reply.comparison.similarity < 0.3
    row = await world.pool.fetchrow("select decision, reviewer from feedback.reviews")
    assert row is not None
    assert tuple(row) == ("unused", "mail-system")
    later = await world.service.figures(ALIX)
    assert later.statuses == {"unused": 1}


async def test_an_answer_without_its_text_closes_the_draft(world: World) -> None:
    await world.service.record_draft(ready())
    await world.answering.hear(sent(None))
    draft = await world.draft()
    assert draft.status == "unused"
    assert draft.review is not None
    assert draft.review.review.final_text == ""


async def test_of_several_drafts_the_one_that_is_like_the_text_was_taken(world: World) -> None:
    await world.service.record_draft(ready())
    again = uuid4()
    await world.service.record_draft(ready(draft_id=again, request_id=1, text=OTHER + " [1]"))
    await world.answering.hear(sent(OTHER.replace("huit", "dix")))
    assert (await world.draft(again)).status == "edited"
    assert (await world.draft()).status == "withdrawn"
    assert await world.said() == ["review.recorded.v1", "draft.withdrawn.v1"]
    await world.service.record_draft(ready(draft_id=uuid4(), request_id=2))
    assert (await world.service.figures(ALIX)).statuses["withdrawn"] == 2


async def test_a_rejected_draft_keeps_its_review_and_gets_the_text(world: World) -> None:
    await world.service.record_draft(ready())
    await world.service.review(ALIX, samples.DRAFT, ReviewWish(decision="rejected"))
    await world.answering.hear(sent(OTHER))
    assert (await world.draft()).status == "rejected"
    (reply,) = await world.replies()
    assert (reply.draft_id, reply.text, reply.approved) == (samples.DRAFT, OTHER, None)


async def test_an_answer_that_overtakes_the_draft(world: World) -> None:
    await world.service.record_mail(event_of(MailAccepted))
    await world.answering.hear(sent(OTHER))
    await world.service.record_draft(ready())
    draft = await world.draft()
    assert (draft.status, draft.status_detail) == (
        "withdrawn",
        "Une réponse à cet e-mail est déjà partie.",
    )


@pytest.mark.parametrize(
    "known_by", [{}, {"mail_id": None, "in_reply_to": MAIL.message_id}], ids=["id", "message"]
)
async def test_a_reply_that_comes_before_its_mail_waits(
    world: World, known_by: dict[str, Any]
) -> None:
    event = sent(OTHER, **known_by)
    for _ in range(2):
        await world.answering.hear(event)
    assert await world.unmatched() == 1
    await world.service.record_draft(ready())
    await world.answering.mail_came("default", uuid4(), "<other@x>")
    assert (await world.draft()).status == "waiting"
    for _ in range(2):
        await world.answering.mail_came("default", MAIL.mail_id, MAIL.message_id)
    assert (await world.draft()).status == "unused"
    assert await world.unmatched() == 0


async def test_replies_to_unknown_mails_are_kept_for_a_month_only(world: World) -> None:
    await world.answering.hear(sent("a", mail_id=uuid4(), message_id="<a@x>"))
    await world.pool.execute("update feedback.unmatched set heard = heard - interval '31 days'")
    await world.answering.hear(sent("b", mail_id=uuid4(), message_id="<b@x>"))
    assert await world.unmatched() == 1


async def test_another_mailboxs_mail_is_not_answered(world: World) -> None:
    await world.service.record_draft(ready())
    await world.answering.hear(sent(OTHER, mailbox="autre"))
    assert (await world.draft()).status == "waiting"
    assert await world.unmatched() == 1


async def test_anothers_reply_id_does_not_reach_its_reply(world: World) -> None:
    other = MAIL.model_copy(
        update={"mail_id": uuid4(), "mailbox": "autre", "thread_id": uuid4(), "message_id": "<o@x>"}
    )
    await world.service.record_draft(ready())
    await world.service.record_draft(ready(draft_id=uuid4(), mail=other))
    await world.service.review(ALIX, samples.DRAFT, ReviewWish(decision="approved"))
    (approved,) = await world.replies()
    told = {"mailbox": "autre", "mail_id": other.mail_id, "message_id": "<o2@x>"}
    for _ in range(2):
        await world.answering.hear(sent(OTHER, reply_id=approved.reply_id, **told))
    assert await world.replies(mailbox="default") == [approved]
    (own,) = await world.replies(mailbox="autre")
    assert (own.mail_id, own.state, own.text) == (other.mail_id, "sent", OTHER)


async def test_what_was_typed_stays_to_be_read_when_another_text_left(world: World) -> None:
    await world.service.record_draft(ready())
    now = samples.AT + timedelta(minutes=1)

    async def unused(_: SearchQuery) -> SearchAnswer:
        raise AssertionError

    editing = Editing(PostgresEdits(world.pool), unused, lambda: now, 10)
    await editing.save(ALIX, samples.DRAFT, "À moitié écrit.", 0)
    await world.answering.hear(sent(OTHER))
    opened = await editing.open(ALIX, samples.DRAFT)
    assert (opened.draft.status, opened.text, opened.left) == ("unused", OTHER, "À moitié écrit.")


async def test_an_approval_and_a_sent_text_at_the_same_time(world: World) -> None:
    await world.service.record_draft(ready())
    wish = ReviewWish(decision="approved")
    await asyncio.gather(
        world.service.review(ALIX, samples.DRAFT, wish),
        *(world.answering.hear(sent(DRAFT_TEXT)) for _ in range(4)),
        return_exceptions=True,
    )
    assert (await world.draft()).status == "approved"
    assert (await world.said()).count("review.recorded.v1") == 1
    assert [r.state for r in await world.replies()] == ["sent"]


async def test_replies_are_of_the_viewers_mailboxes(world: World) -> None:
    await world.service.record_draft(ready())
    await world.service.review(ALIX, samples.DRAFT, ReviewWish(decision="approved"))
    (reply,) = await world.replies()
    assert await world.answering.get_reply(ALIX, reply.reply_id) == reply
    assert await world.replies(after=reply.reply_id) == []
    with pytest.raises(Exception, match="Aucune réponse"):
        await world.answering.get_reply(ELSEWHERE, reply.reply_id)
    with pytest.raises(Exception, match="Aucun e-mail"):
        await world.answering.tell(ELSEWHERE, MAIL.mail_id, Word(state="sent", message_id="<r@x>"))
    assert await world.answering.list_replies(ELSEWHERE, None, None, 10, None) == []


async def test_mail_systems_may_tell_by_the_api(world: World) -> None:
    await world.service.record_draft(ready())
    for word in (Word(state="sent"), Word(state="failed")):
        with pytest.raises(Unacceptable, match="Indiquez"):
            await world.answering.tell(ALIX, MAIL.mail_id, word)
    for _ in range(2):
        word = Word(state="sent", message_id="<r@x>", text=OTHER)
        await world.answering.tell(ALIX, MAIL.mail_id, word)
    assert await world.said() == ["reply.sent.v1"]
    await world.answering.tell(ALIX, MAIL.mail_id, Word(state="sent", message_id="<r2@x>"))
    word = Word(state="sent", message_id="<r2@x>", text=OTHER)
    await world.answering.tell(ALIX, MAIL.mail_id, word)
    failure = Word(state="doubtful", reply_id=uuid4(), why="coupure")
    await world.answering.tell(ALIX, MAIL.mail_id, failure)
    assert await world.said() == ["reply.sent.v1"] * 3 + ["reply.doubtful.v1"]
