"""retrieve: keeps the index and answers what the documents say on a question."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.retrieve import evidence
from services.retrieve.adapters.french_terms import term_indices
from services.retrieve.adapters.qdrant_edge import EdgeIndex
from services.retrieve.adapters.qdrant_server import ServerIndex, connect
from services.retrieve.api import build_api
from services.retrieve.handlers import register
from services.retrieve.indexing import IndexingService
from services.retrieve.service import PassageIndex, SearchService, require_method
from shared.bus import Bus, Probe
from shared.clock import utcnow
from shared.objects import S3Objects
from shared.queries import EmbedAnswer, EmbedQuery
from shared.runtime import Parts, run
from shared.settings import Settings


@asynccontextmanager
async def open_index(settings: Settings) -> AsyncIterator[PassageIndex]:
    """The index that the settings choose, open."""
    config = settings.retrieval
    index: EdgeIndex | ServerIndex
    if config.index == "edge":
        index = EdgeIndex(config.path)
        await index.open()
    else:
        index = ServerIndex(connect(config), f"sourcier-{settings.environment}")
    try:
        yield index
    finally:
        await index.close()


@asynccontextmanager
async def build(settings: Settings, bus: Bus) -> AsyncIterator[Parts]:
    """The composition of the service."""

    async def embed(query: EmbedQuery) -> EmbedAnswer:
        return await bus.ask(query, EmbedAnswer)

    require_method(settings.retrieval.method)
    objects = S3Objects(settings.objects)
    async with open_index(settings) as index:
        indexing = IndexingService(index, objects, clock=utcnow)
        search = SearchService(
            index,
            settings.retrieval,
            generic_terms=term_indices(evidence.GENERIC),
            embed=embed,
            switch=indexing.switch_when_filled,
            clock=utcnow,
            timer=time.perf_counter,
        )
        register(bus, search, indexing)
        needs: dict[str, Probe] = {"index": index.ready, "objects": objects.ready}
        yield Parts(api=build_api(index, indexing), needs=needs)


if __name__ == "__main__":
    run("retrieve", build)
