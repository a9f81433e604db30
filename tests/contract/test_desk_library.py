"""The library of the desk on a real PostgreSQL: what is shown of documents, and to whom."""

from __future__ import annotations

import io
import json
import time
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from services.feedback.access import Viewer
from services.feedback.adapters.document_text import PostgresVersions
from services.feedback.adapters.library import PostgresShelves, StoredInbox
from services.feedback.adapters.postgres import PostgresDrafts
from services.feedback.library import Library
from services.feedback.library_records import Form, Wish
from services.feedback.reading_documents import DocumentReading, Removed
from services.feedback.records import stored
from services.feedback.reviewing import NotFound, Unacceptable
from shared import settings
from shared.document_events import DocumentRemoved, DocumentSubmitted
from shared.events import DraftReady
from shared.identity import document_id, sha256
from shared.objects import MemoryObjects
from shared.postgres import Pool, open_pool
from tests import samples

TABLES = "mails, drafts, passages, documents, document_versions, submissions, outbox"
AT = samples.AT
DOC = samples.DOCUMENT
T = TypeVar("T")


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=4), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    yield pool
    await pool.close()


async def put_version(
    pool: Pool, content: str = "a", at: datetime = AT, audience: str = "public", doc: UUID = DOC
) -> str:
    """A version that was indexed, as the event document.indexed leaves it; its SHA-256."""
    sha = sha256(content.encode())
    await pool.execute(
        "insert into feedback.document_versions values ($1, $2, $3, 'aides', 'guide.md', $4,"
        " null, $5, 'text/markdown', 9, $6, $7, 1, $2)",
        doc,
        at,
        sha,
        f"Guide {content}",
        audience,
        f"documents/{doc}/{sha}/original",
        f"documents/{doc}/{sha}/text.json",
    )
    await put_state(pool, "indexed", at, sha, audience=audience, doc=doc)
    return sha


async def put_state(
    pool: Pool,
    state: str,
    at: datetime = AT,
    sha: str = "",
    *,
    audience: str = "public",
    doc: UUID = DOC,
) -> None:
    """What the store of drafts keeps of a document's last event."""
    await pool.execute(
        "insert into feedback.documents (document_id, state, collection, name, audience, submitted,"
        " sha256, code, detail) values ($1, $2, 'aides', 'guide.md', $3, $4, $5, $6, $7)"
        " on conflict (document_id) do update set state = excluded.state,"
        " audience = excluded.audience, submitted = excluded.submitted, sha256 = excluded.sha256,"
        " code = excluded.code, detail = excluded.detail",
        doc,
        state,
        audience,
        at,
        sha,
        "broken" if state == "rejected" else "",
        "Le PDF est abîmé." if state == "rejected" else "",
    )


def later(minutes: float) -> datetime:
    return AT + timedelta(minutes=minutes)


async def seen(pool: Pool, doc: UUID = DOC) -> dict[str, Any]:
    row = await pool.fetchrow("select * from feedback.library where document_id = $1", doc)
    assert row is not None
    return dict(row)


async def test_a_refused_version_leaves_the_one_in_force(pool: Pool) -> None:
    sha = await put_version(pool, audience="interne")
    await put_state(pool, "rejected", later(5))
    row = await seen(pool)
    assert (row["status"], row["sha256"], row["code"]) == ("indexed", sha, "broken")
    # Readers of what is in force are not those that the refused version was for.
    assert row["audience"] == "interne"


async def test_a_removal_shows_until_the_document_is_back(pool: Pool) -> None:
    await put_version(pool)
    await put_state(pool, "removed", later(5))
    assert (await seen(pool))["status"] == "removed"
    await put_state(pool, "rejected", later(10))
    row = await seen(pool)
    assert (row["status"], row["removed"]) == ("rejected", later(5))
    await put_version(pool, "b", later(15))
    row = await seen(pool)
    assert (row["status"], row["removed"], row["code"]) == ("indexed", later(5), "")


