"""The index in this process: Qdrant Edge, one shard folder per embedding fingerprint.

Source: https://qdrant.tech/documentation/edge/ (qdrant-edge-py 0.9). In that version a filter on a
bool field matches nothing, so ``live`` is a keyword; a flush costs some 100 ms of fsync whatever
was written, so those asked for at the same time share one.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import quote, unquote
from uuid import UUID

from services.retrieve.adapters.edge_shard import Shard
from services.retrieve.passages import Found, IndexQuery, PassagePoint, Tally
from services.retrieve.service import REMOVALS
from services.retrieve.versions import State
from shared.delivery import Invalid, Unavailable

T = TypeVar("T")
_THREADS = 4
_LOCK_PATIENCE = 5.0


class IndexInUse(RuntimeError):
    """Another process has the index open."""


class EdgeIndex:
    """See ``PassageIndex``. Calls that block run in threads of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shards: dict[str, Shard] = {}
        self._opening = threading.Lock()
        self._lock: IO[str] | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="edge")
        self._commits: dict[str, GroupCommit] = {}

    async def open(self, patience: float = _LOCK_PATIENCE) -> None:
        """Take the folder for this process. Raises ``IndexInUse`` after ``patience`` seconds."""
        self._lock = await self._run(lambda: _take_lock(self._path, patience))

    async def close(self) -> None:
        """Flush and close all shards and let the folder go."""
        for shard in self._shards.values():
            await self._run(shard.close)
        self._shards.clear()
        self._threads.shutdown()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def create(self, embedding: str, dimension: int) -> None:
        def call() -> None:
            with self._opening:
                folder = self._folder(embedding)
                if not folder.exists():
                    # Renamed when whole: a crash in between leaves nothing that loads half.
                    draft = folder.with_name(f".{folder.name}.new")
                    shutil.rmtree(draft, ignore_errors=True)
                    Shard.create(draft, dimension).close()
                    draft.replace(folder)
            self._shard(embedding).require(dimension)

        await self._run(call)

    async def embeddings(self) -> tuple[str, ...]:
        return await self._run(self._names)

    async def served(self) -> tuple[str, ...]:
        return await self._run(self._served)

    async def serve(self, embedding: str) -> None:
        def call() -> None:
            with self._opening:
                former = [name for name in self._served() if name != embedding]
                self._point_to([embedding, *former])

        await self._run(call)

    async def discard(self, embedding: str) -> None:
        def call() -> None:
            with self._opening:
                self._point_to([name for name in self._served() if name != embedding])
            shard = self._shards.pop(embedding, None)
            if shard is not None:
                shard.close()
            shutil.rmtree(self._folder(embedding))

        await self._run(call)

    async def write(self, embedding: str, points: Sequence[PassagePoint]) -> None:
        await self._run(lambda: self._shard(embedding).write(points))

    async def reveal(self, embedding: str, state: State) -> None:
        await self._run(lambda: self._shard(embedding).reveal(state))

    async def advance(self, embedding: str, state: State) -> State:
        return await self._run(lambda: self._shard(embedding).advance(state))

    async def states(self, embedding: str, documents: Iterable[UUID]) -> dict[UUID, State]:
        wanted = list(documents)
        return await self._run(lambda: self._shard(embedding).states(wanted))

    async def all_states(self, embedding: str) -> list[State]:
        return await self._run(lambda: self._shard(embedding).all_states())

    async def prune(self, embedding: str, state: State) -> None:
        await self._run(lambda: self._shard(embedding).prune(state))

    async def drop(self, embedding: str, token: str) -> None:
        await self._run(lambda: self._shard(embedding).drop(token))

    async def count(self, embedding: str, token: str) -> int:
        return await self._run(lambda: self._shard(embedding).count(token))

    async def search(self, embedding: str, queries: Sequence[IndexQuery]) -> list[Found]:
        return await self._run(lambda: self._shard(embedding).search(queries))

    async def settle(self, embedding: str) -> None:
        commit = self._commits.get(embedding)
        if commit is None:
            commit = self._commits[embedding] = GroupCommit(
                lambda: self._run(lambda: self._shard(embedding).flush())
            )
        await commit.join()

    async def tally(self, embedding: str) -> Tally:
        return await self._run(lambda: self._shard(embedding).tally())

    async def ready(self) -> None:
        if self._lock is None:
            raise Unavailable(f"the index in {self._path} is not open")

    def _shard(self, embedding: str) -> Shard:
        with self._opening:
            shard = self._shards.get(embedding)
            if shard is None:
                folder = self._folder(embedding)
                if not folder.exists():
                    raise Invalid(f"the index has no collection for embedding {embedding!r}")
                shard = self._shards[embedding] = Shard.load(folder)
            return shard

    def _folder(self, embedding: str) -> Path:
        return self._path / "shards" / quote(embedding, safe="")

    def _names(self) -> tuple[str, ...]:
        shards = self._path / "shards"
        folders = sorted(each.name for each in shards.iterdir()) if shards.exists() else []
        names = (unquote(name) for name in folders if not name.startswith("."))
        return tuple(name for name in names if name != REMOVALS)

    def _served(self) -> tuple[str, ...]:
        pointer = self._path / "served.json"
        return tuple(json.loads(pointer.read_text())) if pointer.exists() else ()

    def _point_to(self, names: Sequence[str]) -> None:
        pointer = self._path / "served.json"
        draft = pointer.with_suffix(".new")
        with draft.open("w") as file:
            json.dump(list(names), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(pointer)

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _guarded, call)


class GroupCommit:
    """Lets all who wait for a flush at the same time share one."""

    def __init__(self, flush: Callable[[], Awaitable[None]]) -> None:
        self._flush = flush
        self._running = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Return after a flush that began after this call. Raises what the flush raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
        await asyncio.shield(self._next)

    async def _run(self) -> None:
        async with self._running:
            self._next = None  # who comes now has written too late for this flush
            await self._flush()


def _take_lock(path: Path, patience: float) -> IO[str]:
    path.mkdir(parents=True, exist_ok=True)
    file = (path / "lock").open("a+")
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise IndexInUse(
                f"the index in {path} is open in process {holder}, and Qdrant Edge allows one "
                "only: stop that process, choose another [retrieval] path, or use "
                '[retrieval] index = "server" for several'
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return file


def _guarded(call: Callable[[], T]) -> T:
    try:
        return call()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable(f"no space left for the index: {error}") from error
        raise
    except Exception as error:  # Edge raises bare Exception; only its text tells a full disk
        if "No space left" in str(error):
            raise Unavailable(f"no space left for the index: {error}") from error
        raise
