"""The figures of the desk on a real PostgreSQL, against what was put in."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from services.feedback.access import Viewer
from services.feedback.adapters.figures import PostgresFigures
from services.feedback.figuring import (
    Arrivals,
    Decisions,
    Group,
    Scope,
    lines,
    whole,
    with_quiet_weeks,
)
from shared import settings
from shared.postgres import Pool, open_pool

TABLES = "mails, drafts, passages, reviews, replies"
ADA = Viewer(account="ada", name="Ada", roles=frozenset({"data"}), pseudonym="a1")
OTTO = ADA.model_copy(update={"mailboxes": frozenset({"aides"})})
NOW = datetime.now(UTC)
MONDAY = (NOW - timedelta(days=NOW.weekday())).replace(hour=12, minute=0, second=0, microsecond=0)
ALL = Scope(weeks=None, zone="UTC")
HOUR = 3600.0
G = TypeVar("G", bound=Group)


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=4), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    yield pool
    await pool.close()


@pytest.fixture
def figures(pool: Pool) -> PostgresFigures:
    return PostgresFigures(pool)


def total(found: Sequence[G]) -> G:
    """The whole scope's line."""
    line = whole(found)
    assert line is not None
    return line


async def put_mail(
    pool: Pool,
    outcome: str = "draft",
    reason: str = "",
    *,
    mailbox: str = "aides",
    at: datetime = MONDAY,
    pipeline: str = "m1 · p1",
) -> UUID:
    """An e-mail and, if one was written, its draft; the draft's id (the e-mail's is the same)."""
    one = uuid4()
    await pool.execute(
        "insert into feedback.mails (mail_id, mailbox, received, outcome, reason, draft_id)"
        " values ($1, $2, $3, $4, $5, $6)",
        one,
        mailbox,
        at,
        outcome,
        reason,
        one if outcome in ("draft", "declined") else None,
    )
    if outcome in ("draft", "declined"):
        await pool.execute(
            "insert into feedback.drafts (draft_id, mail_id, mailbox, outcome, status, request_id,"
            " text, evidence, engine, created, cited, data, pipeline) values"
            " ($1, $1, $2, $3, 'waiting', 0, '', 1, 'extractive', $4, '{}', '{}', $5)",
            one,
            mailbox,
            outcome,
            at,
            pipeline,
        )
    return one


async def put_review(
    pool: Pool,
    decision: str,
    *,
    after: float = 1,
    characters: int = 0,
    words: int = 0,
    reasons: Sequence[str] = (),
    sent_after: float | None = None,
    **mail: Any,
) -> None:
    """A draft decided ``after`` hours, and perhaps its reply sent."""
    one = await put_mail(pool, **mail)
    at = mail.get("at", MONDAY)
    await pool.execute(
        "insert into feedback.reviews (review_id, draft_id, decision, created, data, mailbox,"
        " edit_distance, words_changed, reasons) values ($1, $2, $3, $4, '{}', $5, $6, $7, $8)",
        uuid4(),
        one,
        decision,
        at + timedelta(hours=after),
        mail.get("mailbox", "aides"),
        characters,
        words,
        list(reasons),
    )
    if sent_after is not None:
        await pool.execute(
            "insert into feedback.replies (reply_id, mail_id, draft_id, mailbox, state, settled)"
            " values ($1, $2, $2, 'aides', 'sent', $3)",
            uuid4(),
            one,
            at + timedelta(hours=sent_after),
        )


async def test_decisions_by_week_mailbox_and_pipeline(figures: PostgresFigures, pool: Pool) -> None:
    before = MONDAY - timedelta(weeks=2)
    for decision in ("approved", "approved", "edited", "rejected"):
        await put_review(pool, decision)
    await put_review(pool, "unused", at=before, mailbox="études", pipeline="m2 · p1")
    weeks = await figures.decisions(ADA, ALL)
    assert [(w.label, w.approved, w.edited, w.rejected, w.unused) for w in weeks] == [
        (before.date().isoformat(), 0, 0, 0, 1),
        (MONDAY.date().isoformat(), 2, 1, 1, 0),
        (None, 2, 1, 1, 1),
    ]
    assert whole(weeks) == weeks[2]
    filled = with_quiet_weeks(Decisions, lines(weeks))
    assert [week.total for week in filled] == [1, 0, 4]
    boxes = await figures.decisions(ADA, ALL.model_copy(update={"by": "mailbox"}))
    assert [(b.label, b.total) for b in boxes] == [("aides", 4), ("études", 1), (None, 5)]
    versions = await figures.decisions(ADA, ALL.model_copy(update={"by": "pipeline"}))
    assert [(v.label, v.total) for v in versions] == [("m1 · p1", 4), ("m2 · p1", 1), (None, 5)]


async def test_filters_and_the_viewers_mailboxes(figures: PostgresFigures, pool: Pool) -> None:
    await put_review(pool, "edited", reasons=["invented"])
    await put_review(pool, "edited", mailbox="études", reasons=["outdated"])
    await put_mail(pool, "skipped", "list", mailbox="études")
    assert whole(await figures.decisions(OTTO, ALL)) == Decisions(label=None, edited=1)
    only = ALL.model_copy(update={"mailbox": "études"})
    assert total(await figures.decisions(ADA, only)).total == 1
    for asked in (figures.decisions, figures.edits, figures.arrivals, figures.delays):
        assert await asked(OTTO, only) == []
    assert await figures.reasons(OTTO, only) == []
    assert [r.reason for r in await figures.reasons(OTTO, ALL)] == ["invented"]
    assert (await figures.choices(OTTO)).mailboxes == ("aides",)
    assert (await figures.choices(ADA)).mailboxes == ("aides", "études")
    assert (await figures.choices(ADA)).pipelines == ("m1 · p1",)
    other = ALL.model_copy(update={"pipeline": "m9"})
    assert await figures.decisions(ADA, other) == []


