"""Documents: from a submission to chunks that wait to be embedded, and their removal."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from services.ingest import catalogue
from services.ingest.catalogue import Entry
from services.ingest.formats.model import Unreadable
from services.ingest.reading import CHUNKING, Reading, Submission
from shared.clock import Clock
from shared.document_events import (
    DocumentChunked,
    DocumentChunkedData,
    DocumentRejected,
    DocumentRejectedData,
    DocumentRemoved,
    DocumentSubmitted,
    DocumentSubmittedData,
)
from shared.envelope import caused
from shared.identity import document_id, sha256, short_hash, stable_id
from shared.objects import Missing, ObjectStore, TooLarge
from shared.records import DocumentBlock, DocumentVersion

SOURCE = "ingest"


class DocumentReader(Protocol):
    """Reads untrusted files apart from the service, within a time limit."""

    async def document(self, submission: Submission) -> Reading:
        """The document parsed and cut. Raises Unreadable, Unavailable."""

    async def text(self, data: bytes, name: str, media_type: str | None) -> str:
        """The text of an attachment. Raises Unreadable, Unavailable."""


class DocumentLocks(Protocol):
    """One writer of a document's catalogue entry at a time, in all processes."""

    def document(self, document_id: UUID) -> AbstractAsyncContextManager[None]:
        """Held while an entry is compared and replaced. Raises Unavailable."""


