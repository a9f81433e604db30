"""One suite for both stores of feedback: in memory, and in a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.feedback.adapters.postgres import PostgresDrafts
from services.feedback.adapters.text import storable
from services.feedback.records import RegenerateWish, ReviewWish, StoredDraft
from services.feedback.reviewing import Conflict, NotFound
from services.feedback.service import FeedbackService
from shared import settings
from shared.delivery import Invalid, Unavailable
from shared.document_events import DocumentIndexed, DocumentRejected, DocumentRemoved
from shared.envelope import Event
from shared.events import DraftDeclined, DraftReady, DraftRequested, MailAccepted, MailSkipped
from shared.postgres import open_pool
from tests import samples
from tests.fakes.feedback_memory import MemoryDrafts
from tests.viewers import ADMIN, AGENT, ELSEWHERE

TABLES = "mails, drafts, passages, documents, reviews, outbox, document_versions"
EVENTS = {type(event): event for event in samples.events()}

Store = MemoryDrafts | PostgresDrafts


@pytest.fixture(params=["memory", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres_dsn") if request.param == "postgres" else None


@pytest.fixture
async def store(dsn: str | None) -> AsyncIterator[Store]:
    if dsn is None:
        yield MemoryDrafts()
        return
    pool = await open_pool(settings.Postgres(dsn=dsn, pool=4), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    yield PostgresDrafts(pool)
    await pool.close()


@pytest.fixture
def service(store: Store) -> FeedbackService:
    return FeedbackService(store, lambda: samples.AT, lambda: None)


class Said:
    """A broker that remembers, refuses or is down."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.down_after = 99
        self.invalid: set[str] = set()

    async def __call__(self, event: Event) -> None:
        if len(self.events) >= self.down_after:
            raise Unavailable("broker down")
        if event.type in self.invalid:
            raise Invalid("too large")
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        return [event.type.split(".", 1)[1] for event in self.events]


def ready(seed: str = "", **changes: Any) -> DraftReady:
    """The sample draft; a `seed` makes it that of another mail of the same thread."""
    event = EVENTS[DraftReady]
    assert isinstance(event, DraftReady)
    mail = event.data.mail
    if seed:
        changes.setdefault("draft_id", uuid4())
        mail = mail.model_copy(update={"mail_id": uuid4(), **changes.pop("mail", {})})
    data = event.data.model_copy(update={"mail": mail, **changes})
    return event.model_copy(update={"data": data, "time": samples.AT})


def of(kind: type[Event]) -> Any:
    return EVENTS[kind]


async def draft_of(store: Store, draft_id: UUID) -> StoredDraft:
    found = await store.draft(AGENT, draft_id)
    assert found is not None
    return found


async def test_a_mail_is_pending_until_its_draft_arrives(
    store: Store, service: FeedbackService
) -> None:
    assert await store.outcome(AGENT, samples.MAIL.mail_id) is None
    await service.record_mail(of(MailAccepted))
    pending = await service.get_outcome(AGENT, samples.MAIL.mail_id)
    assert (pending.outcome, pending.draft_id, pending.decided) == ("pending", None, None)
    await service.record_draft(of(DraftReady))
    decided = await service.get_outcome(AGENT, samples.MAIL.mail_id)
    assert (decided.outcome, decided.draft_id) == ("draft", samples.DRAFT)
    assert decided.decided == samples.AT
    assert decided.sender == samples.MAIL.sender


async def test_events_may_come_twice_and_in_any_order(
    store: Store, service: FeedbackService
) -> None:
    for _ in range(2):
        await service.record_draft(of(DraftReady))
        await service.record_mail(of(MailAccepted))
    assert (await service.get_outcome(AGENT, samples.MAIL.mail_id)).outcome == "draft"
    assert len(await store.drafts(AGENT, None, None, 10, None)) == 1
    figures = await store.figures(AGENT)
    assert (figures.outcomes, figures.statuses) == ({"draft": 1}, {"waiting": 1})
    assert figures.outbox == 0