async def test_a_refusal_is_for_those_that_the_document_was_for(pool: Pool) -> None:
    await put_state(pool, "rejected", audience="interne")
    assert (await seen(pool))["audience"] == "interne"


async def test_a_removal_of_something_unknown_is_for_nobody_in_particular(pool: Pool) -> None:
    await put_state(pool, "removed")
    assert (await seen(pool))["audience"] is None


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def reading(pool: Pool, objects: MemoryObjects) -> DocumentReading:
    return DocumentReading(PostgresVersions(pool), objects)


def text_of(sha: str, text: str) -> dict[str, bytes]:
    body = json.dumps({"title": "Guide", "text": text, "pages": []}).encode()
    return {f"documents/{DOC}/{sha}/text.json": body}


async def test_superseded_versions_stay_readable(
    pool: Pool, reading: DocumentReading, objects: MemoryObjects
) -> None:
    old, new = await put_version(pool, "a"), await put_version(pool, "b", later(5))
    objects.data |= text_of(old, "Taux : 50 %.") | text_of(new, "Taux : 40 %.")
    first = await reading.passage_in_document(DOC, old[:16], 7, 11, ["public"])
    assert (first.title, first.version.newest) == ("Guide a", new)
    assert first.pages[0].highlighted == "50 %"
    second = await reading.passage_in_document(DOC, new, None, None, ["public"])
    assert (second.version.newest, second.pages[0].after) == (None, "Taux : 40 %.")


@pytest.mark.parametrize("prefix", ["", "0" * 15, "%" * 16, "0" * 16, "Z" * 64])
async def test_an_unknown_version_is_not_found(
    pool: Pool, reading: DocumentReading, prefix: str
) -> None:
    await put_version(pool)
    with pytest.raises(NotFound):
        await reading.version(DOC, prefix, None)
    with pytest.raises(NotFound):
        await reading.version(uuid4(), "0" * 16, None)


async def test_documents_of_other_audiences_are_not_found(
    pool: Pool, reading: DocumentReading
) -> None:
    public = await put_version(pool, "a")
    internal = await put_version(pool, "b", later(5), audience="interne")
    for sha in (public, internal):
        with pytest.raises(NotFound):
            await reading.version(DOC, sha, ["public"])
    assert (await reading.version(DOC, internal, None)).audience == "interne"
    assert (await reading.version(DOC, public, ["public", "interne"])).newest == internal
    # The other way round: what was internal once is not published by its successor.
    await put_version(pool, "c", later(9))
    with pytest.raises(NotFound):
        await reading.version(DOC, internal, ["public"])


async def test_what_was_removed_says_so(
    pool: Pool, reading: DocumentReading, objects: MemoryObjects
) -> None:
    old = await put_version(pool, "a")
    with pytest.raises(Removed, match="n'est plus conservé"):
        await reading.passage_in_document(DOC, old, 0, 4, None)
    await put_state(pool, "removed", later(5))
    with pytest.raises(Removed, match="a été retiré"):
        await reading.version(DOC, old, ["public"])
    new = await put_version(pool, "b", later(9))
    with pytest.raises(Removed) as told:
        await reading.version(DOC, old, ["public"])
    assert told.value.newest == new
    # The same content again is the version that is there.
    await put_version(pool, "a", later(12))
    assert (await reading.version(DOC, old, ["public"])).newest is None


async def test_a_removed_internal_document_is_not_betrayed(
    pool: Pool, reading: DocumentReading
) -> None:
    sha = await put_version(pool, audience="interne")
    await put_state(pool, "removed", later(5))
    with pytest.raises(NotFound):
        await reading.version(DOC, sha, ["public"])


ADA = Viewer(account="ada", name="Ada", roles=frozenset({"curator"}), pseudonym="a1")
INSIDE = ADA.model_copy(update={"account": "ines", "audiences": frozenset({"public", "interne"})})
OUTSIDE = ADA.model_copy(update={"account": "otto", "audiences": frozenset({"public"})})