class DocumentIntake:
    """The use cases of documents. `fingerprint` names how the embedder's chunks are cut."""

    def __init__(
        self,
        objects: ObjectStore,
        reader: DocumentReader,
        locks: DocumentLocks,
        clock: Clock,
        fingerprint: str,
        max_bytes: int,
    ) -> None:
        self._objects = objects
        self._reader = reader
        self._locks = locks
        self._clock = clock
        self._fingerprint = fingerprint
        self._max_bytes = max_bytes

    async def take(self, event: DocumentSubmitted) -> DocumentChunked | DocumentRejected | None:
        """Read a submitted document.

        None when there is nothing to do: the live version is the same, or newer. A redelivered
        event gives the same answer again. Raises Missing (no object under its key), Unavailable.
        """
        submitted = event.data
        identity = document_id(submitted.collection, submitted.locator())
        try:
            data = await self._content(submitted)
        except Unreadable as refusal:
            return self._rejected(event, identity, refusal, submitted.key or "")
        version = DocumentVersion(submitted=submitted.submitted, sha256=sha256(data))
        entry = await self._entry(identity)
        if entry and entry.chunked and entry.is_of(event.id, version.sha256):
            return self._chunked(event, entry.chunked)
        if entry and entry.supersedes(version):
            return None
        if entry and await self._renewed(identity, submitted, version):
            return None
        submission = Submission(
            data,
            submitted.name,
            submitted.media_type,
            submitted.title,
            identity,
            version.sha256,
        )
        try:
            reading = await self._reader.document(submission)
        except Unreadable as refusal:
            return self._rejected(event, identity, refusal, version.sha256)
        chunked = await self._enter(event, data, version, reading)
        return self._chunked(event, chunked) if chunked else None

    async def remove(self, event: DocumentRemoved) -> DocumentChunked | None:
        """Leave a tombstone and delete what is stored, unless a newer version came since.

        That version is then said again: its content may be that of the version removed, which
        nobody was told of a second time.
        """
        identity, removed = event.data.document_id, event.data.removed
        # What a newer version stores must not be deleted: all of it happens under the lock.
        async with self._locks.document(identity):
            entry = await self._entry(identity)
            if entry and entry.chunked and entry.chunked.document.version.submitted > removed:
                return self._chunked(event, entry.chunked)
            if entry and entry.removed:
                removed = max(removed, entry.removed)
            await self._write(identity, Entry(event_id=event.id, removed=removed))
            for prefix in (f"{catalogue.PREFIX}{identity}/", catalogue.chunks_prefix(identity)):
                async for key in self._objects.keys(prefix):
                    if not catalogue.is_entry(key):
                        await self._objects.remove(key)
        return None

    async def rebuild(self, embedding: str) -> AsyncIterator[DocumentChunked]:
        """`document.chunked` again for every live document, for the index of `embedding`."""
        # Part of the ids: the broker would drop a second rebuild's events as duplicates.
        began = self._clock().isoformat()
        async for key in self._objects.keys(catalogue.PREFIX):
            if not catalogue.is_entry(key):
                continue
            entry = Entry.model_validate_json(await self._objects.get(key))
            if entry.chunked is not None:
                yield self._again(entry.chunked, embedding, began)

    async def _content(self, submitted: DocumentSubmittedData) -> bytes:
        """The document's bytes. Raises Unreadable (over the limit), Missing, Unavailable."""
        data = submitted.content if submitted.content is not None else b""
        try:
            if submitted.key is not None:
                data = await self._objects.get(submitted.key, at_most=self._max_bytes)
            elif len(data) > self._max_bytes:
                raise TooLarge(submitted.name, len(data), self._max_bytes)
        except TooLarge as error:
            raise Unreadable(
                f"Le fichier dépasse la limite de {self._max_bytes / 2**20:.3g} Mio : "
                "allégez-le ou découpez-le.",
                "too-large",
            ) from error
        return data

    async def _store(
        self,
        submitted: DocumentSubmittedData,
        data: bytes,
        identity: UUID,
        version: DocumentVersion,
        reading: Reading,
    ) -> DocumentChunkedData:
        """Write original, text and chunks; returns what `document.chunked` says."""
        guessed, _ = mimetypes.guess_type(submitted.name)
        block = DocumentBlock(
            document_id=identity,
            version=version,
            collection=submitted.collection,
            name=submitted.name,
            title=reading.title,
            url=submitted.url or reading.url,
            audience=submitted.audience,
            media_type=submitted.media_type or guessed or "application/octet-stream",
            size=len(data),
            original_key=catalogue.content_key(identity, version.sha256, "original"),
            text_key=catalogue.content_key(identity, version.sha256, "text.json"),
        )
        cut = short_hash(CHUNKING, self._fingerprint, reading.title)
        key = f"{catalogue.chunks_prefix(identity)}{version.sha256}-{cut}.parquet"
        await asyncio.gather(
            self._objects.put(block.original_key, data, block.media_type),
            self._objects.put(block.text_key, reading.text, "application/json"),
            self._objects.put(key, reading.chunks),
        )
        return DocumentChunkedData(document=block, chunks_key=key, count=reading.count)

    async def _enter(
        self, event: DocumentSubmitted, data: bytes, version: DocumentVersion, reading: Reading
    ) -> DocumentChunkedData | None:
        """Store the version and make it the live one; None when a newer one came meanwhile."""
        identity = document_id(event.data.collection, event.data.locator())
        async with self._locks.document(identity):
            present = await self._entry(identity)
            if present and present.supersedes(version):
                return None
            chunked = await self._store(event.data, data, identity, version, reading)
            await self._write(identity, Entry(event_id=event.id, chunked=chunked))
        return chunked

    async def _renewed(
        self, identity: UUID, submitted: DocumentSubmittedData, version: DocumentVersion
    ) -> bool:
        """Whether the live version is the same; it then counts as submitted now.

        A removal from before, still on its way, leaves it alone.
        """
        async with self._locks.document(identity):
            present = await self._entry(identity)
            if present is None or not present.holds(submitted, version.sha256):
                return False
            await self._write(identity, present.renewed(version.submitted))
        return True

    async def _entry(self, identity: UUID) -> Entry | None:
        try:
            return Entry.model_validate_json(await self._objects.get(catalogue.entry_key(identity)))
        except Missing:
            return None

    async def _write(self, identity: UUID, entry: Entry) -> None:
        body = entry.model_dump_json().encode()
        await self._objects.put(catalogue.entry_key(identity), body, "application/json")

    def _chunked(
        self, event: DocumentSubmitted | DocumentRemoved, data: DocumentChunkedData
    ) -> DocumentChunked:
        block = data.document
        return caused(
            event,
            DocumentChunked,
            source=SOURCE,
            time=self._clock(),
            data=data,
            subject=str(block.document_id),
            # Producers may give two documents the same event id.
            discriminator=f"{block.document_id}/{block.version.sha256}",
        )

    def _again(self, data: DocumentChunkedData, embedding: str, began: str) -> DocumentChunked:
        block = data.document
        version = (block.version.submitted.isoformat(), block.version.sha256)
        return DocumentChunked.make(
            source=SOURCE,
            subject=str(block.document_id),
            time=self._clock(),
            data=data,
            id=stable_id("rebuild", str(block.document_id), *version, embedding, began),
        )

    def _rejected(
        self, event: DocumentSubmitted, identity: UUID, refusal: Unreadable, content: str
    ) -> DocumentRejected:
        submitted = event.data
        data = DocumentRejectedData(
            collection=submitted.collection,
            document_id=identity,
            name=submitted.name,
            url=submitted.url,
            audience=submitted.audience,
            submitted=submitted.submitted,
            code=refusal.code,
            detail=refusal.reason_fr,
        )
        return caused(
            event,
            DocumentRejected,
            source=SOURCE,
            time=self._clock(),
            data=data,
            subject=str(identity),
            discriminator=f"{identity}/{content}",
        )