async def test_a_draft_comes_back_as_it_was_said(store: Store, service: FeedbackService) -> None:
    event = of(DraftReady)
    await service.record_draft(event)
    draft = await draft_of(store, samples.DRAFT)
    assert draft.ready == event.data
    assert draft.declined is None
    assert draft.traceparent == event.traceparent
    (line,) = await store.drafts(AGENT, "waiting", "default", 10, None)
    assert line.subject == samples.MAIL.subject
    assert line.excerpt.startswith("Bonjour, L'étude préalable")
    assert await store.drafts(AGENT, "approved", None, 10, None) == []
    assert await store.drafts(AGENT, None, "autre", 10, None) == []


async def test_nul_characters_of_a_model_do_not_stop_a_draft(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(ready(raw_output="a\x00b \\u0000", text="Bon\x00jour [1]"))
    assert "b" in (await draft_of(store, samples.DRAFT)).data.raw_output


async def test_a_declined_draft_tells_why(store: Store, service: FeedbackService) -> None:
    await service.record_draft(of(DraftDeclined))
    outcome = await service.get_outcome(AGENT, samples.MAIL.mail_id)
    assert (outcome.outcome, outcome.reason) == ("declined", "not-enough-evidence")
    assert "ne répondent pas" in outcome.detail
    assert (await draft_of(store, samples.DRAFT)).declined == of(DraftDeclined).data


async def test_skips_and_duplicates(store: Store, service: FeedbackService) -> None:
    await service.record_skipped(of(MailSkipped))
    outcome = await service.get_outcome(AGENT, samples.MAIL.mail_id)
    assert (outcome.outcome, outcome.reason) == ("skipped", "auto-reply")


@pytest.mark.parametrize("first", ["mail", "duplicate"])
async def test_a_duplicate_never_hides_the_mail(
    store: Store, service: FeedbackService, first: str
) -> None:
    skipped = of(MailSkipped)
    data = skipped.data.model_copy(update={"reason": "duplicate"})
    duplicate = skipped.model_copy(update={"data": data})
    if first == "duplicate":
        await service.record_skipped(duplicate)
    await service.record_mail(of(MailAccepted))
    await service.record_skipped(duplicate)
    assert (await service.get_outcome(AGENT, samples.MAIL.mail_id)).outcome == "pending"


async def test_a_newer_mail_withdraws_the_older_draft(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))
    later = {"received": samples.AT + timedelta(minutes=5)}
    await service.record_draft(ready("newer", mail=later))
    old = await draft_of(store, samples.DRAFT)
    assert old.status == "withdrawn"
    assert "plus récent" in old.status_detail
    said = Said()
    assert await store.relay(said, 10) == 1
    assert said.types == ["draft.withdrawn.v1"]
    with pytest.raises(Conflict):
        await service.review(AGENT, samples.DRAFT, ReviewWish(decision="approved"))


async def test_a_draft_of_an_overtaken_mail_arrives_withdrawn(
    store: Store, service: FeedbackService
) -> None:
    later = {"received": samples.AT + timedelta(minutes=5)}
    newer = ready("newer", mail=later)
    await service.record_draft(newer)
    await service.record_draft(of(DraftReady))
    assert (await draft_of(store, samples.DRAFT)).status == "withdrawn"
    assert (await draft_of(store, newer.data.draft_id)).status == "waiting"


async def test_a_removed_document_withdraws_drafts_before_and_after(
    store: Store, service: FeedbackService
) -> None:
    await service.record_document(of(DocumentIndexed))
    await service.record_draft(of(DraftReady))
    await service.record_document(of(DocumentRemoved))
    late = ready("late", mail={"thread_id": uuid4()})
    await service.record_draft(late)
    for draft_id in (samples.DRAFT, late.data.draft_id):
        assert (await draft_of(store, draft_id)).status == "withdrawn"
    (document,) = await store.documents(AGENT, 10)
    assert (document.state, document.title) == ("removed", samples.BLOCK.title)
    refused = of(DocumentRejected)
    changes = {"document_id": samples.DOCUMENT, "submitted": samples.AT + timedelta(days=1)}
    data = refused.data.model_copy(update=changes)
    await service.record_document(refused.model_copy(update={"data": data}))
    later = ready("later", mail={"thread_id": uuid4()})
    await service.record_draft(later)
    assert (await draft_of(store, later.data.draft_id)).status == "withdrawn"


