"""The library of the desk on a real PostgreSQL: what is shown of documents, and to whom."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.feedback.adapters.document_text import PostgresVersions
from services.feedback.reading_documents import DocumentReading, Removed
from services.feedback.reviewing import NotFound
from shared import settings
from shared.identity import sha256
from shared.objects import MemoryObjects
from shared.postgres import Pool, open_pool
from tests import samples

TABLES = "mails, drafts, passages, documents, document_versions, submissions, outbox"
AT = samples.AT
DOC = samples.DOCUMENT


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
    # The event of the refusal says "public" for want of knowing.
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


async def test_a_refusal_of_unknown_audience_is_for_nobody_in_particular(pool: Pool) -> None:
    await put_state(pool, "rejected")
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
