"""embed's use cases on a store in memory and a small encoder: files, events, repetition."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.embed.adapters.bm25 import FrenchBm25
from services.embed.cache import VectorCache
from services.embed.dispatch import Dispatcher
from services.embed.files import COLUMNS
from services.embed.fingerprints import EmbeddingRecipe
from services.embed.service import EmbedService
from shared.delivery import Invalid
from shared.document_events import (
    DocumentChunked,
    DocumentChunkedData,
    DocumentRemoved,
    DocumentRemovedData,
)
from shared.events import MailAccepted, OfMail
from shared.identity import passage_id, stable_id
from shared.objects import MemoryObjects, Missing
from shared.queries import EmbedQuery
from tests.fakes.encoder import HashEncoder
from tests.samples import AT, BLOCK, MAIL

RECIPE = EmbeddingRecipe("fake/Hash Encoder", "m1", 384, 512, "query: ", "passage: ", {"k": 1.2})
KEY = f"chunks/{BLOCK.document_id}/{BLOCK.version.sha256}-cut1.parquet"
TEXTS = ["L'étude préalable est financée à 50 %.", "Le dossier se dépose en ligne.", "Annexe"]


class Counting(HashEncoder):
    """Says how many texts it was given."""

    texts = 0

    def tokenise(self, texts: Any) -> list[list[int]]:
        self.texts += len(texts)
        return super().tokenise(texts)


class World:
    """The service and what is around it."""

    def __init__(self, encoder: Counting, dispatcher: Dispatcher) -> None:
        self.encoder = encoder
        self.objects = MemoryObjects()
        self.ticks = iter(range(1000))
        self.service = EmbedService(
            self.objects,
            dispatcher,
            FrenchBm25(),
            RECIPE,
            clock=lambda: AT,
            timer=lambda: float(next(self.ticks)),
        )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    encoder = Counting()
    with ThreadPoolExecutor(1) as thread:
        async with Dispatcher(encoder, thread) as dispatcher:
            built = World(encoder, dispatcher)
            yield built
            await built.service.close()


def chunk_file(texts: list[str | None], **columns: Any) -> bytes:
    """A chunk file as ingest writes it."""
    size = len(texts)
    data = {
        "passage_id": [str(passage_id(BLOCK.document_id, "x", n)) for n in range(size)],
        "ordinal": list(range(size)),
        "text": texts,
        "heading_path": [["Financement", "Études"]] * size,
        "page": [None] * size,
        "start": [0] * size,
        "end": [len(t or "") for t in texts],
        "tokens": [len((t or "").split()) for t in texts],
    } | columns
    schema = pa.schema([COLUMNS.field(n).with_nullable(True) for n in COLUMNS.names])
    sink = io.BytesIO()
    pq.write_table(pa.table({k: pa.array(v, schema.field(k).type) for k, v in data.items()}), sink)
    return sink.getvalue()


def chunked(count: int = len(TEXTS)) -> DocumentChunked:
    return DocumentChunked.make(
        source="ingest",
        subject=str(BLOCK.document_id),
        time=AT,
        id=stable_id("chunked", KEY),
        data=DocumentChunkedData(document=BLOCK, chunks_key=KEY, count=count),
    )


async def test_a_document_becomes_a_vector_file(world: World) -> None:
    world.objects.data[KEY] = chunk_file(list(TEXTS))
    said = await world.service.embed_document(chunked())
    assert said is not None
    fingerprint = RECIPE.fingerprint()
    assert fingerprint.startswith("hash-encoder-")
    assert said.data.vectors_key == (
        f"vectors/{fingerprint}/{BLOCK.document_id}/{BLOCK.version.sha256}-cut1.parquet"
    )
    assert (said.data.count, said.data.dimension, said.data.embedding) == (3, 384, fingerprint)
    assert said.data.timings["embed"] > 0
    table = pq.read_table(io.BytesIO(world.objects.data[said.data.vectors_key]))
    names = [*COLUMNS.names, "dense", "sparse_indices", "sparse_values"]
    assert table.column_names == names
    assert table.schema.field("dense").type == pa.list_(pa.float32(), 384)
    assert table.column("text").to_pylist() == TEXTS
    dense = np.array(table.column("dense").to_pylist())
    np.testing.assert_allclose(np.linalg.norm(dense, axis=1), 1, atol=1e-6)
    seen = f"{BLOCK.title} > Financement > Études\n{TEXTS[1]}"
    expected = world.encoder.encode(world.encoder.tokenise([f"passage: {seen}"]))[0]
    np.testing.assert_allclose(dense[1], expected, atol=1e-6)
    (terms,) = FrenchBm25().encode([seen], "passage")
    assert tuple(table.column("sparse_indices")[1].as_py()) == terms.indices
    np.testing.assert_allclose(table.column("sparse_values")[1].as_py(), terms.values)


async def test_a_repeated_event_says_the_same_without_encoding_again(world: World) -> None:
    world.objects.data[KEY] = chunk_file(list(TEXTS))
    first = await world.service.embed_document(chunked())
    encoded = world.encoder.texts
    again = await world.service.embed_document(chunked())
    assert first is not None
    assert again is not None
    assert again.id == first.id
    assert again.data.vectors_key == first.data.vectors_key
    assert world.encoder.texts == encoded


async def test_a_handler_out_of_time_finds_its_work_when_the_event_comes_again(
    world: World,
) -> None:
    world.objects.data[KEY] = chunk_file(list(TEXTS) * 50)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.service.embed_document(chunked(150)), 0.001)
    said = await world.service.embed_document(chunked(150))
    assert said is not None
    assert said.data.vectors_key in world.objects.data
    assert world.encoder.texts == 150


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no readable Parquet"),
        (b"PAR1 is not enough", "no readable Parquet"),
        (chunk_file(["a", None, "c"]), "no text in row 1"),
        (chunk_file(["a", "b"]), "has 2 chunks, the event says 3"),
        (chunk_file([]), "has 0 chunks, the event says 3"),
    ],
)
async def test_a_bad_chunk_file_is_invalid_and_says_why(
    world: World, body: bytes, reason: str
) -> None:
    world.objects.data[KEY] = body
    with pytest.raises(Invalid, match=reason):
        await world.service.embed_document(chunked())


async def test_a_column_of_another_type_or_missing_is_invalid(world: World) -> None:
    table = pa.table({"text": ["a", "b", "c"]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    world.objects.data[KEY] = sink.getvalue()
    with pytest.raises(Invalid, match="no column passage_id, ordinal"):
        await world.service.embed_document(chunked())


async def test_a_missing_chunk_file_is_invalid_unless_the_document_was_removed(
    world: World,
) -> None:
    with pytest.raises(Missing):
        await world.service.embed_document(chunked())
    catalogue = f"documents/{BLOCK.document_id}/catalogue.json"
    world.objects.data[catalogue] = json.dumps({"chunked": {"count": 3}}).encode()
    with pytest.raises(Missing):
        await world.service.embed_document(chunked())
    world.objects.data[catalogue] = json.dumps({"chunked": None, "removed": "x"}).encode()
    assert await world.service.embed_document(chunked()) is None


def removal(after: timedelta) -> DocumentRemoved:
    data = DocumentRemovedData(
        collection=BLOCK.collection,
        document_id=BLOCK.document_id,
        removed=BLOCK.version.submitted + after,
    )
    return DocumentRemoved.make(source="test", subject="x", time=AT, data=data, id=uuid4())


async def test_a_removed_document_leaves_no_vectors_of_any_embedding(world: World) -> None:
    world.objects.data[KEY] = chunk_file(list(TEXTS))
    assert await world.service.embed_document(chunked()) is not None
    other = f"vectors/earlier/{BLOCK.document_id}/a.parquet"
    neighbour = f"vectors/earlier/{uuid4()}/a.parquet"
    world.objects.data |= {other: b"x", neighbour: b"x"}
    catalogue = f"documents/{BLOCK.document_id}/catalogue.json"
    live = {"chunked": chunked().data.model_dump(mode="json")}
    world.objects.data[catalogue] = json.dumps(live).encode()
    # Submitted again after the removal: the files are those of the live version.
    await world.service.remove_document(removal(-timedelta(minutes=1)))
    assert len([key for key in world.objects.data if key.startswith("vectors/")]) == 3
    await world.service.remove_document(removal(timedelta(minutes=1)))
    assert [key for key in world.objects.data if key.startswith("vectors/")] == [neighbour]


async def test_a_document_removed_while_it_is_embedded_leaves_no_vectors(world: World) -> None:
    world.objects.data[KEY] = chunk_file(list(TEXTS))
    catalogue = f"documents/{BLOCK.document_id}/catalogue.json"
    world.objects.data[catalogue] = json.dumps({"chunked": None, "removed": "x"}).encode()
    assert await world.service.embed_document(chunked()) is None
    assert not [key for key in world.objects.data if key.startswith("vectors/")]


async def test_a_mail_gets_one_dense_and_one_sparse_vector_per_question(world: World) -> None:
    questions = ("Qui finance l'étude ?", "Quel est le délai ?")
    mail = MAIL.model_copy(update={"questions": questions})
    event = MailAccepted.make(
        source="ingest",
        subject=str(mail.mail_id),
        time=AT,
        id=stable_id("m"),
        data=OfMail(mail=mail),
    )
    said = await world.service.embed_mail(event)
    assert said.data.mail == mail
    assert len(said.data.vectors) == 2
    assert said.data.embedding == RECIPE.fingerprint()
    expected = world.encoder.encode(world.encoder.tokenise(["query: Qui finance l'étude ?"]))[0]
    np.testing.assert_allclose(said.data.vectors[0].dense, expected, atol=1e-6)
    assert set(said.data.vectors[0].sparse.values) == {1.0}
    assert (await world.service.embed_mail(event)).id == said.id


async def test_requests_are_answered_as_queries_or_passages(world: World) -> None:
    asked = EmbedQuery(texts=("les études des écoles", ""))
    found = await world.service.answer(asked)
    assert len(found.vectors) == 2
    assert found.vectors[1].sparse.indices == ()
    other = await world.service.answer(EmbedQuery(texts=asked.texts, kind="passage", sparse=False))
    assert other.vectors[0].dense != found.vectors[0].dense
    assert other.vectors[0].sparse.indices == ()


async def test_texts_asked_for_again_are_not_encoded_again(world: World) -> None:
    first = await world.service.answer(EmbedQuery(texts=("études", "prêts")))
    assert world.encoder.texts == 2
    again = await world.service.answer(EmbedQuery(texts=("dossier", "prêts", "études", "dossier")))
    assert world.encoder.texts == 3
    assert again.vectors[1:3] == first.vectors[::-1]
    assert again.vectors[0] == again.vectors[3] != again.vectors[1]


def test_the_cache_forgets_what_was_unused_for_longest() -> None:
    cache = VectorCache(dimension=2, size=16)
    batch = np.eye(2, dtype=np.float32)
    cache.keep({("query", "a"): batch[0], ("query", "b"): batch[1]})
    batch[:] = 7
    assert cache.find([("query", "a")])["query", "a"].tolist() == [1, 0]
    cache.keep({("passage", "a"): batch[1]})
    kept = cache.find([("query", "a"), ("query", "b"), ("passage", "a")])
    assert list(kept) == [("query", "a"), ("passage", "a")]


async def test_a_vector_that_is_not_finite_names_its_text(world: World) -> None:
    original = world.encoder.encode
    world.encoder.encode = lambda batch: original(batch) * np.float32("nan")  # type: ignore[method-assign]  # a broken model
    with pytest.raises(Invalid, match="no finite vector for text 0"):
        await world.service.answer(EmbedQuery(texts=("a",)))


def test_the_fingerprint_changes_with_each_ingredient() -> None:
    from dataclasses import replace

    changed = [
        replace(RECIPE, model="m2"),
        replace(RECIPE, query_prefix=""),
        replace(RECIPE, passage_prefix=""),
        replace(RECIPE, dimension=8),
        replace(RECIPE, max_tokens=256),
        replace(RECIPE, sparse={"k": 1.5}),
    ]
    prints = {r.fingerprint() for r in (RECIPE, *changed)}
    assert len(prints) == len(changed) + 1
    assert replace(RECIPE).fingerprint() == RECIPE.fingerprint()
