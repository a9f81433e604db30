"""Finds the passages for the questions of an e-mail; what it needs of an index is here too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import numpy as np

from services.retrieve import evidence
from services.retrieve.fusion import Ranked, fuse
from services.retrieve.passages import RRF_K, Found, IndexQuery, PassagePoint, Scope, Tally, Terms
from services.retrieve.versions import State
from services.retrieve.visibility import documents_of, visible
from shared.delivery import Invalid, Unavailable
from shared.envelope import caused
from shared.events import ContextRetrieved, ContextRetrievedData, MailEmbedded
from shared.identity import short_hash
from shared.queries import EmbedAnswer, EmbedQuery, Method, SearchAnswer, SearchQuery
from shared.records import Passage, PassageScores, QuestionVectors
from shared.settings import Retrieval

REMOVALS = "removals"
"""The collection without vectors that keeps the tombstones of every document ever removed."""
READ_TRIES = 3


class PassageIndex(Protocol):
    """Passages with their vectors, one collection per embedding fingerprint.

    A write is seen by readers when it returns and survives a crash once ``settle`` returned.
    Every method raises ``Unavailable`` when the index does not answer or is full.
    """

    async def create(self, embedding: str, dimension: int) -> None:
        """Make the collection if there is none; ``dimension`` 0 makes one without vectors.

        Raises ``Invalid`` when it exists with another dimension."""

    async def embeddings(self) -> tuple[str, ...]:
        """Fingerprints that have a collection, ``REMOVALS`` excepted."""

    async def served(self) -> tuple[str, ...]:
        """Fingerprints that answer questions: the present one first, then former ones."""

    async def serve(self, embedding: str) -> None:
        """Make ``embedding`` the present one."""

    async def discard(self, embedding: str) -> None:
        """Delete a collection that is not the present one."""

    async def write(self, embedding: str, points: Sequence[PassagePoint]) -> None:
        """Insert points, not live; a point that is already there stays as it is."""

    async def reveal(self, embedding: str, state: State) -> None:
        """Mark the points of the build as live, for its audience and collection."""

    async def advance(self, embedding: str, state: State) -> State:
        """Store ``state`` unless the document's is as new or newer, in one step; the result."""

    async def states(self, embedding: str, documents: Iterable[UUID]) -> dict[UUID, State]:
        """States of the ``documents`` that have one."""

    async def all_states(self, embedding: str) -> list[State]:
        """The states of all documents."""

    async def prune(self, embedding: str, state: State) -> None:
        """Delete the document's points of builds older than ``state``, its own excepted."""

    async def drop(self, embedding: str, token: str) -> None:
        """Delete the points of a build."""

    async def count(self, embedding: str, token: str) -> int:
        """How many points a build has."""

    async def search(self, embedding: str, queries: Sequence[IndexQuery]) -> list[Found]:
        """Hits of each query among live points within its scope; builds may be mixed."""

    async def settle(self, embedding: str) -> None:
        """Return when all that was written before is on disk."""

    async def tally(self, embedding: str) -> Tally:
        """What is live."""

    async def ready(self) -> None:
        """Returns when the index answers."""


