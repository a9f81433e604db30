"""Each rebuild is one of its own to the broker, which drops a message id seen in 10 minutes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from services.ingest.service import DocumentIntake
from shared.document_events import DocumentSubmitted, DocumentSubmittedData
from shared.objects import MemoryObjects
from tests.fakes.intake_memory import DirectReader, MemoryIntake, WordCounter

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def ticking() -> Iterator[datetime]:
    now = AT
    while True:
        yield (now := now + timedelta(seconds=1))


async def test_a_second_rebuild_is_not_taken_for_the_first() -> None:
    clock = ticking()
    intake = DocumentIntake(
        MemoryObjects(),
        DirectReader(WordCounter()),
        MemoryIntake(),
        lambda: next(clock),
        fingerprint="test",
        max_bytes=1 << 20,
    )
    for name in ("a.md", "b.md"):
        content = base64.b64encode(f"# {name}\n\nLe taux est de 80 %.\n".encode())
        data = DocumentSubmittedData(
            name=name, collection="default", submitted=AT, content=content, key=None
        )
        submitted = DocumentSubmitted.make(source="t", subject=name, time=AT, data=data, id=uuid4())
        assert await intake.take(submitted) is not None

    first = [event.id async for event in intake.rebuild("e5")]
    second = [event.id async for event in intake.rebuild("e5")]
    assert len({*first, *second}) == 4
