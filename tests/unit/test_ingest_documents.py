"""Documents: once per content, newest version wins, removal removes, refusals say why."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pyarrow.parquet as pq
import pytest

from services.ingest.service import DocumentIntake
from shared.document_events import (
    DocumentChunked,
    DocumentRejected,
    DocumentRemoved,
    DocumentRemovedData,
    DocumentSubmitted,
    DocumentSubmittedData,
)
from shared.envelope import INLINE_LIMIT
from shared.identity import document_id, passage_id
from shared.objects import MemoryObjects, Missing
from tests.fakes.intake_memory import DirectReader, MemoryIntake, WordCounter

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
BODY = b"# Guide\n\n## Taux\n\nLe taux est de 80 %.\n\n## Calendrier\n\n" + b"Une phrase. " * 80
Submit = Callable[..., DocumentSubmitted]


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def intake(objects: MemoryObjects) -> DocumentIntake:
    return an_intake(objects)


def an_intake(objects: MemoryObjects) -> DocumentIntake:
    return DocumentIntake(
        objects,
        DirectReader(WordCounter()),
        MemoryIntake(),
        lambda: AT,
        fingerprint="test",
        max_bytes=INLINE_LIMIT,
    )


def submitted(
    body: bytes = BODY,
    minutes: int = 0,
    key: str | None = None,
    event_id: UUID | None = None,
    **fields: Any,
) -> DocumentSubmitted:
    data = DocumentSubmittedData.model_validate(
        {
            "name": "guide.md",
            "collection": "default",
            "submitted": AT + timedelta(minutes=minutes),
            "content": None if key else base64.b64encode(body),
            "key": key,
            **fields,
        }
    )
    return DocumentSubmitted.make(
        source="test", subject="x", time=AT, data=data, id=event_id or uuid4()
    )


def removed(minutes: int = 0) -> DocumentRemoved:
    data = DocumentRemovedData(
        collection="default",
        document_id=document_id("default", "guide.md"),
        removed=AT + timedelta(minutes=minutes),
    )
    return DocumentRemoved.make(source="test", subject="x", time=AT, data=data, id=uuid4())


async def taken(intake: DocumentIntake, event: DocumentSubmitted) -> DocumentChunked:
    answer = await intake.take(event)
    assert isinstance(answer, DocumentChunked)
    return answer


async def test_files_of_a_document(intake: DocumentIntake, objects: MemoryObjects) -> None:
    said = (await taken(intake, submitted())).data
    block = said.document
    assert (block.title, block.media_type, block.size) == ("Guide", "text/markdown", len(BODY))
    assert objects.data[block.original_key] == BODY
    text = json.loads(objects.data[block.text_key])
    rows = pq.read_table(io.BytesIO(objects.data[said.chunks_key])).to_pylist()
    assert len(rows) == said.count > 2
    for ordinal, row in enumerate(rows):
        assert row["text"] == text["text"][row["start"] : row["end"]]
        expected = passage_id(block.document_id, block.version.sha256, ordinal)
        assert row["passage_id"] == str(expected)
    assert rows[-1]["heading_path"] == ["Calendrier"]
    assert rows[-1]["page"] is None


async def test_redelivery_says_the_same_again(intake: DocumentIntake) -> None:
    event = submitted()
    assert await intake.take(event) == await intake.take(event)


async def test_same_content_twice_is_nothing_new(intake: DocumentIntake) -> None:
    await taken(intake, submitted())
    assert await intake.take(submitted(minutes=5)) is None


@pytest.mark.parametrize("fields", [{"audience": "agents"}, {"title": "Autre titre"}])
async def test_other_description_is_a_new_version(
    intake: DocumentIntake, fields: dict[str, Any]
) -> None:
    await taken(intake, submitted())
    block = (await taken(intake, submitted(minutes=5, **fields))).data.document
    assert {"audience": block.audience, "title": block.title}.items() >= fields.items()


async def test_newest_submission_wins_in_any_order(intake: DocumentIntake) -> None:
    new = await taken(intake, submitted(BODY + b"fin", minutes=5))
    assert await intake.take(submitted()) is None
    assert [event.data async for event in intake.rebuild("e5")] == [new.data]


async def test_removal_deletes_and_stays(intake: DocumentIntake, objects: MemoryObjects) -> None:
    await taken(intake, submitted())
    await intake.remove(removed(minutes=1))
    assert [key for key in objects.data if not key.endswith("catalogue.json")] == []
    assert await intake.take(submitted(minutes=1)) is None
    assert [event async for event in intake.rebuild("e5")] == []
    await taken(intake, submitted(minutes=2))
    await intake.remove(removed(minutes=1))
    assert len([event async for event in intake.rebuild("e5")]) == 1


async def test_same_content_wins_over_a_removal_still_on_its_way(
    intake: DocumentIntake, objects: MemoryObjects
) -> None:
    first = await taken(intake, submitted())
    assert await intake.take(submitted(minutes=2)) is None
    again = await intake.remove(removed(minutes=1))
    # Others heard of the version of minute 0 only, and took it away.
    assert isinstance(again, DocumentChunked)
    assert again.data.document.version.submitted == AT + timedelta(minutes=2)
    assert again.data.chunks_key == first.data.chunks_key
    assert again.id != first.id
    assert {first.data.chunks_key, first.data.document.original_key} <= set(objects.data)
    assert [event.data async for event in intake.rebuild("e5")] == [again.data]


async def test_older_removal_does_not_bring_a_tombstone_back(intake: DocumentIntake) -> None:
    await intake.remove(removed(minutes=3))
    await intake.remove(removed(minutes=1))
    assert await intake.take(submitted(minutes=2)) is None


class Crossing(MemoryObjects):
    """Begins `other` while a key that contains `at` is written, or keys are listed."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self._at = at
        self.other: Callable[[], Coroutine[None, None, object]] | None = None
        self.begun: asyncio.Task[object] | None = None

    async def put(
        self, key: str, data: bytes, media_type: str = "application/octet-stream"
    ) -> None:
        await super().put(key, data, media_type)
        await self._cross(key)

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        await self._cross("listing")
        async for key in super().keys(prefix):
            yield key

    async def _cross(self, what: str) -> None:
        if self.other is not None and self.begun is None and self._at in what:
            self.begun = asyncio.create_task(self.other())
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("at", [".parquet", "listing"])
async def test_version_that_crosses_an_older_removal_keeps_its_files(at: str) -> None:
    objects = Crossing(at)
    intake = an_intake(objects)
    await taken(intake, submitted())
    new = submitted(BODY + b"fin", minutes=2)
    if at == "listing":
        objects.other = lambda: intake.take(new)
        await intake.remove(removed(minutes=1))
    else:
        objects.other = lambda: intake.remove(removed(minutes=1))
        await intake.take(new)
    assert objects.begun is not None
    await objects.begun
    live = [event.data async for event in intake.rebuild("e5")]
    assert len(live) == 1
    block = live[0].document
    assert {live[0].chunks_key, block.original_key, block.text_key} <= set(objects.data)


