"""What readers see while versions and removals of a document come in any order, at once."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from services.retrieve.indexing import IndexingService
from services.retrieve.passages import Found
from services.retrieve.service import PassageIndex
from services.retrieve.versions import Rank, embedded_state, removed_state
from services.retrieve.visibility import documents_of, visible
from shared.document_events import DocumentEmbedded, DocumentRemoved
from shared.objects import MemoryObjects
from tests.fakes.index import AT, block, embedded, question, removed

pytest_plugins = ["tests.fakes.index_fixtures"]
DocumentChange = DocumentEmbedded | DocumentRemoved


class Interleaved:
    """Lets other tasks in before each call to the index, as often as chance will have it."""

    def __init__(self, index: PassageIndex, chance: random.Random) -> None:
        self._index = index
        self._chance = chance

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._index, name)

        async def later(*args: Any) -> Any:
            for _ in range(self._chance.randrange(4)):
                await asyncio.sleep(0)
            return await call(*args)

        return later


def history(name: str, chance: random.Random) -> tuple[MemoryObjects, list[DocumentChange]]:
    """Up to four versions and up to two removals, some delivered twice, in random order."""
    objects = MemoryObjects()
    minutes = chance.sample(range(10), k=6)
    versions = [
        embedded(objects, block(name, f"v{m}", m), [f"règle v{m} partie {n}" for n in range(m + 1)])
        for m in minutes[: chance.randint(1, 4)]
    ]
    document = versions[0].data.document.document_id
    removals = [removed(document, minute) for minute in minutes[4 : 4 + chance.randrange(3)]]
    changes: list[DocumentChange] = [*versions, *removals]
    changes += chance.sample(changes, k=chance.randrange(len(changes)))
    chance.shuffle(changes)
    return objects, changes


def rank_of(change: DocumentChange) -> Rank:
    if isinstance(change, DocumentRemoved):
        return removed_state(change).rank
    return embedded_state(change).rank


async def take(service: IndexingService, change: DocumentChange) -> None:
    if isinstance(change, DocumentRemoved):
        await service.take_removal(change)
    else:
        await service.take_document(change)


async def read(index: PassageIndex) -> Found:
    """What SearchService does, by its rules."""
    if "e1" not in await index.embeddings():
        return Found()
    for _ in range(3):
        raw = await index.search("e1", [question("règle partie", candidates=60)])
        states = await index.states("e1", documents_of(raw))
        (found,), overtaken = visible(raw, states)
        if not overtaken:
            break
    return found


def service(index: PassageIndex, objects: MemoryObjects) -> IndexingService:
    return IndexingService(index, objects, clock=lambda: AT)


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_ends_with_the_newest(index: PassageIndex, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    objects, changes = history(f"{seed}.md", chance)
    indexing = service(Interleaved(index, chance), objects)  # type: ignore[arg-type]
    await asyncio.gather(*(take(indexing, change) for change in changes))
    newest = max(changes, key=rank_of)
    found = await read(index)
    shown = {(hit.passage.token, hit.passage.text) for hit in found.hits}
    if isinstance(newest, DocumentRemoved):
        assert shown == set()
    else:
        assert len(shown) == newest.data.count
        assert {token for token, _ in shown} == {embedded_state(newest).token}
    await nothing_left_over(index, changes, newest)


async def nothing_left_over(
    index: PassageIndex, changes: Iterable[DocumentChange], newest: DocumentChange
) -> None:
    for change in changes:
        if isinstance(change, DocumentEmbedded):
            expected = change.data.count if rank_of(change) == rank_of(newest) else 0
            assert await index.count("e1", embedded_state(change).token) == expected


async def test_readers_see_one_version_and_never_nothing(index: PassageIndex) -> None:
    objects = MemoryObjects()
    versions = [
        embedded(objects, block("a.md", f"v{m}", m), [f"règle v{m} partie {n}" for n in range(9)])
        for m in range(12)
    ]
    indexing = service(index, objects)
    await indexing.take_document(versions[0])
    done = asyncio.Event()
    seen = [asyncio.create_task(watch(index, done)) for _ in range(3)]
    for pair in pairs(versions[1:]):
        await asyncio.gather(*(indexing.take_document(event) for event in pair))
    done.set()
    for ranks in await asyncio.gather(*seen):
        assert ranks, "the reader read"
        assert ranks == sorted(ranks), "no reader goes back to an older version"


def pairs(events: Sequence[DocumentEmbedded]) -> Iterable[Sequence[DocumentEmbedded]]:
    return (events[start : start + 2] for start in range(0, len(events), 2))


async def watch(index: PassageIndex, done: asyncio.Event) -> list[Rank]:
    """Read until ``done``; each read shows exactly one version, whole."""
    ranks: list[Rank] = []
    while not done.is_set():
        found = await read(index)
        assert {hit.passage.rank for hit in found.hits} != set(), "never nothing"
        assert len({hit.passage.token for hit in found.hits}) == 1, "never a mixture"
        assert len(found.hits) == 9, "never a part"
        ranks.append(found.hits[0].passage.rank)
        await asyncio.sleep(0.001)
    return ranks


async def test_a_removal_before_the_first_document_wins(index: PassageIndex) -> None:
    objects = MemoryObjects()
    late = embedded(objects, block("a.md", "x", 1), ["règle une"])
    indexing = service(index, objects)
    await indexing.take_removal(removed(late.data.document.document_id, 5))
    said = await indexing.take_document(late)
    assert said.data.live is False
    assert (await read(index)).hits == ()
    again = embedded(objects, block("a.md", "x", 9), ["règle une"])
    assert (await indexing.take_document(again)).data.live is True
    assert len((await read(index)).hits) == 1


async def test_a_removal_reaches_a_collection_made_later(index: PassageIndex) -> None:
    objects = MemoryObjects()
    document = block("a.md", "x", 1)
    indexing = service(index, objects)
    await indexing.take_document(embedded(objects, document, ["règle une"], embedding="e1"))
    await indexing.take_removal(removed(document.document_id, 5))
    late = await indexing.take_document(embedded(objects, document, ["une"], embedding="e2"))
    assert late.data.live is False


async def test_same_version_from_other_chunks_replaces(index: PassageIndex) -> None:
    objects = MemoryObjects()
    document = block("a.md", "x", 1)
    first = embedded(objects, document, ["règle longue et entière"])
    indexing = service(index, objects)
    await indexing.take_document(first)
    key = first.data.vectors_key.replace("-c1", "-c2")
    second = embedded(objects, document, ["règle", "longue règle"])
    objects.data[key] = objects.data[second.data.vectors_key]
    data = second.data.model_copy(update={"vectors_key": key})
    later = AT.replace(hour=23)
    rebuilt = second.model_copy(update={"data": data, "id": uuid.uuid4(), "time": later})
    await indexing.take_document(rebuilt)
    found = await read(index)
    assert sorted(hit.passage.text for hit in found.hits) == ["longue règle", "règle"]
