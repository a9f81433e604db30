"""One shard of Qdrant Edge: blocking calls; writes take turns, reads do not wait for them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as edge

from services.retrieve.passages import (
    RRF_K,
    Found,
    IndexQuery,
    PassagePoint,
    Row,
    Scope,
    Tally,
    asked_terms,
    compose,
    reached,
    revealed,
    to_payload,
)
from services.retrieve.versions import Rank, State, state_of, state_payload, state_point_id
from shared.delivery import Invalid

_KEYWORDS = ("kind", "live", "document_id", "token", "reach", "collection")
_PAGE = 1000
_MANY = 1_000_000


class Shard:
    """The points of one collection and the states of its documents."""

    def __init__(self, shard: edge.EdgeShard, dimension: int) -> None:
        self._shard = shard
        self._dimension = dimension
        self._writing = threading.Lock()

    @classmethod
    def create(cls, folder: Path, dimension: int) -> Shard:
        """A new shard; ``dimension`` 0 gives one without dense vectors."""
        folder.mkdir(parents=True)
        vectors = {}
        if dimension:
            cosine = edge.Distance.Cosine
            vectors["dense"] = edge.EdgeVectorParams(size=dimension, distance=cosine)
        config = edge.EdgeConfig(
            vectors=vectors or None,
            sparse_vectors={"bm25": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
            payload_memory=edge.Memory.Cold,
        )
        shard = edge.EdgeShard.create(str(folder), config)
        for name in _KEYWORDS:
            keyword = edge.PayloadSchemaType.Keyword
            shard.update(edge.UpdateOperation.create_field_index(name, keyword))
        (folder / "dimension").write_text(str(dimension))
        shard.flush()
        return cls(shard, dimension)

    @classmethod
    def load(cls, folder: Path) -> Shard:
        """The shard that ``create`` made."""
        dimension = int((folder / "dimension").read_text())
        return cls(edge.EdgeShard.load(str(folder)), dimension)

    def require(self, dimension: int) -> None:
        """Raises ``Invalid`` when the vectors have another dimension."""
        if self._dimension != dimension:
            raise Invalid(
                f"vectors of {dimension} values for a collection of {self._dimension}: "
                "one embedding fingerprint stands for two models"
            )

    def write(self, points: Sequence[PassagePoint]) -> None:
        rows = [
            edge.Point(
                point.point_id,
                {
                    "dense": point.dense.tolist(),
                    "bm25": edge.SparseVector(
                        list(point.sparse.indices), list(point.sparse.values)
                    ),
                },
                to_payload(point.passage),
            )
            for point in points
        ]
        mode = edge.UpdateMode.InsertOnly
        self._update(edge.UpdateOperation.upsert_points(rows, update_mode=mode))

    def reveal(self, state: State) -> None:
        own = _is(kind="passage", token=state.token)
        self._update(edge.UpdateOperation.set_payload_by_filter(own, revealed(state)))

    def advance(self, state: State) -> State:
        name = state_point_id(state.document_id)
        point = edge.Point(name, {}, state_payload(state))
        # The condition is checked against the stored point only; a missing one is inserted.
        self._update(edge.UpdateOperation.upsert_points([point], condition=_older(state.rank)))
        return self.states([state.document_id])[state.document_id]

    def states(self, documents: Sequence[UUID]) -> dict[UUID, State]:
        names: list[Any] = [state_point_id(document) for document in documents]
        records = self._shard.retrieve(names, True, False) if names else []
        found = [state_of(record.payload) for record in records if record.payload]
        return {state.document_id: state for state in found}

    def all_states(self) -> list[State]:
        states: list[State] = []
        offset = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=_PAGE, filter=_is(kind="state"), with_payload=True
            )
            records, offset = self._shard.scroll(request)
            states.extend(state_of(record.payload) for record in records if record.payload)
            if offset is None:
                return states

    def prune(self, state: State) -> None:
        older = edge.Filter(
            must=[
                _equal("document_id", str(state.document_id)),
                _equal("kind", "passage"),
                _older(state.rank),
            ],
            must_not=[_equal("token", state.token)],
        )
        self._update(edge.UpdateOperation.delete_points_by_filter(older))

    def drop(self, token: str) -> None:
        own = _is(kind="passage", token=token)
        self._update(edge.UpdateOperation.delete_points_by_filter(own))

    def count(self, token: str) -> int:
        return self._shard.count(edge.CountRequest(filter=_is(kind="passage", token=token)))

    def search(self, queries: Sequence[IndexQuery]) -> list[Found]:
        requests = [request for query in queries for request in _requests(query)]
        answers = iter(self._shard.query_batch(edge.QueryBatchRequest(requests)))
        return [
            compose(
                query,
                [_row(point) for point in next(answers)],
                {str(point.id): point.score for point in next(answers)},
                _idf([(term, next(answers)) for term in asked_terms(query)]),
            )
            for query in queries
        ]

    def tally(self) -> Tally:
        return Tally(self._live("state"), self._live("passage"))

    def flush(self) -> None:
        with self._writing:
            self._shard.flush()

    def close(self) -> None:
        with self._writing:
            self._shard.flush()
            self._shard.close()

    def _live(self, kind: str) -> dict[str, int]:
        request = edge.FacetRequest(
            "collection", limit=_MANY, exact=True, filter=_is(kind=kind, live="live")
        )
        return {str(hit.value): hit.count for hit in self._shard.facet(request).hits}

    def _update(self, operation: edge.UpdateOperation) -> None:
        with self._writing:
            self._shard.update(operation)


def _requests(query: IndexQuery) -> list[edge.QueryRequest]:
    """The search itself, the BM25 scores of its candidates, and one for the IDF of each term."""
    scope = _scope(query.scope)
    sparse = edge.SparseVector(list(query.sparse.indices), list(query.sparse.values))
    dense = edge.Query.Nearest(query.dense.tolist(), using="dense")
    bm25 = edge.Query.Nearest(sparse, using="bm25")
    prefetches: list[edge.Prefetch] = []
    best: Any = {"dense": dense, "bm25": bm25}.get(query.method)
    if query.method == "hybrid":
        best = edge.Fusion.Rrf(k=RRF_K)
        prefetches = [
            edge.Prefetch(limit=query.candidates, query=each, filter=scope)
            for each in (dense, bm25)
        ]
    main = edge.QueryRequest(
        limit=query.candidates,
        query=best,
        prefetches=prefetches,
        filter=scope,
        with_payload=True,
        with_vector=["dense", "bm25"],
    )
    scores = edge.QueryRequest(limit=query.candidates, query=bm25, filter=scope)
    return [main, scores, *map(_term_request, asked_terms(query))]


def _term_request(term: int) -> edge.QueryRequest:
    alone = edge.Query.Nearest(edge.SparseVector([term], [1.0]), using="bm25")
    return edge.QueryRequest(limit=1, query=alone, with_vector=["bm25"])


def _row(point: edge.ScoredPoint) -> Row:
    vector: Any = point.vector  # the two named vectors that every query asks for
    terms = vector["bm25"]
    return Row(
        point_id=str(point.id),
        score=point.score,
        payload=point.payload or {},
        dense=vector["dense"],
        terms=dict(zip(terms.indices, terms.values, strict=True)),
    )


def _idf(answers: Sequence[tuple[int, Sequence[edge.ScoredPoint]]]) -> dict[int, float]:
    """A term's IDF is what a search for it alone adds to its weight in the passage found."""
    known: dict[int, float] = {}
    for asked, points in answers:
        for point in points:
            vector: Any = point.vector
            weights = vector["bm25"]
            known[asked] = point.score / weights.values[list(weights.indices).index(asked)]
    return known


def _scope(scope: Scope) -> edge.Filter:
    return edge.Filter(must=[_one_of("reach", reached(scope))])


def _older(rank: Rank) -> edge.Filter:
    """Holds for a point whose rank is below ``rank``; integers stay exact below 2**53."""
    return edge.Filter(
        should=[
            _below("submitted", rank.submitted),
            edge.Filter(must=[_equal("submitted", rank.submitted), _below("tie", rank.tie)]),
            edge.Filter(
                must=[
                    _equal("submitted", rank.submitted),
                    _equal("tie", rank.tie),
                    _below("built", rank.built),
                ]
            ),
        ]
    )


def _is(**values: str) -> edge.Filter:
    return edge.Filter(must=[_equal(key, value) for key, value in values.items()])


def _equal(key: str, value: str | int) -> edge.FieldCondition:
    return edge.FieldCondition(key, match=edge.MatchValue(value))


def _one_of(key: str, values: Sequence[str]) -> edge.FieldCondition:
    return edge.FieldCondition(key, match=edge.MatchAny(list(values)))


def _below(key: str, value: int) -> edge.FieldCondition:
    return edge.FieldCondition(key, range=edge.RangeFloat(lt=float(value)))