async def test_a_period_begins_with_its_first_week(figures: PostgresFigures, pool: Pool) -> None:
    for weeks in range(5):
        await put_review(pool, "approved", at=MONDAY - timedelta(weeks=weeks), after=0)
    found = await figures.decisions(ADA, Scope(weeks=2, zone="UTC"))
    assert total(found).approved == 2


async def test_how_much_was_changed(figures: PostgresFigures, pool: Pool) -> None:
    for characters, words in ((10, 1), (20, 2), (90, 9)):
        await put_review(pool, "edited", characters=characters, words=words)
    await put_review(pool, "approved")
    edits = total(await figures.edits(ADA, ALL))
    assert (edits.count, edits.characters, edits.words) == (3, 20, 2)
    assert (edits.characters_p90, edits.words_p90) == pytest.approx((76, 7.6))


async def test_from_arrival_to_reply(figures: PostgresFigures, pool: Pool) -> None:
    await put_review(pool, "approved", after=1, sent_after=2)
    await put_review(pool, "edited", after=4)
    await put_review(pool, "rejected", after=50)
    await put_review(pool, "unused", after=60)
    await put_review(pool, "unused", after=6, sent_after=6)
    delays = total(await figures.delays(ADA, ALL))
    assert (delays.count, delays.median) == (3, 4 * HOUR)
    assert delays.p90 == pytest.approx(5.6 * HOUR)


async def test_what_arrived_and_why_it_got_no_draft(figures: PostgresFigures, pool: Pool) -> None:
    await put_mail(pool)
    await put_mail(pool, "declined", "no-passage", pipeline="m2")
    await put_mail(pool, "skipped", "list")
    await put_mail(pool, "skipped", "list")
    await put_mail(pool, "pending")
    await put_review(pool, "rejected", reasons=["invented", "wrong-tone"])
    found = await figures.arrivals(ADA, ALL)
    assert whole(found) == Arrivals(label=None, drafted=2, declined=1, skipped=2, pending=1)
    by = ALL.model_copy(update={"by": "pipeline"})
    assert [(g.label, g.total) for g in lines(await figures.arrivals(ADA, by))] == [
        ("", 3),
        ("m1 · p1", 2),
        ("m2", 1),
    ]
    reasons = [(r.kind, r.reason, r.count) for r in await figures.reasons(ADA, ALL)]
    assert reasons[0] == ("skipped", "list", 2)
    assert sorted(reasons[1:]) == [
        ("declined", "no-passage", 1),
        ("review", "invented", 1),
        ("review", "wrong-tone", 1),
    ]


async def test_without_anything_there_is_nothing(figures: PostgresFigures) -> None:
    assert await figures.decisions(ADA, ALL) == []
    assert await figures.reasons(ADA, ALL) == []
    assert (await figures.choices(ADA)).pipelines == ()
    assert with_quiet_weeks(Decisions, []) == []


MANY = """
set session_replication_role = replica;  -- nobody follows 50,000 changes
insert into feedback.mails (mail_id, mailbox, received, outcome, draft_id, reason)
select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'boite-' || n % 7,
       now() - make_interval(mins => n * 10),
       case n % 10 when 0 then 'skipped' when 1 then 'declined' else 'draft' end,
       ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid,
       case n % 10 when 0 then 'list' when 1 then 'no-passage' else '' end
from generate_series(1, 50000) n;
insert into feedback.drafts (draft_id, mail_id, mailbox, outcome, status, request_id, text,
    evidence, engine, created, cited, data, pipeline)
select mail_id, mail_id, mailbox, 'draft', 'approved', 0, repeat('Bonjour, voici la réponse. ', 30),
       1, 'extractive', received, '{}', '{}', 'modele-' || extract(day from received)::int % 5
from feedback.mails where outcome <> 'skipped';
insert into feedback.reviews (review_id, draft_id, decision, created, data, mailbox, edit_distance,
    words_changed, reasons)
select draft_id, draft_id, (array['approved', 'edited', 'rejected', 'unused'])[1 + (h & 3)],
       created + make_interval(mins => h & 1023), '{}', mailbox, h & 255, h & 31,
       array[(array['invented', 'outdated', 'other'])[1 + (h & 1)]]
from (select *, abs(hashtext(draft_id::text)) as h from feedback.drafts) d;
insert into feedback.replies (reply_id, mail_id, draft_id, mailbox, state, settled)
select draft_id, draft_id, draft_id, mailbox, 'sent', created + interval '1 hour'
from feedback.reviews;
set session_replication_role = origin;
analyze feedback.mails, feedback.drafts, feedback.reviews, feedback.replies;
"""


async def test_fifty_thousand_drafts_stay_quick(figures: PostgresFigures, pool: Pool) -> None:
    await pool.execute(MANY)
    took: dict[str, float] = {}
    asks = (figures.decisions, figures.edits, figures.arrivals, figures.delays, figures.reasons)
    for by in ("week", "mailbox", "pipeline"):
        for ask in asks:
            began = time.perf_counter()
            await ask(ADA, ALL.model_copy(update={"by": by}))
            took[f"{ask.__name__} by {by}"] = time.perf_counter() - began
    began = time.perf_counter()
    assert len((await figures.choices(OTTO)).pipelines) == 0
    assert len((await figures.choices(ADA)).pipelines) == 5
    took["choices"] = time.perf_counter() - began
    slow = {name: round(seconds, 3) for name, seconds in took.items()}
    assert max(took.values()) < 2, slow
    groups = await figures.decisions(ADA, ALL.model_copy(update={"by": "mailbox"}))
    assert total(groups).total == 45_000
