"""What the index asks of a Qdrant server, in the client's models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from services.retrieve.passages import (
    RRF_K,
    IndexQuery,
    PassagePoint,
    Row,
    Scope,
    asked_terms,
    reached,
    to_payload,
)
from services.retrieve.versions import Rank


def collection_config(dimension: int) -> dict[str, Any]:
    """Arguments of ``create_collection``; ``dimension`` 0 gives one without dense vectors."""
    dense = models.VectorParams(size=dimension, distance=models.Distance.COSINE)
    sparse = models.SparseVectorParams(modifier=models.Modifier.IDF)
    return {
        "vectors_config": {"dense": dense} if dimension else {},
        "sparse_vectors_config": {"bm25": sparse},
        "on_disk_payload": True,
    }


def to_point(point: PassagePoint) -> models.PointStruct:
    """A passage that no reader sees yet."""
    sparse = models.SparseVector(
        indices=list(point.sparse.indices), values=list(point.sparse.values)
    )
    return models.PointStruct(
        id=point.point_id,
        vector={"dense": point.dense.tolist(), "bm25": sparse},
        payload=to_payload(point.passage),
    )


def requests(query: IndexQuery) -> list[models.QueryRequest]:
    """The search itself, the BM25 scores of its candidates, and one for the IDF of each term."""
    scores = models.QueryRequest(
        query=_sparse(query), using="bm25", limit=query.candidates, filter=_scope(query.scope)
    )
    return [_search(query), scores, *map(_term, asked_terms(query))]


def _search(query: IndexQuery) -> models.QueryRequest:
    scope = _scope(query.scope)
    shared: dict[str, Any] = {
        "limit": query.candidates,
        "filter": scope,
        "with_payload": True,
        "with_vector": ["dense", "bm25"],
    }
    dense = query.dense.tolist()
    if query.method == "dense":
        return models.QueryRequest(query=dense, using="dense", **shared)
    if query.method == "bm25":
        return models.QueryRequest(query=_sparse(query), using="bm25", **shared)
    prefetch = [
        models.Prefetch(query=dense, using="dense", limit=query.candidates, filter=scope),
        models.Prefetch(query=_sparse(query), using="bm25", limit=query.candidates, filter=scope),
    ]
    fusion = models.RrfQuery(rrf=models.Rrf(k=RRF_K))
    return models.QueryRequest(query=fusion, prefetch=prefetch, **shared)


def _sparse(query: IndexQuery) -> models.SparseVector:
    return models.SparseVector(indices=list(query.sparse.indices), values=list(query.sparse.values))


def _term(term: int) -> models.QueryRequest:
    alone = models.SparseVector(indices=[term], values=[1.0])
    return models.QueryRequest(query=alone, using="bm25", limit=1, with_vector=["bm25"])


def row(point: models.ScoredPoint) -> Row:
    """A point found, with both its vectors."""
    vectors: Any = point.vector
    terms = vectors["bm25"]
    return Row(
        point_id=str(point.id),
        score=point.score,
        payload=point.payload or {},
        dense=vectors["dense"],
        terms=dict(zip(terms.indices, terms.values, strict=True)),
    )


def idf_of(answers: Sequence[tuple[int, Sequence[models.ScoredPoint]]]) -> dict[int, float]:
    """A term's IDF is what a search for it alone adds to its weight in the passage found."""
    known: dict[int, float] = {}
    for asked, points in answers:
        for point in points:
            vectors: Any = point.vector
            weights = vectors["bm25"]
            known[asked] = point.score / weights.values[list(weights.indices).index(asked)]
    return known


def _scope(scope: Scope) -> models.Filter:
    return models.Filter(must=[_one_of("reach", reached(scope))])


def older(rank: Rank) -> models.Filter:
    """Holds for a point whose rank is below ``rank``; integers stay exact below 2**53."""
    same_time = _equal("submitted", rank.submitted)
    same_content = _equal("tie", rank.tie)
    return models.Filter(
        should=[
            _below("submitted", rank.submitted),
            models.Filter(must=[same_time, _below("tie", rank.tie)]),
            models.Filter(must=[same_time, same_content, _below("built", rank.built)]),
        ]
    )


def is_(**values: str) -> models.Filter:
    """Holds for a point whose payload has all ``values``."""
    return models.Filter(must=[_equal(key, value) for key, value in values.items()])


def _equal(key: str, value: str | int) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _one_of(key: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def _below(key: str, value: int) -> models.FieldCondition:
    return models.FieldCondition(key=key, range=models.Range(lt=float(value)))