class SearchService:
    """Questions in, passages out."""

    def __init__(
        self,
        index: PassageIndex,
        settings: Retrieval,
        *,
        generic_terms: frozenset[int],
        embed: Callable[[EmbedQuery], Awaitable[EmbedAnswer]],
        switch: Callable[[str], Awaitable[bool]],
        clock: Callable[[], datetime],
        timer: Callable[[], float],
    ) -> None:
        self._index = index
        self._settings = settings
        self._generic = generic_terms
        self._embed = embed
        self._switch = switch
        self._clock = clock
        self._timer = timer

    async def take_mail(self, event: MailEmbedded) -> ContextRetrieved:
        """The passages for the e-mail's questions.

        Raises ``Unavailable`` while the collection of the event's embedding is being filled."""
        started = self._timer()
        mail, embedding = event.data.mail, event.data.embedding
        scope = Scope(mail.audiences, mail.collections)
        vectors, limit, method = event.data.vectors, self._settings.passages, self._settings.method
        lexical = mail.language == evidence.LANGUAGE
        # Words of another language meet by accident only.
        how: Method = method if lexical else "dense"
        found = await self._search(vectors, scope, embedding, how, limit)
        each = self._evidence(vectors, found, lexical=lexical)
        data = ContextRetrievedData(
            mail=mail,
            passages=tuple(map(to_passage, fuse(found, limit))),
            evidence=max(each, default=0.0),
            question_evidence=each,
            embedding=embedding,
            retrieval=self.fingerprint(embedding, how, limit),
            timings={"retrieve": self._timer() - started},
        )
        return caused(event, ContextRetrieved, source="retrieve", time=self._clock(), data=data)

    async def search(self, query: SearchQuery) -> SearchAnswer:
        """The best passages for one question. Raises ``Invalid`` for a method it lacks."""
        method = query.method or self._settings.method
        require_method(method)
        asked = EmbedQuery(texts=(query.question,), traceparent=query.traceparent)
        answer = await self._embed(asked)
        scope = Scope(query.audiences, query.collections)
        found = await self._search(answer.vectors, scope, answer.embedding, method, query.limit)
        each = self._evidence(answer.vectors, found, lexical=True)
        return SearchAnswer(
            passages=tuple(map(to_passage, fuse(found, query.limit))),
            evidence=max(each, default=0.0),
            embedding=answer.embedding,
            retrieval=self.fingerprint(answer.embedding, method, query.limit),
        )

    def fingerprint(self, embedding: str, method: Method, passages: int) -> str:
        """What the choice of passages depends on, besides the documents."""
        numbers = (self._settings.candidates, passages, RRF_K)
        return short_hash(method, *map(str, numbers), embedding, evidence.VERSION)

    async def _search(
        self,
        vectors: Sequence[QuestionVectors],
        scope: Scope,
        embedding: str,
        method: Method,
        limit: int,
    ) -> list[Found]:
        if not await self._answers(embedding):
            return [Found()] * len(vectors)
        candidates = max(self._settings.candidates, limit)
        queries = [
            IndexQuery(
                np.asarray(each.dense, dtype=np.float32),
                Terms(each.sparse.indices, each.sparse.values),
                scope,
                method,
                candidates,
            )
            for each in vectors
        ]
        return await self._read(embedding, queries)

    def _evidence(
        self, vectors: Sequence[QuestionVectors], found: Sequence[Found], *, lexical: bool
    ) -> tuple[float, ...]:
        return tuple(
            evidence.estimate(asked.sparse.indices, one, self._generic, lexical=lexical)
            for asked, one in zip(vectors, found, strict=True)
        )

    async def _answers(self, embedding: str) -> bool:
        """Whether there is anything to ask; raises ``Unavailable`` while it is being filled."""
        served = await self._index.served()
        if embedding in served:
            return True
        if not served:
            return False
        if await self._switch(embedding):
            return True
        raise Unavailable(
            f"the index of embedding {embedding} is not filled yet (serving: {served[0]}): "
            "run `sourcier index rebuild`, or POST /v1/index/switch to serve it as it is"
        )

    async def _read(self, embedding: str, queries: Sequence[IndexQuery]) -> list[Found]:
        """One consistent version of each document, though versions change while we read."""
        found: list[Found] = []
        for _ in range(READ_TRIES):
            raw = await self._index.search(embedding, queries)
            states = await self._index.states(embedding, documents_of(raw))
            found, overtaken = visible(raw, states)
            if not overtaken:
                break
        return found


def require_method(method: Method) -> None:
    """Raises ``Invalid`` when ``method`` cannot be carried out."""
    if method == "hybrid+rerank":
        raise Invalid(
            "retrieval method 'hybrid+rerank' needs a cross-encoder, and none is configured: "
            "choose 'hybrid', 'dense' or 'bm25' under [retrieval] method"
        )


def to_passage(ranked: Ranked) -> Passage:
    """A hit in the form that events carry."""
    stored, hit = ranked.hit.passage, ranked.hit
    return Passage(
        passage_id=stored.passage_id,
        document_id=stored.document_id,
        version=stored.version,
        title=stored.title,
        url=stored.url,
        heading_path=stored.heading_path,
        page=stored.page,
        start=stored.start,
        end=stored.end,
        text=stored.text,
        audience=stored.audience,
        collection=stored.collection,
        scores=PassageScores(fused=ranked.score, dense=hit.dense, bm25=hit.bm25),
        questions=ranked.questions,
    )
