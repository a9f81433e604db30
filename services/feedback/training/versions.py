"""Versions of the datasets as data scientists use them: make one, follow it, look, download."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID, uuid4

from pydantic import AwareDatetime, Field

from services.feedback.access import Audit, Viewer
from services.feedback.reviewing import Conflict, NotFound
from services.feedback.training.pairs import KINDS, Kind
from shared.envelope import Frozen
from shared.objects import ObjectStore

SILENT = timedelta(minutes=3)
"""Without a sign of its program an export has been interrupted."""
MANIFEST = "manifest.json"
PREVIEW = 20
_PREVIEW_BYTES = 2_000_000


class ExportWish(Frozen):
    """Which kinds of rows; drafts of the extractive engine become pairs on request only."""

    kinds: tuple[Kind, ...] = Field(default=KINDS, min_length=1, max_length=3)
    include_extractive: bool = False


class Export(Frozen):
    """An export: ``done`` of ``total`` e-mails; ``why`` it failed: a code and figures, or words."""

    export_id: UUID
    account: str
    wish: ExportWish
    state: Literal["running", "done", "failed"]
    stage: str = ""
    done: int = 0
    total: int = 0
    version: int | None = None
    why: str = ""
    started: AwareDatetime
    seen: AwareDatetime


class Version(Frozen):
    """A version and what its manifest tells."""

    version: int
    created: AwareDatetime
    account: str
    prefix: str
    manifest: dict[str, Any]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file by path."""
        return {file["path"]: int(file["bytes"]) for file in self.manifest["files"]}


class Counts(Frozen):
    """What agents decided so far, and on how many e-mails."""

    mails: int
    decisions: dict[str, int]


class Versions(Protocol):
    """What PostgreSQL keeps of exports; all of it of the viewer's mailboxes. Unavailable."""

    async def begin(
        self, viewer: Viewer, wish: ExportWish, export_id: UUID, silent: timedelta
    ) -> Export | None:
        """Note that an export begins; None while another runs that was not silent for so long."""

    async def export(self, viewer: Viewer, export_id: UUID) -> Export | None:
        """One export."""

    async def last(self, viewer: Viewer) -> Export | None:
        """The export that began last."""

    async def failed(self, export_id: UUID, why: str) -> None:
        """Note why an export that still runs gave nothing."""

    async def versions(self, viewer: Viewer, limit: int, after: int | None) -> Sequence[Version]:
        """Newest first, those older than the version `after`."""

    async def version(self, viewer: Viewer, version: int) -> Version | None:
        """One of them."""

    async def counts(self, viewer: Viewer) -> Counts:
        """What an export would go through."""


Launch = Callable[[Export], Awaitable[None]]
"""Starts the program that makes the version, which goes on by itself."""


class Datasets:
    """The use cases of the page and of `sourcier export`."""

    def __init__(
        self,
        versions: Versions,
        objects: ObjectStore,
        launch: Launch,
        audit: Audit,
        clock: Callable[[], datetime],
    ) -> None:
        self._versions, self._objects, self._launch = versions, objects, launch
        self._audit, self._clock = audit, clock

    async def start(self, viewer: Viewer, wish: ExportWish) -> Export:
        """Begin a version. Raises Conflict while another is being made."""
        begun = await self._versions.begin(viewer, wish, uuid4(), SILENT)
        if begun is None:
            raise Conflict("Un export est déjà en cours : attendez qu'il se termine.")
        kinds = " ".join(wish.kinds)
        await self._audit.record(viewer, "dataset.export", f"export:{begun.export_id}", kinds=kinds)
        try:
            await self._launch(begun)
        except OSError as error:
            await self._versions.failed(begun.export_id, f"not started: {error}")
            raise
        return begun

    async def export(self, viewer: Viewer, export_id: UUID) -> Export:
        """How an export stands. Raises NotFound."""
        found = await self._versions.export(viewer, export_id)
        if found is None:
            raise NotFound("Aucun export {id} n'est connu.", id=export_id)
        return self._judged(found)

    async def last(self, viewer: Viewer) -> Export | None:
        """How the last export stands."""
        found = await self._versions.last(viewer)
        return self._judged(found) if found else None

    async def versions(self, viewer: Viewer, limit: int, after: int | None) -> Sequence[Version]:
        """Newest first, those older than the version `after`."""
        return await self._versions.versions(viewer, limit, after)

    async def version(self, viewer: Viewer, version: int) -> Version:
        """One version. Raises NotFound."""
        found = await self._versions.version(viewer, version)
        if found is None:
            raise NotFound("Aucune version v{n} des jeux de données n'est connue.", n=version)
        return found

    async def counts(self, viewer: Viewer) -> Counts:
        """What an export would go through."""
        return await self._versions.counts(viewer)

    async def file(
        self, viewer: Viewer, version: int, path: str
    ) -> tuple[int, AsyncIterator[bytes]]:
        """Size (0: not known) and bytes of a file of a version. Raises NotFound."""
        found = await self.version(viewer, version)
        size = 0 if path == MANIFEST else found.sizes.get(path)
        if size is None:
            raise NotFound("La version v{n} n'a pas de fichier « {path} ».", n=version, path=path)
        await self._audit.record(viewer, "dataset.download", f"dataset:v{version}", path=path)
        return size, self._objects.stream(f"{found.prefix}{path}")

    async def preview(
        self, viewer: Viewer, version: int, kind: Kind
    ) -> Sequence[Mapping[str, Any]]:
        """The first rows of a kind, as they were written: pseudonyms in place of persons."""
        found = await self.version(viewer, version)
        for split in ("train", "validation", "test"):
            path = f"{kind}/{split}.jsonl"
            if found.sizes.get(path):
                return await self._first_rows(found.prefix + path)
        return ()

    async def _first_rows(self, key: str) -> Sequence[Mapping[str, Any]]:
        read = b""
        async for piece in self._objects.stream(key):
            read += piece
            if read.count(b"\n") >= PREVIEW or len(read) > _PREVIEW_BYTES:
                break
        lines = read.split(b"\n")[:-1][:PREVIEW]
        return [json.loads(line) for line in lines]

    def _judged(self, export: Export) -> Export:
        silent = export.state == "running" and self._clock() - export.seen > SILENT
        return (
            export.model_copy(update={"state": "failed", "why": "interrupted"})
            if silent
            else export
        )
