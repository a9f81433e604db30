"""Interactive requests over core NATS: ``query.embed.v1`` and ``query.search.v1``."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from shared.envelope import Frozen, Slug
from shared.records import Passage, QuestionVectors, Score

Method = Literal["dense", "bm25", "hybrid", "hybrid+rerank"]


class Query(Frozen):
    """Fields that every interactive request may carry."""

    SUBJECT: ClassVar[str]

    traceparent: str | None = None


class EmbedQuery(Query):
    """Request on ``query.embed.v1``: vectors of ``texts``, as questions or as passages."""

    SUBJECT: ClassVar[str] = "query.embed.v1"

    texts: tuple[str, ...] = Field(min_length=1, max_length=64)
    kind: Literal["query", "passage"] = "query"
    sparse: bool = True


class SearchQuery(Query):
    """Request on ``query.search.v1``: the best passages for one question."""

    SUBJECT: ClassVar[str] = "query.search.v1"

    question: str = Field(min_length=1, max_length=8192)
    collections: tuple[Slug, ...] = ()
    audiences: tuple[Slug, ...] = ("public",)
    limit: int = Field(default=8, ge=1, le=100)
    method: Method | None = None


class EmbedAnswer(Frozen):
    """Vectors in the order of the request's texts; ``sparse`` is empty when not asked for."""

    vectors: tuple[QuestionVectors, ...]
    embedding: str


class SearchAnswer(Frozen):
    """Passages best first, with the evidence that they answer the question, in [0, 1]."""

    passages: tuple[Passage, ...]
    evidence: Score
    embedding: str
    retrieval: str


class Refusal(Frozen):
    """What an interactive request gets instead of an answer; ``code`` is for programs."""

    code: Literal["invalid", "unavailable", "failed"]
    detail: str