class Desk:
    """The library as app.py wires it, with a clock that the test sets."""

    def __init__(self, pool: Pool, objects: MemoryObjects) -> None:
        self.pool = pool
        self.now = AT
        self.removed: list[DocumentRemoved] = []
        self.woken = 0
        self.library = Library(
            PostgresShelves(pool),
            StoredInbox(objects, most=1000),
            lambda: self.now,
            audiences=["public", "interne"],
            said=self._said,
            heard=self._heard,
        )

    def _said(self) -> None:
        self.woken += 1

    async def _heard(self, event: DocumentRemoved) -> None:
        self.removed.append(event)

    async def said(self) -> list[str]:
        rows = await self.pool.fetch("select event from feedback.outbox order by position")
        return [row["event"] for row in rows]


@pytest.fixture
def desk(pool: Pool, objects: MemoryObjects) -> Desk:
    return Desk(pool, objects)


def file(content: str = "Taux : 50 %.") -> io.BytesIO:
    return io.BytesIO(content.encode())


def form(**changes: Any) -> Form:
    return Form(**{"name": "guide.md", "collection": "aides", **changes})


GUIDE = document_id("aides", "guide.md")


async def test_a_file_waits_in_the_inbox_and_its_event_in_the_outbox(
    desk: Desk, objects: MemoryObjects
) -> None:
    handed = await desk.library.hand_in(ADA, form(title="Guide"), file())
    assert handed.document_id == GUIDE
    assert handed.size == 12
    (said,) = await desk.said()
    event = DocumentSubmitted.model_validate_json(said)
    assert objects.data[event.data.key or ""] == b"Taux : 50 %."
    assert event.data.key == f"inbox/feedback/{handed.sha256}"
    assert (event.data.name, event.data.title, event.data.audience) == (
        "guide.md",
        "Guide",
        "public",
    )
    assert desk.woken == 1
    entry = await desk.library.entry(OUTSIDE, GUIDE)
    assert (entry.status, entry.title, entry.reading_since) == ("reading", "Guide", AT)


@pytest.mark.parametrize(
    ("changes", "content", "why"),
    [
        ({"collection": "Aides été"}, "a", "collection"),
        ({"audience": "secret"}, "a", "public « secret »"),
        ({"name": "  "}, "a", "nom du fichier"),
        ({"name": "a" * 256}, "a", "nom du fichier"),
        ({}, "", "vide"),
        ({}, "a" * 1001, "limite"),
    ],
)
async def test_what_cannot_be_taken_is_refused_in_words(
    desk: Desk, objects: MemoryObjects, changes: dict[str, str], content: str, why: str
) -> None:
    with pytest.raises(Unacceptable, match=why):
        await desk.library.hand_in(ADA, form(**changes), file(content))
    assert not await desk.said()
    assert not objects.data


async def test_only_audiences_of_the_account_may_be_served(desk: Desk) -> None:
    assert desk.library.audiences(ADA) == ["interne", "public"]
    assert desk.library.audiences(OUTSIDE) == ["public"]
    with pytest.raises(Unacceptable):
        await desk.library.hand_in(OUTSIDE, form(audience="interne"), file())


async def test_a_name_of_another_audience_is_not_replaced_unseen(desk: Desk, pool: Pool) -> None:
    await put_version(pool, audience="interne", doc=GUIDE)
    with pytest.raises(Unacceptable, match="autre public"):
        await desk.library.hand_in(OUTSIDE, form(), file())
    for act in (
        desk.library.entry(OUTSIDE, GUIDE),
        desk.library.remove(OUTSIDE, GUIDE),
        desk.library.replace(OUTSIDE, GUIDE, file(), None),
    ):
        with pytest.raises(NotFound):
            await act
    assert not await desk.said()
    assert (await desk.library.hand_in(INSIDE, form(audience="interne"), file())).document_id


