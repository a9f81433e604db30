"""Composition root of embed: settings, model, object store, use cases."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from services.embed.adapters.bm25 import FrenchBm25
from services.embed.adapters.model_directory import locate, model_hash
from services.embed.adapters.sentence_encoder import SentenceEncoder
from services.embed.dispatch import Dispatcher, Encoder
from services.embed.fingerprints import EmbeddingRecipe
from services.embed.handlers import register
from services.embed.service import EmbedService
from shared.bus import Bus
from shared.clock import utcnow
from shared.models.local import awaited
from shared.objects import S3Objects
from shared.runtime import Parts, run
from shared.settings import Embedding, Settings

log = structlog.get_logger()


@asynccontextmanager
async def build(settings: Settings, bus: Bus) -> AsyncIterator[Parts]:
    """Everything that embed needs, until it stops."""
    config = settings.embedding
    objects = S3Objects(settings.objects)
    # One thread: the model computes with all cores, a second batch would only slow the first.
    with ThreadPoolExecutor(1, thread_name_prefix="model") as thread:
        directory = await awaited(lambda: locate(config, objects))
        encoder, recipe = await asyncio.get_running_loop().run_in_executor(
            thread, _load, config, directory
        )
        log.info("model loaded", device=encoder.device, embedding=recipe.fingerprint())
        async with Dispatcher(encoder, thread) as dense:
            service = EmbedService(objects, dense, FrenchBm25(), recipe, utcnow, time.perf_counter)
            register(bus, service)
            try:
                yield Parts(needs={"objects": objects.ready})
            finally:
                await service.close()


def _load(config: Embedding, directory: Path) -> tuple[SentenceEncoder, EmbeddingRecipe]:
    encoder = SentenceEncoder(directory, device=config.device, token_budget=config.token_budget)
    return encoder, recipe_of(config, encoder, directory)


def recipe_of(config: Embedding, encoder: Encoder, directory: Path) -> EmbeddingRecipe:
    """What the fingerprint is made of."""
    return EmbeddingRecipe(
        name=config.model,
        model=model_hash(directory),
        dimension=encoder.dimension,
        max_tokens=encoder.max_tokens,
        query_prefix=config.query_prefix,
        passage_prefix=config.passage_prefix,
        sparse=FrenchBm25().settings,
    )


if __name__ == "__main__":
    run("embed", build)
