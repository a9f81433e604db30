"""The queue's lists on a real PostgreSQL: whose, which, in which order, how many."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from services.feedback.access import Viewer
from services.feedback.adapters.listening import PostgresChanges
from services.feedback.adapters.queue import PostgresQueue
from services.feedback.queueing import PAGE, Change, Filter, Place, View
from shared.clock import utcnow
from shared.postgres import Pool, open_pool
from shared.settings import Postgres

NOW = utcnow()


def viewer(*mailboxes: str) -> Viewer:
    return Viewer(
        account="a",
        name="A",
        roles=frozenset({"agent"}),
        mailboxes=frozenset(mailboxes) if mailboxes else None,
        pseudonym="p-0000",
    )


ALL = viewer()


class Rows:
    """Writes rows as feedback leaves them."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def mail(self, outcome: str = "draft", hours: float = 1, **more: str) -> UUID:
        mail = uuid4()
        values = {
            "mailbox": "one",
            "subject": "Étude préalable",
            "sender": "mairie@exemple.org",
            "reason": "",
            "category": None,
        } | more
        await self.pool.execute(
            "insert into feedback.mails (mail_id, mailbox, subject, sender, sender_name, received,"
            " outcome, reason, category, block)"
            " values ($1, $2, $3, $4, 'Mairie de Sézanne', $5, $6, $7, $8, $9)",
            mail,
            values["mailbox"],
            values["subject"],
            values["sender"],
            NOW - timedelta(hours=hours),
            outcome,
            values["reason"],
            values["category"],
            json.dumps({"new_text": "Bonjour", "attachments": [{"name": "plan.pdf"}]})
            if outcome == "pending"
            else None,
        )
        return mail

    async def draft(
        self, status: str = "waiting", outcome: str = "draft", hours: float = 1, **more: str
    ) -> UUID:
        draft = uuid4()
        mail = await self.mail("draft", hours, **more)
        data = {
            "why": "no-passage" if outcome == "declined" else None,
            "detail": "Rien trouvé.",
            "checks": [{"name": "a", "passed": True}, {"name": "b", "passed": "ok" in more}],
            "parts": [
                {"text": "Merci de votre message.", "citations": []},
                {"text": "Oui.", "citations": [str(uuid4())]},
            ],
        }
        await self.pool.execute(
            "insert into feedback.drafts (draft_id, mail_id, mailbox, outcome, status, request_id,"
            " text, evidence, engine, created, cited, category, data)"
            " values ($1, $2, $3, $4, $5, 0, 'Bonjour', 0.9, $6, $7, '{}', $8, $9)",
            draft,
            mail,
            more.get("mailbox", "one"),
            outcome,
            status,
            more.get("engine", "openai"),
            NOW - timedelta(hours=hours),
            more.get("category"),
            json.dumps(data),
        )
        return draft

    async def lock(self, draft: UUID, minutes: float) -> None:
        await self.pool.execute(
            "insert into feedback.locks values ($1, 'b', 'Béatrice', now(), $2)",
            draft,
            utcnow() + timedelta(minutes=minutes),
        )


@pytest.fixture
async def rows(postgres_dsn: str) -> AsyncIterator[Rows]:
    pool = await open_pool(Postgres(dsn=SecretStr(postgres_dsn)), "test")
    await pool.execute("truncate feedback.mails cascade")
    yield Rows(pool)
    await pool.close()


async def ids(rows: Rows, who: Viewer, view: View, wanted: Filter | None = None) -> list[UUID]:
    """All that the pages of a view list, and that their total says so."""
    queue = PostgresQueue(rows.pool)
    found: list[UUID] = []
    after: Place | None = None
    while True:
        lines, _ = await queue.lines(who, view, wanted or Filter(), after)
        found += [line.draft_id for line in lines.drafts]
        found += [line.mail_id for line in lines.mails]
        after = lines.after
        if after is None:
            assert lines.total == len(found)
            return found


async def test_each_view_lists_what_is_its_own_in_its_order(rows: Rows) -> None:
    old, new = await rows.draft(hours=5), await rows.draft(hours=1)
    refused = await rows.draft(outcome="declined")
    decided = [await rows.draft(status=s, hours=h) for s, h in (("edited", 1), ("withdrawn", 9))]
    decided.append(await rows.draft(status="rejected", outcome="declined", hours=12))
    skipped = [await rows.mail("skipped", h, reason="list") for h in (1, 2)]
    pending = [await rows.mail("pending", h) for h in (2, 1)]
    assert await ids(rows, ALL, "waiting") == [old, new]
    assert await ids(rows, ALL, "declined") == [refused]
    assert await ids(rows, ALL, "decided") == decided
    assert await ids(rows, ALL, "skipped") == skipped
    assert await ids(rows, ALL, "pending") == pending
    _, counts = await PostgresQueue(rows.pool).lines(ALL, "waiting", Filter(), None)
    views: tuple[View, ...] = ("waiting", "declined", "decided", "skipped", "pending")
    assert [counts.of(view) for view in views] == [2, 1, 3, 2, 2]
    assert counts.by("decided", "status") == [("edited", 1), ("rejected", 1), ("withdrawn", 1)]


async def test_pages_hold_each_line_once_even_of_the_same_moment(rows: Rows) -> None:
    made = [await rows.draft(hours=3) for _ in range(2 * PAGE + 3)]
    listed = await ids(rows, ALL, "waiting")
    assert len(listed) == len(made)
    assert set(listed) == set(made)