async def test_old_news_of_a_document_change_nothing(
    store: Store, service: FeedbackService
) -> None:
    await service.record_document(of(DocumentRemoved))
    await service.record_document(of(DocumentIndexed))
    await service.record_document(of(DocumentRejected))
    (document,) = await store.documents(AGENT, 10)
    # Rejected at the very moment of the removal: the later word on the same instant counts.
    assert document.state in ("removed", "rejected")
    assert document.submitted == samples.AT


async def test_a_review_leaves_with_its_events_once(store: Store, service: FeedbackService) -> None:
    await service.record_draft(of(DraftReady))
    wish = ReviewWish(decision="approved")
    first = await service.review(AGENT, samples.DRAFT, wish)
    again = await service.review(AGENT, samples.DRAFT, wish)
    assert first == again
    assert (await draft_of(store, samples.DRAFT)).review == first
    said = Said()
    assert await store.relay(said, 10) == 2
    assert said.types == ["review.recorded.v1", "reply.approved.v1"]
    assert await store.relay(said, 10) == 0
    with pytest.raises(Conflict, match="déjà été approuvé"):
        await service.review(AGENT, samples.DRAFT, ReviewWish(decision="rejected"))


async def test_two_agents_at_once_one_wins(store: Store, service: FeedbackService) -> None:
    await service.record_draft(of(DraftReady))
    wishes = [ReviewWish(decision="edited", final_text=f"Réponse {n}") for n in range(4)]
    results = await asyncio.gather(
        *(service.review(AGENT, samples.DRAFT, wish) for wish in wishes), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 3
    assert (await store.figures(AGENT)).outbox == 2


def another(number: int, **changes: Any) -> DraftReady:
    """The draft of the same e-mail that answers request `number`."""
    time = samples.AT + timedelta(minutes=number)
    event = ready(draft_id=uuid4(), request_id=number, **changes)
    return event.model_copy(update={"time": time})


async def test_another_draft_is_asked_for_with_the_next_number(
    store: Store, service: FeedbackService
) -> None:
    first = of(DraftReady)
    await service.record_draft(first)
    wish = RegenerateWish(instruction=" Plus court. ", engine="extractive")
    numbers = [
        asked.request_id
        for asked in await asyncio.gather(
            *(service.regenerate(AGENT, samples.DRAFT, wish) for _ in range(3))
        )
    ]
    assert sorted(numbers) == [1, 2, 3]
    said = Said()
    assert await store.relay(said, 10) == 3
    for event in said.events:
        assert isinstance(event, DraftRequested)
        assert (event.data.instruction, event.data.engine) == ("Plus court.", "extractive")
        assert event.data.mail == first.data.mail
        assert event.data.passages == first.data.passages
        assert event.traceparent == first.traceparent
    assert len({event.id for event in said.events}) == 3
    await service.record_draft(another(7))
    assert (await service.regenerate(AGENT, samples.DRAFT, RegenerateWish())).request_id == 8


async def test_both_drafts_are_kept_and_the_last_is_the_mails(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))
    second = another(1)
    await service.record_draft(second)
    lines = await store.drafts(AGENT, "waiting", None, 10, None)
    assert [line.request_id for line in lines] == [1, 0]
    outcome = await service.get_outcome(AGENT, samples.MAIL.mail_id)
    assert outcome.draft_id == second.data.draft_id
    declined = of(DraftDeclined)
    data = declined.data.model_copy(update={"draft_id": uuid4(), "request_id": 2})
    later = samples.AT + timedelta(minutes=9)
    await service.record_draft(declined.model_copy(update={"data": data, "time": later}))
    assert (await service.get_outcome(AGENT, samples.MAIL.mail_id)) == outcome
    assert len(await store.drafts(AGENT, None, None, 10, None)) == 3


async def test_one_approval_withdraws_the_other_drafts_of_the_mail(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))
    second, third = another(1), another(2)
    await service.record_draft(second)
    await service.review(AGENT, second.data.draft_id, ReviewWish(decision="approved"))
    await service.record_draft(third)
    said = Said()
    await store.relay(said, 10)
    assert sorted(said.types) == [
        "draft.withdrawn.v1",
        "draft.withdrawn.v1",
        "reply.approved.v1",
        "review.recorded.v1",
    ]
    for draft_id in (samples.DRAFT, third.data.draft_id):
        stored = await draft_of(store, draft_id)
        assert (stored.status, "autre brouillon" in stored.status_detail) == ("withdrawn", True)
        with pytest.raises(Conflict, match="retiré"):
            await service.review(AGENT, draft_id, ReviewWish(decision="approved"))
        with pytest.raises(Conflict, match="retiré"):
            await service.regenerate(AGENT, draft_id, RegenerateWish())
    with pytest.raises(Conflict, match="approuvé"):
        await service.regenerate(AGENT, second.data.draft_id, RegenerateWish())


