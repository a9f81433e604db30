"""Makes document versions searchable and takes documents away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from services.retrieve.passages import PassagePoint
from services.retrieve.service import REMOVALS, PassageIndex
from services.retrieve.vectorfile import read_points
from services.retrieve.versions import State, embedded_state, removed_state
from shared.delivery import Invalid
from shared.document_events import (
    DocumentEmbedded,
    DocumentIndexed,
    DocumentIndexedData,
    DocumentRemoved,
)
from shared.envelope import caused
from shared.objects import ObjectStore

_BATCH = 256


class IndexingService:
    """Keeps of each document the newest version, or the fact that it was removed."""

    def __init__(
        self, index: PassageIndex, objects: ObjectStore, *, clock: Callable[[], datetime]
    ) -> None:
        self._index = index
        self._objects = objects
        self._clock = clock
        self._prepared: set[str] = set()
        self._preparing = asyncio.Lock()

    async def take_document(self, event: DocumentEmbedded) -> DocumentIndexed:
        """Write the version and make it the live one unless a newer one or a removal won.

        Raises ``Invalid`` when the vector file is missing or not what the event says.
        """
        data, state = event.data, embedded_state(event)
        await self._prepare(data.embedding, data.dimension)
        live = await self._put(data.embedding, state, event)
        await self._index.settle(data.embedding)
        await self.switch_when_filled(data.embedding)
        result = DocumentIndexedData(
            document=data.document, count=data.count, embedding=data.embedding, live=live
        )
        time = self._clock()
        return caused(event, DocumentIndexed, source="retrieve", time=time, data=result)

    async def take_removal(self, event: DocumentRemoved) -> None:
        """Remove the document from every collection and remember it."""
        state = removed_state(event)
        await self._prepare(REMOVALS, 0)
        await self._bury(REMOVALS, state)
        done: set[str] = set()
        # A collection made meanwhile copies the tombstones either after ours was written, or
        # before, and then it is in the list by now.
        while left := set(await self._index.embeddings()) - done:
            for embedding in left:
                await self._bury(embedding, state)
            done |= left

    async def switch_when_filled(self, embedding: str) -> bool:
        """Serve ``embedding`` when it holds every live document of the one that serves now."""
        if embedding not in await self._index.embeddings():
            return False
        served = await self._index.served()
        if served and served[0] == embedding:
            return True
        if served and not await self._covers(embedding, served[0]):
            return False
        await self._index.serve(embedding)
        return True

    async def switch(self, embedding: str) -> None:
        """Serve ``embedding`` as it is. Raises ``Invalid`` when there is no such collection."""
        known = await self._index.embeddings()
        if embedding not in known:
            names = ", ".join(known) or "none"
            raise Invalid(f"no collection for embedding {embedding!r}; there are: {names}")
        await self._index.serve(embedding)

    async def discard(self, embedding: str) -> None:
        """Delete a collection. Raises ``Invalid`` for the one that serves, or an unknown one."""
        served = await self._index.served()
        if embedding not in await self._index.embeddings():
            raise Invalid(f"no collection for embedding {embedding!r}")
        if served and served[0] == embedding:
            raise Invalid(f"embedding {embedding!r} serves: switch to another one first")
        await self._index.discard(embedding)
        self._prepared.discard(embedding)

    async def _put(self, embedding: str, state: State, event: DocumentEmbedded) -> bool:
        held = (await self._index.states(embedding, [state.document_id])).get(state.document_id)
        if held is not None and held.token != state.token and held.rank > state.rank:
            await self._index.drop(embedding, state.token)
            return False
        whole = (
            held is not None and held.token == state.token and await self._whole(embedding, held)
        )
        if not whole:
            await self._write(embedding, state, event)
        won = await self._index.advance(embedding, state)
        if won.token != state.token:
            await self._index.drop(embedding, state.token)
            return False
        await self._index.prune(embedding, won)
        return True

    async def _whole(self, embedding: str, state: State) -> bool:
        """Whether a state that survived a power cut still has its points."""
        return await self._index.count(embedding, state.token) == state.count

    async def _write(self, embedding: str, state: State, event: DocumentEmbedded) -> None:
        data = event.data
        body = await self._objects.get(data.vectors_key)
        points = await asyncio.to_thread(
            read_points, body, data.document, state, dimension=data.dimension
        )
        for batch in _batches(points):
            await self._index.write(embedding, batch)
        await self._index.reveal(embedding, state)

    async def _prepare(self, embedding: str, dimension: int) -> None:
        """Make the collection, with the tombstones of documents removed before it existed."""
        async with self._preparing:
            if embedding in self._prepared:
                return
            await self._index.create(embedding, dimension)
            if embedding != REMOVALS:
                await self._index.create(REMOVALS, 0)
                for state in await self._index.all_states(REMOVALS):
                    await self._bury(embedding, state)
            self._prepared.add(embedding)

    async def _bury(self, embedding: str, state: State) -> None:
        stored = await self._index.advance(embedding, state)
        if not stored.live:
            await self._index.prune(embedding, stored)
        await self._index.settle(embedding)

    async def _covers(self, embedding: str, other: str) -> bool:
        there = {s.document_id: s for s in await self._index.all_states(other) if s.live}
        have = await self._index.tally(embedding)
        if sum(have.documents.values()) < len(there):
            return False
        here = {s.document_id: s for s in await self._index.all_states(embedding) if s.live}
        return all(d in here and here[d].rank >= s.rank for d, s in there.items())


def _batches(points: Sequence[PassagePoint]) -> Iterator[Sequence[PassagePoint]]:
    for start in range(0, len(points), _BATCH):
        yield points[start : start + _BATCH]