async def test_other_mailboxes_are_as_if_absent(rows: Rows) -> None:
    mine, other = await rows.draft(), await rows.draft(mailbox="two")
    skipped = await rows.mail("skipped", mailbox="two")
    queue = PostgresQueue(rows.pool)
    assert await ids(rows, viewer("one"), "waiting") == [mine]
    assert await ids(rows, viewer("one"), "waiting", Filter(mailbox="two")) == []
    assert await ids(rows, viewer("two"), "waiting") == [other]
    assert await ids(rows, viewer("none"), "waiting") == []
    assert await queue.mail(viewer("one"), skipped) is None
    assert await queue.mail(viewer("two"), skipped) is not None
    _, counts = await queue.lines(viewer("one"), "skipped", Filter(), None)
    assert {group.mailbox for group in counts.groups} == {"one"}


async def test_filters(rows: Rows) -> None:
    plain = await rows.draft(ok="1")
    odd = await rows.draft(
        hours=80,
        category="études",
        engine="extractive",
        subject="100 % d'aide_ ?",
        sender="ecole@exemple.org",
        ok="1",
    )
    unsure = await rows.draft(hours=2)
    await rows.lock(plain, 10)
    await rows.lock(odd, -10)
    await rows.pool.execute(
        "update feedback.drafts set outdated = $2 where draft_id = $1", odd, [uuid4()]
    )
    cases: list[tuple[Filter, list[UUID]]] = [
        (Filter(category="études"), [odd]),
        (Filter(days=3), [odd]),
        (Filter(flag="extractive"), [odd]),
        (Filter(flag="outdated"), [odd]),
        (Filter(flag="checks"), [unsure]),
        (Filter(flag="locked"), [plain]),
        (Filter(text="ETUDE PRE"), [unsure, plain]),
        (Filter(text="sezanne"), [odd, unsure, plain]),
        (Filter(text="ECOLE@"), [odd]),
        (Filter(text="100 %"), [odd]),
        (Filter(text="aide_"), [odd]),
        (Filter(text="a_d"), []),
        (Filter(text="\\"), []),
        (Filter(text="'; drop table feedback.mails; --"), []),
        (Filter(text="etude", days=1), []),
    ]
    for wanted, expected in cases:
        assert await ids(rows, ALL, "waiting", wanted) == expected, wanted
    refused = await rows.draft(outcome="declined")
    assert await ids(rows, ALL, "declined", Filter(reason="no-passage")) == [refused]
    assert await ids(rows, ALL, "declined", Filter(reason="unsupported")) == []
    letter = await rows.mail("skipped", reason="list")
    assert await ids(rows, ALL, "skipped", Filter(reason="list")) == [letter]
    done = await rows.draft(status="approved")
    assert await ids(rows, ALL, "decided", Filter(status="approved")) == [done]


async def test_a_line_tells_what_matters_of_its_draft(rows: Rows) -> None:
    draft = await rows.draft()
    await rows.lock(draft, 10)
    lines, _ = await PostgresQueue(rows.pool).lines(ALL, "waiting", Filter(), None)
    (line,) = lines.drafts
    assert (line.locked_by, line.failed_checks, line.outdated) == ("Béatrice", 1, 0)
    assert line.excerpt == "Oui.", "sentences that every reply has are left out"


async def test_a_pending_mail_shows_its_text_and_attachments(rows: Rows) -> None:
    pending = await rows.mail("pending")
    page = await PostgresQueue(rows.pool).mail(ALL, pending)
    assert page is not None
    assert (page.new_text, page.attachments, page.draft_id) == ("Bonjour", ("plan.pdf",), None)


async def test_changes_are_told_and_a_lost_connection_is_told_as_a_gap(
    rows: Rows, postgres_dsn: str
) -> None:
    heard: asyncio.Queue[Change] = asyncio.Queue()
    config = Postgres(dsn=SecretStr(postgres_dsn))
    listening = asyncio.create_task(PostgresChanges(config, heard.put_nowait).run())
    try:
        assert (await asyncio.wait_for(heard.get(), 10)).kind == "resync"
        draft = await rows.draft()
        mail, told = [await asyncio.wait_for(heard.get(), 5) for _ in range(2)]
        assert (mail.kind, mail.op, mail.mailbox) == ("mail", "insert", "one")
        assert (told.kind, told.op, told.id, told.mailbox) == ("draft", "insert", draft, "one")
        assert (told.status, told.outcome, told.mail) == ("waiting", "draft", mail.id)
        await rows.lock(draft, 10)
        taken = await asyncio.wait_for(heard.get(), 5)
        assert (taken.kind, taken.id, taken.mailbox) == ("lock", draft, "one")
        await rows.pool.execute("update feedback.locks set expires = now()")
        await rows.pool.execute("delete from feedback.locks")
        given = await asyncio.wait_for(heard.get(), 5)
        assert (given.kind, given.op, given.mailbox) == ("lock", "delete", "one")
        killed = await rows.pool.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where application_name = 'sourcier-feedback-live' and datname = current_database()"
        )
        assert killed == 1
        assert (await asyncio.wait_for(heard.get(), 10)).kind == "resync"
        await rows.mail("skipped")
        assert (await asyncio.wait_for(heard.get(), 5)).status == "skipped"
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_listening_waits_for_a_database_that_is_away() -> None:
    nowhere = Postgres(dsn=SecretStr("postgresql://nobody@127.0.0.1:9/none"))
    listening = asyncio.create_task(PostgresChanges(nowhere, lambda _: None).run())
    await asyncio.sleep(0.5)
    assert not listening.done()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
