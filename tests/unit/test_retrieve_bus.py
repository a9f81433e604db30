"""retrieve as it is composed, on a real broker, a real S3 store and the embedded index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.retrieve.app import build
from shared import admin, topology
from shared.bus import Bus
from shared.delivery import Invalid
from shared.document_events import DocumentIndexed
from shared.events import ContextRetrieved
from shared.objects import MemoryObjects, S3Objects
from shared.queries import EmbedAnswer, EmbedQuery, SearchAnswer, SearchQuery
from shared.settings import Objects, Retrieval, Settings
from tests.broker.conftest import Desk, NatsServer, config, desk, eventually, server
from tests.fakes.index import block, embedded, question_vectors, removed
from tests.unit.test_retrieve_service import mail

__all__ = ["config", "desk", "server"]  # fixtures of the broker's tests
pytest_plugins = ["tests.fakes.index_fixtures"]


@pytest.fixture
async def asker(server: NatsServer, s3: Objects, folder: Path) -> AsyncIterator[Bus]:
    """retrieve and a stand-in for embed run; the bus is that of a third service."""
    whole = Settings(
        nats={"url": server.url},  # type: ignore[arg-type]  # pydantic reads it
        objects=s3,
        retrieval=Retrieval(path=folder / "index"),
        streams={"max_bytes": 16 * 1024 * 1024},  # type: ignore[arg-type]  # pydantic reads it
    )
    await admin.apply(whole, topology.stages_of("retrieve"))
    retrieve, embed, other = (Bus(name, whole) for name in ("retrieve", "embed", "feedback"))

    @embed.answers(EmbedQuery)
    async def answer(query: EmbedQuery) -> EmbedAnswer:
        vectors = tuple(question_vectors(text) for text in query.texts)
        return EmbedAnswer(vectors=vectors, embedding="e1")

    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(build(whole, retrieve))
        assert set(parts.needs) == {"index", "objects"}
        for bus in (retrieve, embed, other):
            await bus.connect()
            await bus.start()
            stack.push_async_callback(bus.stop)
        yield other


async def test_documents_in_questions_out(asker: Bus, desk: Desk, s3: Objects) -> None:
    store, memory = S3Objects(s3), MemoryObjects()
    event = embedded(memory, block("a.md", "x", 1), ["isolation des combles", "chaudière"])
    await store.put(event.data.vectors_key, memory.data[event.data.vectors_key])
    await asker.say(event)
    await eventually(lambda: desk.bodies("DOCUMENT", "document.indexed.>"))
    (body,) = await desk.bodies("DOCUMENT", "document.indexed.>")
    assert DocumentIndexed.model_validate_json(body).data.live
    answer = await asker.ask(SearchQuery(question="isolation des combles"), SearchAnswer)
    assert answer.passages[0].text == "isolation des combles"
    with pytest.raises(Invalid, match="cross-encoder"):
        await asker.ask(SearchQuery(question="x", method="hybrid+rerank"), SearchAnswer)
    await asker.say(mail("isolation des combles"))
    await eventually(lambda: desk.bodies("MAIL", "context.retrieved.>"))
    (body,) = await desk.bodies("MAIL", "context.retrieved.>")
    context = ContextRetrieved.model_validate_json(body)
    assert context.data.passages[0].text == "isolation des combles"
    await asker.say(removed(event.data.document.document_id, 5))

    async def gone() -> bool:
        left = await asker.ask(SearchQuery(question="isolation"), SearchAnswer)
        return not left.passages

    await eventually(gone)


async def test_document_without_its_vector_file_is_a_dead_letter(
    asker: Bus,
    desk: Desk,
) -> None:
    await asker.say(embedded(MemoryObjects(), block("b.md", "x", 1), ["isolation"]))
    await eventually(lambda: desk.dead())
    (letter,) = await desk.dead()
    assert letter.data.stage == "retrieve-document"
    assert "no object 'vectors/e1/" in letter.data.reason