async def test_a_rejection_leaves_the_other_draft(store: Store, service: FeedbackService) -> None:
    await service.record_draft(of(DraftReady))
    second = another(1)
    await service.record_draft(second)
    await service.review(AGENT, samples.DRAFT, ReviewWish(decision="rejected"))
    assert (await draft_of(store, second.data.draft_id)).status == "waiting"


async def test_two_drafts_of_a_mail_approved_at_once_give_one_reply(
    store: Store, service: FeedbackService
) -> None:
    drafts = [of(DraftReady), another(1), another(2)]
    for event in drafts:
        await service.record_draft(event)
    results = await asyncio.gather(
        *(service.review(AGENT, e.data.draft_id, ReviewWish(decision="approved")) for e in drafts),
        service.record_draft(another(3)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Conflict) for result in results) == 2
    assert (await store.figures(AGENT)).statuses == {"approved": 1, "withdrawn": 3}


async def test_the_outbox_survives_a_broker_that_is_down(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))
    await service.review(AGENT, samples.DRAFT, ReviewWish(decision="approved"))
    said = Said()
    said.down_after = 1
    with pytest.raises(Unavailable):
        await store.relay(said, 10)
    said.down_after = 99
    assert await store.relay(said, 10) == 1
    assert said.types == ["review.recorded.v1", "reply.approved.v1"]


async def test_an_event_the_broker_never_takes_does_not_block_the_others(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))
    await service.review(AGENT, samples.DRAFT, ReviewWish(decision="approved"))
    said = Said()
    said.invalid = {"sourcier.review.recorded.v1"}
    assert await store.relay(said, 10) == 2
    assert said.types == ["reply.approved.v1"]
    figures = await store.figures(AGENT)
    assert (figures.outbox, figures.refused) == (0, 1)


def indexed(minutes: int = 60, sha256: str = "f" * 64) -> DocumentIndexed:
    """A version of the document that the sample draft cites, that much later."""
    event = of(DocumentIndexed)
    version = samples.BLOCK.version.model_copy(
        update={
            "submitted": samples.PASSAGE.version.submitted + timedelta(minutes=minutes),
            "sha256": sha256,
        }
    )
    block = samples.BLOCK.model_copy(update={"version": version})
    found: DocumentIndexed = event.model_copy(
        update={"data": event.data.model_copy(update={"document": block})}
    )
    return found


@pytest.mark.parametrize("first", ["draft", "version"])
async def test_a_new_version_of_a_cited_document_flags_the_waiting_draft(
    store: Store, service: FeedbackService, first: str
) -> None:
    if first == "draft":
        await service.record_draft(of(DraftReady))
    for _ in range(2):
        await service.record_document(indexed())
    await service.record_draft(of(DraftReady))
    draft = await draft_of(store, samples.DRAFT)
    assert (draft.status, draft.outdated) == ("waiting", (samples.BLOCK.document_id,))
    (line,) = await store.drafts(AGENT, "waiting", None, 10, None)
    assert line.outdated == draft.outdated


async def test_the_same_content_or_an_older_version_flags_nothing(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))
    await service.record_document(indexed(minutes=-5))
    await service.record_document(indexed(sha256=samples.PASSAGE.version.sha256))
    assert (await draft_of(store, samples.DRAFT)).outdated == ()
    await service.record_document(indexed(minutes=70))
    assert (await draft_of(store, samples.DRAFT)).outdated == (samples.BLOCK.document_id,)
    await service.record_document(indexed(minutes=80, sha256=samples.PASSAGE.version.sha256))
    assert (await draft_of(store, samples.DRAFT)).outdated == ()


