"""What only the embedded index promises: one process, and nothing settled is ever lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.retrieve.adapters.qdrant_edge import EdgeIndex, GroupCommit, IndexInUse
from services.retrieve.indexing import IndexingService
from shared.delivery import Invalid, Unavailable
from shared.objects import MemoryObjects
from tests.fakes.index import AT, DIMENSION, block, embedded, question, removed

pytest_plugins = ["tests.fakes.index_fixtures"]

WRITER = """
import asyncio, os, signal, sys
from pathlib import Path
from services.retrieve.adapters.qdrant_edge import EdgeIndex
from services.retrieve.indexing import IndexingService
from shared.objects import MemoryObjects
from tests.fakes.index import AT, block, embedded, removed

async def main():
    index, objects = EdgeIndex(Path(sys.argv[1])), MemoryObjects()
    await index.open()
    service = IndexingService(index, objects, clock=lambda: AT)
    for number in range(5):
        event = embedded(objects, block(f"{number}.md", "x", 1), [f"règle {number}"])
        assert (await service.take_document(event)).data.live
    await service.take_removal(removed(event.data.document.document_id, 5))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_it_survives_being_killed(folder: Path) -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", WRITER, str(folder)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr
    index = EdgeIndex(folder)
    await index.open()
    assert await index.served() == ("e1",)
    (found,) = await index.search("e1", [question("règle")])
    assert {hit.passage.text for hit in found.hits} == {f"règle {n}" for n in range(4)}
    service = IndexingService(index, MemoryObjects(), clock=lambda: AT)
    late = embedded(MemoryObjects(), block("4.md", "x", 1), ["règle 4"])
    assert (await service.take_document(late)).data.live is False, "still removed"
    await index.close()


async def test_second_process_is_told_who_has_it(folder: Path) -> None:
    first, second = EdgeIndex(folder), EdgeIndex(folder)
    await first.open()
    with pytest.raises(IndexInUse, match=rf"open in process {os.getpid()}.*index = \"server\""):
        await second.open(patience=0)
    with pytest.raises(Unavailable, match="not open"):
        await second.ready()
    await first.close()
    await second.open(patience=0)
    await second.ready()
    await second.close()


async def test_points_lost_in_a_power_cut_are_written_again(folder: Path) -> None:
    """The state may reach the disk without its points; the event comes again, unacknowledged."""
    index, objects = EdgeIndex(folder), MemoryObjects()
    await index.open()
    service = IndexingService(index, objects, clock=lambda: AT)
    event = embedded(objects, block("a.md", "x", 1), ["règle une", "règle deux"])
    await service.take_document(event)
    (found,) = await index.search("e1", [question("règle")])
    await index.drop("e1", found.hits[0].passage.token)
    assert (await service.take_document(event)).data.live
    (found,) = await index.search("e1", [question("règle")])
    assert len(found.hits) == 2
    await index.close()


async def test_half_made_shard_is_made_again(folder: Path) -> None:
    draft = folder / "shards" / ".e1.new"
    draft.mkdir(parents=True)
    (draft / "edge_config.json").write_text("{")
    index = EdgeIndex(folder)
    await index.open()
    assert await index.embeddings() == ()
    await index.create("e1", DIMENSION)
    assert await index.embeddings() == ("e1",)
    with pytest.raises(Invalid, match="no collection for embedding 'e2'"):
        await index.all_states("e2")
    await index.close()


async def test_waiting_flushes_are_one_flush() -> None:
    flushed: list[int] = []
    written = 0

    async def flush() -> None:
        seen = written
        await asyncio.sleep(0.01)
        flushed.append(seen)

    commit = GroupCommit(flush)

    async def write() -> None:
        nonlocal written
        written += 1
        own = written
        await commit.join()
        assert max(flushed) >= own, "no one returns before a flush that began after his write"

    await asyncio.gather(*(write() for _ in range(20)))
    await asyncio.gather(*(write() for _ in range(20)))
    assert len(flushed) <= 4


async def test_failed_flush_reaches_all_who_wait() -> None:
    async def flush() -> None:
        raise Unavailable("no space left for the index")

    commit = GroupCommit(flush)
    ends = await asyncio.gather(*(commit.join() for _ in range(3)), return_exceptions=True)
    assert [type(end) for end in ends] == [Unavailable] * 3


async def test_removal_is_remembered_without_any_collection(folder: Path) -> None:
    index = EdgeIndex(folder)
    await index.open()
    document = block("a.md", "x", 1)
    service = IndexingService(index, MemoryObjects(), clock=lambda: AT)
    await service.take_removal(removed(document.document_id, 5))
    await index.close()
    index, objects = EdgeIndex(folder), MemoryObjects()
    await index.open()
    service = IndexingService(index, objects, clock=lambda: AT)
    said = await service.take_document(embedded(objects, document, ["règle"]))
    assert said.data.live is False
    await index.close()