async def test_one_event_id_for_two_documents_loses_none(intake: DocumentIntake) -> None:
    same = uuid4()
    first = await taken(intake, submitted(event_id=same))
    other = await taken(intake, submitted(event_id=same, name="autre.md"))
    changed = await taken(intake, submitted(BODY + b"fin", minutes=1, event_id=same))
    assert len({first.id, other.id, changed.id}) == 3
    assert changed.data.document.version.sha256 != first.data.document.version.sha256
    refused = [
        await intake.take(submitted(b"%PDF-1.7", event_id=same, name=name))
        for name in ("a.pdf", "b.pdf")
    ]
    assert all(isinstance(answer, DocumentRejected) for answer in refused)
    assert len({answer.id for answer in refused if answer}) == 2


async def test_long_title_twice_is_nothing_new(intake: DocumentIntake) -> None:
    title = "Guide des aides aux communes " * 10
    await taken(intake, submitted(title=title))
    assert await intake.take(submitted(minutes=5, title=title)) is None


async def test_rebuild_has_an_id_per_embedding(intake: DocumentIntake) -> None:
    await taken(intake, submitted())
    ids = [[event.id async for event in intake.rebuild(embedding)] for embedding in ("a", "a", "b")]
    assert ids[0] == ids[1] != ids[2]


async def test_refusal_keeps_the_live_version(intake: DocumentIntake) -> None:
    live = await taken(intake, submitted())
    answer = await intake.take(submitted(b"%PDF-1.7 broken", minutes=5))
    assert isinstance(answer, DocumentRejected)
    assert (answer.data.code, answer.data.name) == ("broken", "guide.md")
    assert "endommagé" in answer.data.detail
    assert [event.data async for event in intake.rebuild("e5")] == [live.data]


class Reads(MemoryObjects):
    """Notes how much of each object a reader would take."""

    def __init__(self) -> None:
        super().__init__()
        self.at_most: dict[str, int | None] = {}

    async def get(self, key: str, at_most: int | None = None) -> bytes:
        self.at_most[key] = at_most
        return await super().get(key, at_most)


async def test_over_the_limit_is_not_even_read() -> None:
    objects = Reads()
    objects.data["inbox/x"] = b"a" * (INLINE_LIMIT + 1)
    answer = await an_intake(objects).take(submitted(key="inbox/x"))
    assert isinstance(answer, DocumentRejected)
    assert answer.data.code == "too-large"
    assert "limite de 0.25 Mio" in answer.data.detail
    assert objects.at_most["inbox/x"] == INLINE_LIMIT


async def test_missing_object(intake: DocumentIntake) -> None:
    with pytest.raises(Missing):
        await intake.take(submitted(key="inbox/none"))