async def test_what_became_of_a_submission_is_shown(desk: Desk, pool: Pool) -> None:
    async def outcomes() -> list[tuple[str, str]]:
        found = await desk.library.shelves.recent(ADA, AT, 10)
        return [(recent.outcome, recent.detail) for recent in found]

    first = await desk.library.hand_in(ADA, form(), file("a"))
    assert await outcomes() == [("reading", "")]
    await put_version(pool, "a", first.submitted, doc=GUIDE)
    assert await outcomes() == [("indexed", "")]
    desk.now = later(1)
    await desk.library.hand_in(ADA, form(), file("%PDF"))
    assert (await desk.library.entry(ADA, GUIDE)).reading_since == later(1)
    await put_state(pool, "rejected", later(1), doc=GUIDE)
    assert await outcomes() == [("rejected", "Le PDF est abîmé."), ("indexed", "")]
    desk.now = later(2)
    # The content that is there is not read again, so nothing will be said of it.
    await desk.library.hand_in(ADA, form(), file("a"))
    assert (await outcomes())[0] == ("indexed", "")
    assert (await desk.library.entry(ADA, GUIDE)).reading_since is None
    desk.now = later(3)
    await desk.library.hand_in(ADA, form(), file("c"))
    await put_state(pool, "removed", later(4), doc=GUIDE)
    assert (await outcomes())[0] == ("superseded", "")
    assert not await desk.library.shelves.recent(OUTSIDE, AT, 10)


async def test_a_new_version_keeps_what_identifies_the_document(desk: Desk, pool: Pool) -> None:
    await put_version(pool, audience="interne", doc=GUIDE)
    # An address that was found in the content.
    await pool.execute("update feedback.document_versions set url = 'https://x.example'")
    again = await desk.library.replace(INSIDE, GUIDE, file("b"), "text/markdown")
    assert (again.document_id, again.name, again.url) == (GUIDE, "guide.md", None)
    assert again.audience == "interne"
    by_url = document_id("aides", "https://x.example")
    await put_version(pool, "u", doc=by_url)
    await pool.execute("update feedback.document_versions set url = 'https://x.example'")
    again = await desk.library.replace(INSIDE, by_url, file("b"), None)
    assert (again.document_id, again.url) == (by_url, "https://x.example")
    stray = uuid4()
    await put_version(pool, "s", doc=stray)
    with pytest.raises(Unacceptable, match="retirez-le"):
        await desk.library.replace(INSIDE, stray, file("b"), None)


async def test_a_removal_is_said_and_heard_at_once(desk: Desk, pool: Pool) -> None:
    await put_version(pool, doc=GUIDE)
    desk.now = later(5)
    assert (await desk.library.remove(ADA, GUIDE)).title == "Guide a"
    (event,) = desk.removed
    assert (event.data.document_id, event.data.removed) == (GUIDE, later(5))
    assert DocumentRemoved.model_validate_json((await desk.said())[0]) == event
    await put_state(pool, "removed", later(5), doc=GUIDE)
    await desk.library.remove(ADA, GUIDE)
    assert len(desk.removed) == 1


async def test_the_list_is_searched_and_counted(desk: Desk, pool: Pool) -> None:
    for n in range(5):
        await put_version(pool, f"n{n}", later(n), doc=uuid4())
    hidden = uuid4()
    await put_version(pool, "caché", later(9), audience="interne", doc=hidden)
    await desk.library.hand_in(ADA, form(collection="neuf"), file())
    shelves = desk.library.shelves

    async def titles(
        viewer: Viewer = OUTSIDE, limit: int = 10, offset: int = 0, **wish: Any
    ) -> str:
        found = await shelves.entries(viewer, Wish(**wish), limit, offset)
        return " ".join((entry.title or entry.name).removeprefix("Guide ") for entry in found)

    assert (
        await titles() == "n4 n3 n2 n1 n0 guide.md" or await titles() == "n4 n3 n2 n1 guide.md n0"
    )
    assert (await titles(INSIDE)).startswith("caché")
    assert await titles(collection="aides", limit=2, offset=1) == "n3 n2"
    assert await titles(status="reading") == "guide.md"
    assert await titles(text="GUIDE N3") == "n3"
    assert await titles(text="100%_") == ""
    counted = {shelf.collection: shelf.counts for shelf in await shelves.shelves(OUTSIDE, Wish())}
    assert counted == {"aides": {"indexed": 5}, "neuf": {"reading": 1}}
    assert not await shelves.versions(OUTSIDE, hidden)
    assert len(await shelves.versions(INSIDE, hidden)) == 1