async def test_a_decided_draft_is_not_flagged(store: Store, service: FeedbackService) -> None:
    await service.record_draft(of(DraftReady))
    await service.review(AGENT, samples.DRAFT, ReviewWish(decision="approved"))
    await service.record_document(indexed())
    assert (await draft_of(store, samples.DRAFT)).outdated == ()


async def test_another_draft_when_a_cited_document_was_taken_away(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))
    await service.record_document(of(DocumentRemoved))
    assert (await draft_of(store, samples.DRAFT)).status == "withdrawn"
    await service.regenerate(AGENT, samples.DRAFT, RegenerateWish())
    said = Said()
    await store.relay(said, 10)
    (asked,) = (event for event in said.events if isinstance(event, DraftRequested))
    assert asked.data.passages == ()


async def test_what_is_of_another_mailbox_is_as_if_absent(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))
    await service.record_document(of(DocumentIndexed))
    mail = samples.MAIL.mail_id
    assert await store.drafts(ELSEWHERE, None, None, 10, None) == []
    assert await store.drafts(ELSEWHERE, None, "default", 10, None) == []
    assert await store.draft(ELSEWHERE, samples.DRAFT) is None
    assert await store.outcome(ELSEWHERE, mail) is None
    assert await store.documents(ELSEWHERE, 10) == []
    seen = await store.figures(ELSEWHERE)
    assert (seen.outcomes, seen.statuses, seen.documents) == ({}, {}, {})
    for refused in (
        service.get_draft(ELSEWHERE, samples.DRAFT),
        service.get_outcome(ELSEWHERE, mail),
        service.review(ELSEWHERE, samples.DRAFT, ReviewWish(decision="approved")),
        service.regenerate(ELSEWHERE, samples.DRAFT, RegenerateWish()),
    ):
        with pytest.raises(NotFound):
            await refused
    assert (await store.figures(ADMIN)).outbox == 0
    assert (await draft_of(store, samples.DRAFT)).status == "waiting"


async def test_the_store_itself_refuses_writes_to_another_mailbox(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))

    def unused(*_: Any) -> Any:
        raise AssertionError("nothing is to be said")

    with pytest.raises(NotFound):
        await store.add_review(ELSEWHERE, samples.DRAFT, samples.AT, unused, unused)
    with pytest.raises(NotFound):
        await store.add_request(ELSEWHERE, samples.DRAFT, samples.AT, unused)
    assert (await draft_of(store, samples.DRAFT)).status == "waiting"
    await service.review(AGENT, samples.DRAFT, ReviewWish(decision="approved"))
    assert (await draft_of(store, samples.DRAFT)).status == "approved"


async def test_the_id_of_another_mailboxs_review_is_refused(
    store: Store, service: FeedbackService
) -> None:
    await service.record_draft(of(DraftReady))
    other = ready("other", mail={"thread_id": uuid4(), "mailbox": "autre"})
    await service.record_draft(other)
    review_id = uuid4()
    wish = ReviewWish(decision="approved", review_id=review_id)
    await service.review(AGENT, samples.DRAFT, wish)
    with pytest.raises(Conflict, match="déjà servi"):
        await service.review(ELSEWHERE, other.data.draft_id, wish)
    found = await store.draft(ELSEWHERE, other.data.draft_id)
    assert found is not None
    assert (found.status, found.review) == ("waiting", None)
    # Nor does the place of another's draft in time give anything away.
    assert await store.drafts(ELSEWHERE, None, None, 10, samples.DRAFT) == []


async def test_a_removed_document_keeps_its_audience(
    store: Store, service: FeedbackService
) -> None:
    indexed = of(DocumentIndexed)
    block = indexed.data.document.model_copy(update={"audience": "interne"})
    data = indexed.data.model_copy(update={"document": block})
    await service.record_document(indexed.model_copy(update={"data": data}))
    await service.record_document(of(DocumentRemoved))
    assert await store.documents(AGENT, 10) == []
    (document,) = await store.documents(ELSEWHERE, 10)
    assert (document.state, document.title) == ("removed", samples.BLOCK.title)


