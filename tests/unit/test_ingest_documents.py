"""Documents: once per content, newest version wins, removal removes, refusals say why."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

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
    return DocumentIntake(
        objects,
        DirectReader(WordCounter()),
        MemoryIntake(),
        lambda: AT,
        fingerprint="test",
        max_bytes=INLINE_LIMIT,
    )


def submitted(
    body: bytes = BODY, minutes: int = 0, key: str | None = None, **fields: str
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
    return DocumentSubmitted.make(source="test", subject="x", time=AT, data=data, id=uuid4())


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
    intake: DocumentIntake, fields: dict[str, str]
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


async def test_over_the_limit(intake: DocumentIntake, objects: MemoryObjects) -> None:
    objects.data["inbox/x"] = b"a" * (INLINE_LIMIT + 1)
    answer = await intake.take(submitted(key="inbox/x"))
    assert isinstance(answer, DocumentRejected)
    assert answer.data.code == "too-large"


async def test_missing_object(intake: DocumentIntake) -> None:
    with pytest.raises(Missing):
        await intake.take(submitted(key="inbox/none"))
