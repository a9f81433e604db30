"""What goes into the index and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from services.retrieve.versions import Rank, State, rank_of, rank_payload
from shared.queries import Method
from shared.records import DocumentVersion

Vector = npt.NDArray[np.float32]
Payload = dict[str, Any]

RRF_K = 10
"""Constant of reciprocal rank fusion. With the 60 of Cormack et al. (SIGIR 2009) hit@5 of PIAF
questions is 0.91, with 10 or with Qdrant's 2 it is 0.93; evidence was fitted near 10 and 60."""
MAX_TERMS = 32


@dataclass(frozen=True)
class Terms:
    """A sparse vector: parallel term indices and weights."""

    indices: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True)
class StoredPassage:
    """A passage as the index keeps it; offsets are into the document's text."""

    passage_id: UUID
    document_id: UUID
    token: str
    rank: Rank
    version: DocumentVersion
    title: str
    url: str | None
    heading_path: tuple[str, ...]
    page: int | None
    start: int
    end: int
    text: str
    audience: str
    collection: str


@dataclass(frozen=True)
class PassagePoint:
    """A passage with its vectors: ``dense`` is L2-normalised, ``sparse`` are BM25 weights."""

    point_id: str
    passage: StoredPassage
    dense: Vector
    sparse: Terms


@dataclass(frozen=True)
class Scope:
    """What the asker may read; no ``collections`` means all of them."""

    audiences: tuple[str, ...]
    collections: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexQuery:
    """One question; ``candidates`` is how many passages each method proposes."""

    dense: Vector
    sparse: Terms
    scope: Scope
    method: Method
    candidates: int


@dataclass(frozen=True)
class Hit:
    """A passage found: RRF score, cosine, BM25 score (none beyond the BM25 candidates).

    ``terms`` are the question's terms that occur in the passage.
    """

    passage: StoredPassage
    fused: float
    dense: float
    bm25: float | None
    terms: frozenset[int]


@dataclass(frozen=True)
class Found:
    """Hits of one question, best first; ``idf`` of its terms that the index has at all."""

    hits: tuple[Hit, ...] = ()
    idf: Mapping[int, float] = field(default_factory=dict)


def revealed(state: State) -> Payload:
    """What makes the points of a live build readable, to whom and where.

    ``reach`` is the one field that queries filter on: a second condition made them three times
    as slow on Edge. A slug cannot contain the slash.
    """
    reach = [state.audience, f"{state.audience}/{state.collection}"]
    return {"live": "live", "reach": reach}


def reached(scope: Scope) -> list[str]:
    """Values of ``reach``, any of which lets the asker read a passage."""
    if not scope.collections:
        return list(scope.audiences)
    return [f"{who}/{where}" for who in scope.audiences for where in scope.collections]


def to_payload(passage: StoredPassage) -> Payload:
    """The payload of a passage's point before it is revealed, as JSON values."""
    return {
        "kind": "passage",
        "live": "pending",
        "reach": [],
        "passage_id": str(passage.passage_id),
        "document_id": str(passage.document_id),
        "token": passage.token,
        **rank_payload(passage.rank),
        "version_submitted": passage.version.submitted.isoformat(),
        "version_sha256": passage.version.sha256,
        "title": passage.title,
        "url": passage.url,
        "heading_path": list(passage.heading_path),
        "page": passage.page,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "audience": passage.audience,
        "collection": passage.collection,
    }


def from_payload(payload: Mapping[str, Any]) -> StoredPassage:
    """The passage that ``to_payload`` wrote."""
    version = DocumentVersion.model_validate(
        {"submitted": payload["version_submitted"], "sha256": payload["version_sha256"]}
    )
    return StoredPassage(
        passage_id=UUID(payload["passage_id"]),
        document_id=UUID(payload["document_id"]),
        token=payload["token"],
        rank=rank_of(payload),
        version=version,
        title=payload["title"],
        url=payload.get("url"),
        heading_path=tuple(payload["heading_path"]),
        page=payload.get("page"),
        start=payload["start"],
        end=payload["end"],
        text=payload["text"],
        audience=payload["audience"],
        collection=payload["collection"],
    )


@dataclass(frozen=True)
class Tally:
    """Live documents and passages by the name of their collection."""

    documents: dict[str, int]
    passages: dict[str, int]


@dataclass(frozen=True)
class Row:
    """A point as a search returned it: ``score`` is RRF, a cosine or BM25, by the method."""

    point_id: str
    score: float
    payload: Mapping[str, Any]
    dense: Sequence[float]
    terms: Mapping[int, float]


def asked_terms(query: IndexQuery) -> list[int]:
    """The terms whose IDF is looked up; a question has few, a pasted letter is cut."""
    return list(query.sparse.indices[:MAX_TERMS])


def compose(
    query: IndexQuery, rows: Sequence[Row], bm25: Mapping[str, float], idf: Mapping[int, float]
) -> Found:
    """What an adapter answers; ``bm25`` are the scores of the BM25 candidates by point id."""
    terms = frozenset(query.sparse.indices)
    hits = tuple(
        Hit(
            passage=from_payload(row.payload),
            fused=row.score if query.method == "hybrid" else rank_score(rank),
            dense=_cosine(query.dense, row.dense),
            bm25=bm25.get(row.point_id),
            terms=terms.intersection(row.terms),
        )
        for rank, row in enumerate(rows)
    )
    return Found(hits, idf)


def rank_score(rank: int) -> float:
    """RRF score of the passage at ``rank`` (0 for the best) of a single list, as Qdrant counts."""
    return 1.0 / (RRF_K + rank)


def _cosine(left: Vector, right: Sequence[float]) -> float:
    product = float(np.dot(left, np.asarray(right, dtype=np.float32)))
    return min(1.0, max(-1.0, product))