async def test_drafts_that_cite_a_document_are_counted_and_listed(desk: Desk, pool: Pool) -> None:
    drafts = PostgresDrafts(pool)
    (ready,) = (event for event in samples.events() if isinstance(event, DraftReady))
    await drafts.save_draft(stored(ready), lambda *_: pytest.fail("withdrawn"))
    sha = await put_version(pool)
    shelves = desk.library.shelves
    assert ((await desk.library.entry(ADA, DOC)).waiting, sha) == (1, sha)
    await pool.execute("update feedback.drafts set outdated = cited")
    (entry,) = await shelves.entries(OUTSIDE, Wish(), 10, 0)
    assert (entry.waiting, entry.flagged) == (1, 1)
    (citing,) = await shelves.citing(ADA, DOC, 10)
    assert (citing.draft_id, citing.status, citing.flagged) == (samples.DRAFT, "waiting", True)
    elsewhere = ADA.model_copy(update={"mailboxes": frozenset({"autre"})})
    assert not await shelves.citing(elsewhere, DOC, 10)
    assert (await desk.library.entry(elsewhere, DOC)).waiting == 0
    await put_version(pool, "b", later(1), audience="interne")
    assert not await shelves.citing(OUTSIDE, DOC, 10)


MANY = """
set session_replication_role = replica;
insert into feedback.documents (document_id, state, collection, name, audience, submitted, sha256)
select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'indexed', 'c' || n % 20,
       'guide-' || n || '.pdf', 'public', now() - make_interval(mins => n), md5(n::text)
from generate_series(1, 10000) n;
insert into feedback.document_versions
select document_id, submitted - make_interval(days => v), md5(sha256 || v), collection, name, name,
       null, audience, 'application/pdf', 9, 'o', 't', 1, submitted
from feedback.documents, generate_series(0, 2) v;
insert into feedback.submissions
select gen_random_uuid(), document_id, collection, name, null, null, audience, sha256, 9, 'ada',
       submitted from feedback.document_versions;
set session_replication_role = origin;
analyze feedback.documents, feedback.document_versions, feedback.submissions;
"""


async def test_ten_thousand_documents_stay_quick(desk: Desk, pool: Pool) -> None:
    await pool.execute(MANY)
    took: dict[str, float] = {}

    async def timed(name: str, asked: Awaitable[T]) -> T:
        began = time.perf_counter()
        found = await asked
        took[name] = round(time.perf_counter() - began, 3)
        return found

    shelves = desk.library.shelves
    assert len(await timed("list", shelves.entries(OUTSIDE, Wish(), 51, 100))) == 51
    (one,) = await timed("search", shelves.entries(OUTSIDE, Wish(text="guide-4711."), 51, 0))
    assert len(await timed("shelves", shelves.shelves(OUTSIDE, Wish()))) == 20
    assert await timed("one", shelves.entry(OUTSIDE, one.document_id)) == one
    assert len(await timed("versions", shelves.versions(OUTSIDE, one.document_id))) == 3
    assert len(await timed("recent", shelves.recent(ADA, later(-1e6), 50))) == 50
    reading = DocumentReading(PostgresVersions(pool), MemoryObjects())
    with pytest.raises(NotFound):
        await timed("source", reading.version(one.document_id, "0" * 16, ["public"]))
    assert max(took.values()) < 2, took
    assert max(took[name] for name in ("one", "versions")) < 0.2, took