async def test_pages_of_drafts(store: Store, service: FeedbackService) -> None:
    for minute in range(5):
        event = ready("page", mail={"thread_id": uuid4()})
        time = samples.AT + timedelta(minutes=minute)
        await service.record_draft(event.model_copy(update={"time": time}))
    first = await store.drafts(AGENT, None, None, 2, None)
    rest = await store.drafts(AGENT, None, None, 10, first[-1].draft_id)
    assert len({line.draft_id for line in (*first, *rest)}) == 5
    assert [line.created for line in (*first, *rest)] == sorted(
        (line.created for line in (*first, *rest)), reverse=True
    )


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    pool = await open_pool(
        settings.Postgres(dsn=f"postgresql://nobody@/none?host={tmp_path}"), "test"
    )
    with pytest.raises(Unavailable):
        await PostgresDrafts(pool).ready()
    await pool.close()


async def test_a_database_without_tables_asks_for_the_migrations(postgres_dsn: str) -> None:
    server = await asyncpg.connect(postgres_dsn)
    name = f"empty_{uuid4().hex[:8]}"
    await server.execute(f"create database {name}")
    await server.close()
    empty = urlunsplit(urlsplit(postgres_dsn)._replace(path=f"/{name}"))
    pool = await open_pool(settings.Postgres(dsn=empty), "test")
    with pytest.raises(Unavailable, match="migrate"):
        await PostgresDrafts(pool).ready()
    await pool.close()


async def test_connections_cut_by_the_server_are_unavailable_then_renewed(
    postgres_dsn: str,
) -> None:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=1), "test")
    store = PostgresDrafts(pool)
    await store.ready()
    pid = await pool.fetchval("select pg_backend_pid()")
    other = await asyncpg.connect(postgres_dsn)
    await other.execute("select pg_terminate_backend($1)", pid)
    await other.close()
    for _ in range(3):
        try:
            await store.ready()
            break
        except Unavailable:
            continue
    else:
        pytest.fail("the pool did not recover")
    await pool.close()


async def test_an_event_that_cannot_be_decoded_does_not_block_the_others(
    postgres_dsn: str,
) -> None:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=4), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    store = PostgresDrafts(pool)
    await pool.execute(
        "insert into feedback.outbox (event_id, type, event) values ($1, 'past', '{}')", uuid4()
    )
    service = FeedbackService(store, lambda: samples.AT, lambda: None)
    await service.record_draft(of(DraftReady))
    await service.review(AGENT, samples.DRAFT, ReviewWish(decision="approved"))
    said = Said()
    assert await store.relay(said, 10) == 3
    assert said.types == ["review.recorded.v1", "reply.approved.v1"]
    assert (await store.figures(AGENT)).refused == 1
    await pool.close()


async def test_events_said_long_ago_are_forgotten(postgres_dsn: str) -> None:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=4), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    for days, refused in ((31, None), (29, None), (None, "past")):
        await pool.execute(
            "insert into feedback.outbox (event_id, type, event, said_at, refused)"
            " values ($1, 'past', '{}', now() - make_interval(days => $2::int), $3)",
            uuid4(),
            days,
            refused,
        )
    await PostgresDrafts(pool).relay(Said(), 10)
    left = await pool.fetch("select position, refused from feedback.outbox order by position")
    assert [row["refused"] for row in left] == [None, "past"]
    await pool.close()


async def test_one_relay_works_at_a_time(postgres_dsn: str) -> None:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=4), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    store = PostgresDrafts(pool)
    service = FeedbackService(store, lambda: samples.AT, lambda: None)
    await service.record_draft(of(DraftReady))
    await service.review(AGENT, samples.DRAFT, ReviewWish(decision="approved"))
    busy, go_on = asyncio.Event(), asyncio.Event()
    said: list[str] = []

    async def slow(event: Event) -> None:
        busy.set()
        await go_on.wait()
        said.append(event.type)

    first = asyncio.create_task(store.relay(slow, 10))
    await busy.wait()
    assert await store.relay(slow, 10) == 0
    go_on.set()
    assert await first == 2
    assert said == ["sourcier.review.recorded.v1", "sourcier.reply.approved.v1"]
    await pool.close()


def test_only_real_nul_escapes_are_removed() -> None:
    assert storable(r'"a\u0000b"') == r'"ab"'
    assert storable(r'"a\\u0000b"') == r'"a\\u0000b"'
    assert storable(r'"a\\\u0000b"') == r'"a\\b"'
