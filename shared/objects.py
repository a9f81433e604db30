"""The object store: one Protocol, S3 through minio, and a store in memory for tests."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar, cast

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from shared import settings
from shared.delivery import Invalid, Unavailable

T = TypeVar("T")
PROBE_KEY = "inbox/probe"
"""What ``ready`` writes."""
PIECE = 4 * settings.MIB
"""Bytes that ``stream`` reads at once."""
PART = 16 * settings.MIB
"""Bytes of a part of a large file; a few of them are in memory while it is stored."""
Progress = Callable[[int], None]
"""Called from any thread with the number of further bytes done."""


class ObjectStore(Protocol):
    """Bytes by key. Keys are made of content hashes and ids, so a repeated put is harmless."""

    async def put(self, key: str, data: bytes, media_type: str = ...) -> None:
        """Store ``data``. Raises ``Unavailable`` when the store is down or full."""

    async def get(self, key: str, at_most: int | None = None) -> bytes:
        """The bytes of ``key``.

        Raises ``Missing`` when there are none, ``TooLarge`` before reading more than ``at_most``
        bytes, ``Unavailable``.
        """

    async def put_file(self, key: str, path: Path, progress: Progress = ...) -> None:
        """Store a file of any size, whole or not at all. Raises ``OSError``, ``Unavailable``."""

    def stream(self, key: str, start: int = 0) -> AsyncIterator[bytes]:
        """The bytes of ``key`` from ``start`` (below its size) on, in pieces.

        Raises ``Missing``, ``Unavailable``, also in its midst.
        """

    async def size(self, key: str) -> int:
        """Bytes of ``key``. Raises ``Missing``, ``Unavailable``."""

    async def exists(self, key: str) -> bool:
        """Whether ``key`` is stored. Raises ``Unavailable``."""

    async def remove(self, key: str) -> None:
        """Delete ``key``; nothing happens when it is not there. Raises ``Unavailable``."""

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """All keys that begin with ``prefix``. Raises ``Unavailable``."""

    async def ready(self) -> None:
        """Returns when the store takes and gives objects. Raises ``Unavailable``."""


class Missing(Invalid):
    """An event names an object that is not in the store."""


class TooLarge(Invalid):
    """An object is larger than its reader takes."""

    def __init__(self, key: str, size: int, at_most: int) -> None:
        super().__init__(f"object {key!r} has {size} bytes, more than {at_most}")


def unseen(_count: int) -> None:
    """Progress that nobody watches."""


_GONE = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}


class S3Objects:
    """An S3 bucket through minio-py (blocking calls run in threads)."""

    def __init__(self, config: settings.Objects) -> None:
        if not config.secret_key.get_secret_value():
            raise ValueError("the object store needs SOURCIER_OBJECTS__SECRET_KEY")
        timeout = urllib3.Timeout(connect=3, read=30)
        pool = urllib3.PoolManager(timeout=timeout, maxsize=16, retries=urllib3.Retry(0))
        self._bucket = config.bucket
        self._client = Minio(
            config.endpoint,
            access_key=config.access_key,
            secret_key=config.secret_key.get_secret_value(),
            secure=config.secure,
            http_client=pool,
        )

    async def put(
        self, key: str, data: bytes, media_type: str = "application/octet-stream"
    ) -> None:
        def call() -> None:
            self._client.put_object(
                self._bucket, key, io.BytesIO(data), len(data), content_type=media_type
            )

        await self._run(call, key)

    async def get(self, key: str, at_most: int | None = None) -> bytes:
        def call() -> bytes:
            if at_most is not None:
                size = self._client.stat_object(self._bucket, key).size or 0
                if size > at_most:
                    raise TooLarge(key, size, at_most)
            response = self._client.get_object(self._bucket, key)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

        return await self._run(call, key)

    async def put_file(self, key: str, path: Path, progress: Progress = unseen) -> None:
        file = await asyncio.to_thread(path.open, "rb")
        with file:
            data = cast(BinaryIO, _Watched(file, progress))
            length = os.fstat(file.fileno()).st_size
            await self._run(
                lambda: self._client.put_object(self._bucket, key, data, length, part_size=PART),
                key,
            )

    async def stream(self, key: str, start: int = 0) -> AsyncIterator[bytes]:
        response = await self._run(
            lambda: self._client.get_object(self._bucket, key, offset=start), key
        )
        try:
            while piece := await self._run(lambda: response.read(PIECE), key):
                yield piece
        finally:
            response.close()
            response.release_conn()

    async def size(self, key: str) -> int:
        found = await self._run(lambda: self._client.stat_object(self._bucket, key), key)
        return found.size or 0

    async def exists(self, key: str) -> bool:
        try:
            await self.size(key)
        except Missing:
            return False
        return True

    async def remove(self, key: str) -> None:
        await self._run(lambda: self._client.remove_object(self._bucket, key), key)

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        def call() -> list[str]:
            listed = self._client.list_objects(self._bucket, prefix=prefix, recursive=True)
            return [item.object_name for item in listed if item.object_name]

        for key in await self._run(call, prefix):
            yield key

    async def ready(self) -> None:
        def call() -> None:
            if not self._client.bucket_exists(self._bucket):
                self._client.make_bucket(self._bucket)

        await self._run(call, self._bucket)
        # A full or read-only store still answers questions: only a write shows that it serves.
        await self.put(PROBE_KEY, b"")

    async def _run(self, call: Callable[[], T], key: str) -> T:
        try:
            return await asyncio.to_thread(call)
        except S3Error as error:
            if error.code in _GONE:
                raise Missing(f"no object {key!r} in bucket {self._bucket!r}") from error
            raise Unavailable(f"object store: {error.code}: {error.message}") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"object store does not answer: {error}") from error


class _Watched:
    """A file to be read, that says how much of it was."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file, self._progress = file, progress

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._progress(len(data))
        return data


class MemoryObjects:
    """The same contract in memory, for unit tests."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    async def put(
        self, key: str, data: bytes, media_type: str = "application/octet-stream"
    ) -> None:
        self.data[key] = data

    async def get(self, key: str, at_most: int | None = None) -> bytes:
        try:
            data = self.data[key]
        except KeyError:
            raise Missing(f"no object {key!r}") from None
        if at_most is not None and len(data) > at_most:
            raise TooLarge(key, len(data), at_most)
        return data

    async def put_file(self, key: str, path: Path, progress: Progress = unseen) -> None:
        self.data[key] = await asyncio.to_thread(path.read_bytes)
        progress(len(self.data[key]))

    async def stream(self, key: str, start: int = 0) -> AsyncIterator[bytes]:
        data = await self.get(key)
        for at in range(start, len(data), PIECE):
            yield data[at : at + PIECE]

    async def size(self, key: str) -> int:
        return len(await self.get(key))

    async def exists(self, key: str) -> bool:
        return key in self.data

    async def remove(self, key: str) -> None:
        self.data.pop(key, None)

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        for key in sorted(self.data):
            if key.startswith(prefix):
                yield key

    async def ready(self) -> None:
        return None
