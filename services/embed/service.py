"""The use cases: vectors of a document's chunks, of an e-mail's questions, of a request's texts."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import numpy as np

from services.embed.cache import VectorCache
from services.embed.dispatch import Vectors
from services.embed.files import passage_texts, read_chunks, write_vectors
from services.embed.fingerprints import EmbeddingRecipe
from shared.delivery import Invalid
from shared.document_events import (
    DocumentChunked,
    DocumentEmbedded,
    DocumentEmbeddedData,
    DocumentRemoved,
)
from shared.envelope import caused
from shared.events import MailAccepted, MailEmbedded, MailEmbeddedData
from shared.objects import Missing, ObjectStore
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import DocumentVersion, QuestionVectors, SparseVector

DIGITS = 7
"""Decimals of a dense value in an event: what float32 holds."""

Kind = Literal["query", "passage"]


class DenseEncoder(Protocol):
    """See `dispatch.Dispatcher`."""

    async def encode(self, texts: Sequence[str], *, urgent: bool) -> Vectors: ...


class SparseEncoder(Protocol):
    """BM25 weights; a passage's depend on its term frequencies, a question's are 1."""

    def encode(self, texts: Sequence[str], kind: Kind) -> list[SparseVector]: ...


class EmbedService:
    """`clock` gives the events' time, `timer` seconds of any origin."""

    def __init__(
        self,
        objects: ObjectStore,
        dense: DenseEncoder,
        sparse: SparseEncoder,
        recipe: EmbeddingRecipe,
        clock: Callable[[], datetime],
        timer: Callable[[], float],
    ) -> None:
        self._objects = objects
        self._dense = dense
        self._sparse = sparse
        self._recipe = recipe
        self._fingerprint = recipe.fingerprint()
        self._clock = clock
        self._timer = timer
        self._fingerprints: set[str] | None = None
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._recent = VectorCache(recipe.dimension)

    async def embed_document(self, event: DocumentChunked) -> DocumentEmbedded | None:
        """Write the vector file of the chunks; None when the document was removed meanwhile.

        Raises Invalid when the chunk file is missing or not as agreed.
        """
        start = self._timer()
        key = self._vectors_key(event)
        try:
            await self._written(key, event)
        except Missing:
            if await self._removed(event):
                return None
            raise
        if await self._removed(event):  # while it was embedded: `remove_document` saw no file yet
            await self._objects.remove(key)
            return None
        data = DocumentEmbeddedData(
            document=event.data.document,
            vectors_key=key,
            count=event.data.count,
            dimension=self._recipe.dimension,
            embedding=self._fingerprint,
            timings={"embed": self._timer() - start},
        )
        return caused(
            event,
            DocumentEmbedded,
            source="embed",
            time=self._clock(),
            data=data,
            discriminator=self._fingerprint,
        )

    async def remove_document(self, event: DocumentRemoved) -> None:
        """Delete the document's vector files, which hold its text, for every embedding.

        They stay when the document was submitted again after the removal. Raises Unavailable.
        """
        identity = event.data.document_id
        live = (await self._catalogued(identity) or {}).get("chunked")
        if live is not None:
            version = DocumentVersion.model_validate(live["document"]["version"])
            if version.submitted > event.data.removed:
                return
        for fingerprint in await self._known_fingerprints():
            async for key in self._objects.keys(f"vectors/{fingerprint}/{identity}/"):
                await self._objects.remove(key)

    async def embed_mail(self, event: MailAccepted) -> MailEmbedded:
        """One dense and one sparse vector per question."""
        start = self._timer()
        vectors = await self._vectors(event.data.mail.questions, "query", sparse=True)
        data = MailEmbeddedData(
            mail=event.data.mail,
            vectors=vectors,
            embedding=self._fingerprint,
            timings={"embed": self._timer() - start},
        )
        return caused(
            event,
            MailEmbedded,
            source="embed",
            time=self._clock(),
            data=data,
            discriminator=self._fingerprint,
        )

    async def answer(self, query: EmbedQuery) -> EmbedAnswer:
        """Vectors of the request's texts, before any document's."""
        vectors = await self._vectors(query.texts, query.kind, sparse=query.sparse)
        return EmbedAnswer(vectors=vectors, embedding=self._fingerprint)

    async def close(self) -> None:
        """Give up what is being written; its events come again."""
        for task in self._writing.values():
            task.cancel()
        await asyncio.gather(*self._writing.values(), return_exceptions=True)

    async def _vectors(
        self, texts: Sequence[str], kind: Kind, *, sparse: bool
    ) -> tuple[QuestionVectors, ...]:
        dense = await self._recalled(texts, kind)
        empty = SparseVector(indices=(), values=())
        weights = self._sparse.encode(texts, kind) if sparse else [empty] * len(texts)
        return tuple(
            QuestionVectors(dense=tuple(round(x, DIGITS) for x in row), sparse=terms)
            for row, terms in zip(dense.tolist(), weights, strict=True)
        )

    async def _recalled(self, texts: Sequence[str], kind: Kind) -> Vectors:
        """Like `_encoded`; texts that were asked for lately are not encoded again."""
        keys = [(kind, text) for text in texts]
        known = self._recent.find(keys)
        new = [key for key in dict.fromkeys(keys) if key not in known]
        if new:
            dense = await self._encoded([text for _, text in new], kind, urgent=True)
            known |= dict(zip(new, dense, strict=True))
            self._recent.keep({key: known[key] for key in new})
        rows = np.array([known[key] for key in keys], dtype=np.float32)
        return rows.reshape(len(keys), self._recipe.dimension)

    async def _encoded(self, texts: Sequence[str], kind: Kind, *, urgent: bool) -> Vectors:
        recipe = self._recipe
        prefix = recipe.query_prefix if kind == "query" else recipe.passage_prefix
        dense = await self._dense.encode([prefix + text for text in texts], urgent=urgent)
        if not np.isfinite(dense).all():
            row = int(np.argmin(np.isfinite(dense).all(axis=1)))
            raise Invalid(f"the model gives no finite vector for text {row}")
        return dense

    def _vectors_key(self, event: DocumentChunked) -> str:
        """Named like the chunk file, which is named for the content and how it was cut."""
        name = event.data.chunks_key.rsplit("/")[-1]
        return f"vectors/{self._fingerprint}/{event.data.document.document_id}/{name}"

    async def _written(self, key: str, event: DocumentChunked) -> None:
        """See to it that the file `key` is there.

        The work outlives a handler that reached its time limit: the next delivery of the event
        waits for the same work instead of beginning again.
        """
        if key not in self._writing:
            task = asyncio.create_task(self._write(key, event), name=f"write {key}")
            self._writing[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        await asyncio.shield(self._writing[key])

    def _finished(self, key: str, task: asyncio.Task[None]) -> None:
        """Forget the work; a failure that no handler waits for comes back with the event."""
        self._writing.pop(key, None)
        if not task.cancelled():
            task.exception()

    async def _write(self, key: str, event: DocumentChunked) -> None:
        if await self._objects.exists(key):
            return
        data = await self._objects.get(event.data.chunks_key)
        table = await asyncio.to_thread(read_chunks, data, event.data.count)
        texts = passage_texts(table, event.data.document.title)
        dense = await self._encoded(texts, "passage", urgent=False)
        sparse = await asyncio.to_thread(self._sparse.encode, texts, "passage")
        body = await asyncio.to_thread(write_vectors, table, dense, sparse)
        await self._objects.put(key, body, "application/vnd.apache.parquet")

    async def _known_fingerprints(self) -> set[str]:
        """This embedding's fingerprint and those of the vectors that earlier ones left.

        All keys are listed once: another embedding needs a new start of the service.
        """
        if self._fingerprints is None:
            found = {self._fingerprint}
            async for key in self._objects.keys("vectors/"):
                found.add(key.split("/")[1])
            self._fingerprints = found
        return self._fingerprints

    async def _removed(self, event: DocumentChunked) -> bool:
        """Whether ingest's catalogue says that the document is gone."""
        entry = await self._catalogued(event.data.document.document_id)
        return entry is not None and entry.get("chunked") is None

    async def _catalogued(self, identity: UUID) -> dict[str, Any] | None:
        """What ingest's catalogue holds of the document; None when it never had it."""
        try:
            entry = await self._objects.get(f"documents/{identity}/catalogue.json")
        except Missing:
            return None
        found: dict[str, Any] = json.loads(entry)
        return found
