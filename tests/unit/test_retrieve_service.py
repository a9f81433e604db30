"""An e-mail's questions in, passages out; documents in and out; on the embedded index."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.retrieve import evidence
from services.retrieve.adapters.french_terms import term_indices
from services.retrieve.adapters.qdrant_edge import EdgeIndex
from services.retrieve.api import build_api
from services.retrieve.indexing import IndexingService
from services.retrieve.service import SearchService
from services.retrieve.vectorfile import read_points
from services.retrieve.versions import embedded_state
from shared.delivery import Invalid, Unavailable
from shared.events import MailEmbedded, MailEmbeddedData
from shared.identity import stable_id
from shared.objects import MemoryObjects, Missing
from shared.queries import EmbedAnswer, EmbedQuery, SearchQuery
from shared.settings import Retrieval
from tests import samples
from tests.fakes.index import (
    AT,
    DIMENSION,
    block,
    embedded,
    question_vectors,
    removed,
)

pytest_plugins = ["tests.fakes.index_fixtures"]


@dataclass
class World:
    index: EdgeIndex
    objects: MemoryObjects
    indexing: IndexingService
    search: SearchService
    embedding: str = "e1"

    async def add(self, name: str, *texts: str, embedding: str = "e1", **options: object) -> bool:
        document = block(name, "|".join(texts), **options)  # type: ignore[arg-type]
        event = embedded(self.objects, document, texts, embedding=embedding)
        return (await self.indexing.take_document(event)).data.live


@pytest.fixture
async def world(folder: Path) -> AsyncIterator[World]:
    index, objects = EdgeIndex(folder), MemoryObjects()
    await index.open()
    indexing = IndexingService(index, objects, clock=lambda: AT)

    async def embed(query: EmbedQuery) -> EmbedAnswer:
        vectors = tuple(question_vectors(text) for text in query.texts)
        return EmbedAnswer(vectors=vectors, embedding=made.embedding)

    ticks = iter(range(10**6))
    search = SearchService(
        index,
        Retrieval(passages=4, candidates=20),
        generic_terms=term_indices(evidence.GENERIC),
        embed=embed,
        switch=indexing.switch_when_filled,
        clock=lambda: AT,
        timer=lambda: float(next(ticks)),
    )
    made = World(index, objects, indexing, search)
    yield made
    await index.close()


def mail(
    *questions: str, embedding: str = "e1", audiences: tuple[str, ...] = ("public",)
) -> MailEmbedded:
    block = samples.MAIL.model_copy(update={"questions": questions, "audiences": audiences})
    data = MailEmbeddedData(
        mail=block, vectors=tuple(map(question_vectors, questions)), embedding=embedding
    )
    return MailEmbedded.make(
        source="embed", subject="m", time=AT, id=stable_id("m", *questions), data=data
    )


async def test_mail_with_two_questions(world: World) -> None:
    await world.add("a.md", "isolation des combles", "chaudière à granulés", "étude préalable")
    event = mail("quelle isolation des combles", "quelle chaudière à granulés")
    said = await world.search.take_mail(event)
    data = said.data
    assert [p.text for p in data.passages[:2]] == ["isolation des combles", "chaudière à granulés"]
    by_text = {p.text: p for p in data.passages}
    assert by_text["isolation des combles"].questions[0] == 0
    assert by_text["chaudière à granulés"].questions[0] == 1
    best = data.passages[0]
    assert best.title == "a.md"
    assert best.heading_path == ("Partie",)
    assert best.version.submitted == AT
    assert best.scores.dense is not None
    assert best.scores.bm25 is not None
    assert len(data.question_evidence) == 2
    assert data.evidence == max(data.question_evidence)
    assert data.mail == event.data.mail
    assert data.timings == {"retrieve": 1.0}
    assert (await world.search.take_mail(event)).id == said.id, "a redelivery says the same event"


async def test_answered_and_unanswered_questions_are_told_apart(world: World) -> None:
    await world.add("a.md", "la crèche municipale est éligible au prêt")
    await world.add("b.md", "le calendrier des dépôts paraît chaque année")
    event = mail("la crèche municipale est éligible", "renouveler mon passeport biométrique")
    said = await world.search.take_mail(event)
    answered, unanswered = said.data.question_evidence
    assert answered > unanswered


async def test_an_email_in_another_language_is_searched_by_meaning_alone(world: World) -> None:
    await world.add("a.md", "isolation des combles", "chaudière à granulés")
    event = mail("quelle isolation des combles")
    block = event.data.mail.model_copy(update={"language": "en"})
    foreign = event.model_copy(update={"data": event.data.model_copy(update={"mail": block})})
    said = await world.search.take_mail(event)
    told = await world.search.take_mail(foreign)
    assert told.data.passages[0].text == "isolation des combles"
    assert told.data.retrieval != said.data.retrieval


async def test_empty_index_gives_no_passage_and_no_evidence(world: World) -> None:
    said = await world.search.take_mail(mail("quelle aide", "quel prêt"))
    assert said.data.passages == ()
    assert said.data.evidence == 0
    assert said.data.question_evidence == (0.0, 0.0)


async def test_audience_of_the_mailbox(world: World) -> None:
    await world.add("secret.md", "barème interne des aides", audience="agents")
    closed = await world.search.take_mail(mail("barème des aides"))
    assert closed.data.passages == ()
    opened = await world.search.take_mail(mail("barème des aides", audiences=("agents",)))
    assert opened.data.passages[0].audience == "agents"


async def test_search_request(world: World) -> None:
    await world.add("a.md", *(f"isolation numéro {n}" for n in range(10)))
    for method in ("dense", "bm25", "hybrid", None):
        query = SearchQuery(question="isolation", limit=10, method=method)  # type: ignore[arg-type]
        answer = await world.search.search(query)
        assert len(answer.passages) == 10
        assert answer.embedding == "e1"
    prints = {
        world.search.fingerprint("e1", method, limit)
        for method in ("dense", "bm25")
        for limit in (4, 8)
    }
    assert len(prints) == 4


async def test_reranking_without_a_reranker_is_refused(world: World) -> None:
    with pytest.raises(Invalid, match="needs a cross-encoder, and none is configured"):
        await world.search.search(SearchQuery(question="x", method="hybrid+rerank"))


async def test_new_embedder_fills_beside_the_old_and_then_serves(world: World) -> None:
    await world.add("a.md", "isolation des combles")
    await world.add("b.md", "chaudière à granulés")
    await world.add("c.md", "étude préalable")
    await world.indexing.take_removal(removed(block("c.md", "").document_id, 5))
    await world.add("a.md", "isolation des combles", embedding="e2")
    assert await world.index.served() == ("e1",)
    with pytest.raises(Unavailable, match=r"embedding e2 is not filled yet.*index rebuild"):
        await world.search.take_mail(mail("isolation", embedding="e2"))
    assert (await world.search.take_mail(mail("isolation"))).data.passages
    await world.add("b.md", "chaudière à granulés", embedding="e2")
    assert await world.index.served() == ("e2", "e1"), "all that is live is there"
    said = await world.search.take_mail(mail("isolation", embedding="e2"))
    assert said.data.passages[0].text == "isolation des combles"
    late = await world.search.take_mail(mail("isolation"))
    assert late.data.passages, "mail embedded before the switch is still answered"


async def test_older_version_in_the_new_collection_does_not_count(world: World) -> None:
    await world.add("a.md", "isolation", minute=5)
    await world.add("a.md", "isolation", minute=1, embedding="e2")
    assert await world.index.served() == ("e1",)


async def test_document_indexed_says_what_happened(world: World) -> None:
    event = embedded(world.objects, block("a.md", "x", 3), ["règle une", "règle deux"])
    said = await world.indexing.take_document(event)
    assert (said.data.count, said.data.embedding, said.data.live) == (2, "e1", True)
    assert said.data.document == event.data.document
    again = await world.indexing.take_document(event)
    assert again.id == said.id
    assert await world.add("a.md", "vieille règle", minute=2) is False


async def test_missing_vector_file(world: World) -> None:
    event = embedded(world.objects, block("a.md", "x"), ["règle"])
    world.objects.data.clear()
    with pytest.raises(Missing):
        await world.indexing.take_document(event)


@pytest.mark.parametrize(
    ("body", "count", "dimension", "reason"),
    [
        (b"PAR1 not at all", 2, DIMENSION, "no readable Parquet"),
        (b"", 2, DIMENSION, "no readable Parquet"),
        (None, 3, DIMENSION, "2 rows, the event says 3"),
        (None, 2, DIMENSION + 1, f"do not have {DIMENSION + 1} values each"),
    ],
)
def test_bad_vector_files(body: bytes | None, count: int, dimension: int, reason: str) -> None:
    objects = MemoryObjects()
    event = embedded(objects, block("a.md", "x"), ["règle une", "règle deux"])
    good = objects.data[event.data.vectors_key]
    data = event.data.model_copy(update={"count": count})
    state = embedded_state(event.model_copy(update={"data": data}))
    with pytest.raises(Invalid, match=reason):
        read_points(good if body is None else body, event.data.document, state, dimension=dimension)


def test_vector_file_without_a_column_or_with_a_zero_vector() -> None:
    objects = MemoryObjects()
    event = embedded(objects, block("a.md", "x"), ["règle une", "règle deux"])
    table = pq.read_table(io.BytesIO(objects.data[event.data.vectors_key]))

    def written(changed: object) -> bytes:
        sink = io.BytesIO()
        pq.write_table(changed, sink)
        return sink.getvalue()

    state = embedded_state(event)
    lacking = written(table.drop_columns(["text"]))
    with pytest.raises(Invalid, match="lacks the columns text"):
        read_points(lacking, event.data.document, state, dimension=DIMENSION)
    zero = pa.FixedSizeListArray.from_arrays(
        pa.array([0.0] * (2 * DIMENSION), pa.float32()), DIMENSION
    )
    spot = table.column_names.index("dense")
    zeroed = written(table.set_column(spot, "dense", zero))
    with pytest.raises(Invalid, match="zero or not finite"):
        read_points(zeroed, event.data.document, state, dimension=DIMENSION)


async def test_http_says_what_the_index_holds(world: World) -> None:
    await world.add("a.md", "un", "deux")
    await world.add("b.md", "trois", collection="aides")
    await world.add("a.md", "un", "deux", embedding="e2")
    gone = block("c.md", "x")
    await world.indexing.take_removal(removed(gone.document_id, 5))
    app = build_api(world.index, world.indexing)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://retrieve") as client:
        held = (await client.get("/v1/index")).json()
        assert held["serving"] == "e1"
        assert held["embeddings"][0] == {
            "embedding": "e1",
            "documents": 2,
            "passages": 3,
            "collections": {
                "aides": {"documents": 1, "passages": 1},
                "default": {"documents": 1, "passages": 2},
            },
        }
        document = block("a.md", "").document_id
        state = (await client.get(f"/v1/index/document/{document}")).json()["embeddings"]["e1"]
        assert state == {"state": "live", "submitted": AT.isoformat(), "passages": 2}
        state = (await client.get(f"/v1/index/document/{gone.document_id}")).json()
        assert state["embeddings"]["e1"]["state"] == "removed"
        unknown = (await client.get(f"/v1/index/document/{stable_id('x')}")).json()
        assert unknown["embeddings"]["e1"] == {"state": "unknown"}
        assert (await client.get("/v1/index/document/42")).status_code == 422
        refused = await client.post("/v1/index/switch?embedding=e9")
        assert refused.status_code == 422
        assert "there are: e1, e2" in refused.json()["detail"]
        assert (await client.delete("/v1/index?embedding=e1")).status_code == 422
        switched = await client.post("/v1/index/switch?embedding=e2")
        assert switched.json()["serving"] == "e2"
        left = (await client.delete("/v1/index?embedding=e1")).json()
        assert [each["embedding"] for each in left["embeddings"]] == ["e2"]
        assert (await client.delete("/v1/index")).status_code == 422
