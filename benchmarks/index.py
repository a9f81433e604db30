"""Speed and memory of the embedded index, by itself: documents in, questions out.

    python -m benchmarks.index --passages 20000

Vectors are random, terms follow Zipf's law; the folder is on the disk that is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np

from services.retrieve.adapters.qdrant_edge import EdgeIndex
from services.retrieve.fusion import fuse
from services.retrieve.passages import IndexQuery, PassagePoint, Scope, StoredPassage, Terms
from services.retrieve.versions import Rank, State, point_id
from services.retrieve.visibility import documents_of, visible
from shared.identity import sha256
from shared.records import DocumentVersion

DIMENSION, PER_DOCUMENT, WORDS, EMBEDDING = 384, 6, 50_000, "bench"
RANDOM = np.random.default_rng(5)


def terms(count: int) -> Terms:
    indices = np.unique(np.minimum(RANDOM.zipf(1.3, count), WORDS)).astype(int).tolist()
    return Terms(indices, [1.0 + 0.5 * float(RANDOM.random()) for _ in indices])


def unit() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector = RANDOM.standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def document(number: int) -> tuple[State, list[PassagePoint]]:
    name, token, rank = UUID(int=number + 1), f"t{number}", Rank(number, 1, 1)
    version = DocumentVersion(submitted=datetime(2026, 1, 1, tzinfo=UTC), sha256=sha256(b""))
    points = [
        PassagePoint(
            point_id(name, token, ordinal),
            StoredPassage(
                UUID(int=number * PER_DOCUMENT + ordinal + 1),
                name,
                token,
                rank,
                version,
                "Titre",
                None,
                ("Partie",),
                1,
                0,
                1500,
                f"{number} {ordinal} " + "mot " * 300,
                "public",
                "default",
            ),
            unit(),
            terms(120),
        )
        for ordinal in range(PER_DOCUMENT)
    ]
    return State(name, rank, token, PER_DOCUMENT, "default", "public"), points


async def put(index: EdgeIndex, state: State, points: list[PassagePoint]) -> float:
    """Seconds that a document takes, as IndexingService writes it."""
    started = time.perf_counter()
    await index.states(EMBEDDING, [state.document_id])
    await index.write(EMBEDDING, points)
    await index.reveal(EMBEDDING, state)
    await index.advance(EMBEDDING, state)
    await index.prune(EMBEDDING, state)
    await index.settle(EMBEDDING)
    return time.perf_counter() - started


async def fill(index: EdgeIndex, count: int, workers: int, start: int) -> float:
    """Passages a second with ``workers`` documents at once; making them up is not counted."""
    made = [document(start + number) for number in range(count // PER_DOCUMENT)]
    queue = iter(made)
    started = time.perf_counter()

    async def work() -> None:
        for state, points in queue:
            await put(index, state, points)

    await asyncio.gather(*(work() for _ in range(workers)))
    return len(made) * PER_DOCUMENT / (time.perf_counter() - started)


async def ask(index: EdgeIndex, questions: int) -> float:
    """Seconds of one e-mail's search with ``questions`` questions, fused."""
    scope = Scope(("public",), ("default",))
    queries = [IndexQuery(unit(), terms(8), scope, "hybrid", 40) for _ in range(questions)]
    started = time.perf_counter()
    found = await index.search(EMBEDDING, queries)
    states = await index.states(EMBEDDING, documents_of(found))
    kept, _ = visible(found, states)
    assert len(fuse(kept, 8)) == 8
    return time.perf_counter() - started


def memory() -> int:
    """Present resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


async def run(passages: int) -> dict[str, float]:
    result: dict[str, float] = {"passages": passages}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        index = EdgeIndex(Path(folder))
        await index.open()
        await index.create(EMBEDDING, DIMENSION)
        sample, done = min(1200, passages // 4), 0
        for workers in (1, 4, 16):
            share = sample if workers < 16 else passages - done
            rate = await fill(index, share, workers, start=done)
            done += share
            result[f"passages_per_s_{workers}_at_once"] = round(rate, 1)
        for questions in (1, 3):
            times = sorted([await ask(index, questions) for _ in range(100)])
            result[f"search_{questions}_p50_ms"] = round(times[50] * 1e3, 2)
            result[f"search_{questions}_p99_ms"] = round(times[98] * 1e3, 2)
        result["resident_mib"] = memory()
        await index.close()
        again = EdgeIndex(Path(folder))
        started = time.perf_counter()
        await again.open()
        await ask(again, 1)
        result["open_and_first_search_s"] = round(time.perf_counter() - started, 3)
        await again.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=20_000)
    result = asyncio.run(run(parser.parse_args().passages))
    for name, value in result.items():
        print(f"{name:32}{value:>12}")
    print(json.dumps({"benchmark": "index", **result}))


if __name__ == "__main__":
    main()
