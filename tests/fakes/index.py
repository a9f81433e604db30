"""Documents with small vectors, and the events that put them into an index."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from qdrant_edge import Bm25, Bm25Config

from services.retrieve.passages import IndexQuery, Scope, Terms, Vector
from shared.document_events import (
    DocumentEmbedded,
    DocumentEmbeddedData,
    DocumentRemoved,
    DocumentRemovedData,
)
from shared.identity import document_id, passage_id, sha256, stable_id
from shared.objects import MemoryObjects
from shared.queries import Method
from shared.records import DocumentBlock, DocumentVersion, QuestionVectors, SparseVector

AT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
DIMENSION = 16
_BM25 = Bm25(Bm25Config(language="french", ascii_folding=True))


def dense(text: str) -> Vector:
    """A unit vector: the mean of one pseudo-random direction per word."""
    total = np.zeros(DIMENSION, dtype=np.float32)
    for word in text.lower().split():
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        total += np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    unit: Vector = total / np.linalg.norm(total)
    return unit


def document_terms(text: str) -> Terms:
    """BM25 weights of a passage."""
    vector = _BM25.embed_document(text)
    return Terms(list(vector.indices), list(vector.values))


def query_terms(text: str) -> Terms:
    """BM25 weights of a question."""
    vector = _BM25.embed_query(text)
    return Terms(list(vector.indices), list(vector.values))


def question(
    text: str,
    *,
    audiences: tuple[str, ...] = ("public",),
    collections: tuple[str, ...] = (),
    method: Method = "hybrid",
    candidates: int = 20,
) -> IndexQuery:
    """The query that asks ``text``."""
    scope = Scope(audiences, collections)
    return IndexQuery(dense(text), query_terms(text), scope, method, candidates)


def question_vectors(text: str) -> QuestionVectors:
    """The vectors of ``text`` in the form that events carry."""
    terms = query_terms(text)
    sparse = SparseVector(indices=tuple(terms.indices), values=tuple(terms.values))
    return QuestionVectors(dense=tuple(map(float, dense(text))), sparse=sparse)


def block(
    name: str,
    content: str,
    minute: int = 0,
    *,
    audience: str = "public",
    collection: str = "default",
) -> DocumentBlock:
    """The document ``name`` as it was submitted ``minute`` minutes after ``AT``."""
    document = document_id(collection, name)
    version = DocumentVersion(
        submitted=AT + timedelta(minutes=minute), sha256=sha256(content.encode())
    )
    return DocumentBlock(
        document_id=document,
        version=version,
        collection=collection,
        name=name,
        title=name,
        audience=audience,
        media_type="text/plain",
        size=len(content.encode()),
        original_key=f"documents/{document}/{version.sha256}/original",
        text_key=f"documents/{document}/{version.sha256}/text.json",
    )


def vector_file(document: DocumentBlock, texts: Sequence[str]) -> bytes:
    """The Parquet file that embed writes for passages ``texts``."""
    sparse = [document_terms(text) for text in texts]
    vectors = np.concatenate([dense(text) for text in texts])
    columns = {
        "passage_id": [
            str(passage_id(document.document_id, document.version.sha256, n))
            for n in range(len(texts))
        ],
        "ordinal": pa.array(range(len(texts)), pa.int32()),
        "text": list(texts),
        "heading_path": pa.array([["Partie"]] * len(texts), pa.list_(pa.string())),
        "page": pa.array([None] * len(texts), pa.int32()),
        "start": pa.array([0] * len(texts), pa.int64()),
        "end": pa.array([len(text) for text in texts], pa.int64()),
        "tokens": pa.array([len(text.split()) for text in texts], pa.int32()),
        "dense": pa.FixedSizeListArray.from_arrays(pa.array(vectors, pa.float32()), DIMENSION),
        "sparse_indices": pa.array([each.indices for each in sparse], pa.list_(pa.uint32())),
        "sparse_values": pa.array([each.values for each in sparse], pa.list_(pa.float32())),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def embedded(
    objects: MemoryObjects,
    document: DocumentBlock,
    texts: Sequence[str],
    *,
    embedding: str = "e1",
) -> DocumentEmbedded:
    """The event for ``document``, with its vector file put into ``objects``."""
    key = f"vectors/{embedding}/{document.document_id}/{document.version.sha256}-c1.parquet"
    objects.data[key] = vector_file(document, texts)
    data = DocumentEmbeddedData(
        document=document,
        vectors_key=key,
        count=len(texts),
        dimension=DIMENSION,
        embedding=embedding,
    )
    return DocumentEmbedded.make(
        source="embed",
        subject=str(document.document_id),
        time=document.version.submitted,
        id=stable_id("embedded", key, document.version.submitted.isoformat()),
        data=data,
    )


def removed(document: UUID, minute: int = 0, collection: str = "default") -> DocumentRemoved:
    """The event that removes ``document``, ``minute`` minutes after ``AT``."""
    at = AT + timedelta(minutes=minute)
    data = DocumentRemovedData(collection=collection, document_id=document, removed=at)
    return DocumentRemoved.make(
        source="tests",
        subject=str(document),
        time=at,
        id=stable_id("removed", str(document), str(minute)),
        data=data,
    )
