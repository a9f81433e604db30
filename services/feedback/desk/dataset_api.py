"""The HTTP API of the datasets: `sourcier export` and jobs of one's own use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse

from services.feedback.desk.guards import DataScientist
from services.feedback.desk.parts import desk_of
from services.feedback.review_api import REFUSALS
from services.feedback.training.versions import Datasets, Export, ExportWish, Version

router = APIRouter(prefix="/v1/datasets", responses=REFUSALS, tags=["datasets"])
Number = Annotated[int, Path(ge=1, le=1_000_000, description="The n of version vN.")]
Limit = Annotated[int, Query(ge=1, le=500)]
After = Annotated[
    int | None, Query(ge=1, le=1_000_000, description="The last version of the page before.")
]


def datasets_of(request: Request) -> Datasets:
    """The use cases of the datasets."""
    return desk_of(request).datasets


@router.post("", status_code=202, summary="Make a version")
async def start(request: Request, viewer: DataScientist, wish: ExportWish) -> Export:
    """It is made beside the service, of the account's mailboxes; ask `exports/{export_id}` how
    it stands. 409 while another is being made."""
    return await datasets_of(request).start(viewer, wish)


@router.get("", summary="Versions, newest first")
async def versions(
    request: Request, viewer: DataScientist, limit: Limit = 50, after: After = None
) -> Sequence[Version]:
    """Each with its manifest: counts, hashes, configuration, what was left out and why."""
    return await datasets_of(request).versions(viewer, limit, after)


@router.get("/exports/{export_id}", summary="How an export stands")
async def export(request: Request, viewer: DataScientist, export_id: UUID) -> Export:
    """`done` of `total` e-mails; `version` once its state is `done`, `why` when it failed."""
    return await datasets_of(request).export(viewer, export_id)


@router.get("/{version}", summary="The manifest of a version")
async def manifest(request: Request, viewer: DataScientist, version: Number) -> dict[str, Any]:
    """As `manifest.json` has it."""
    return (await datasets_of(request).version(viewer, version)).manifest


@router.get("/{version}/files/{path:path}", summary="A file of a version")
async def file(
    request: Request, viewer: DataScientist, version: Number, path: str
) -> StreamingResponse:
    """One of the manifest's `files`, or `manifest.json`."""
    size, pieces = await datasets_of(request).file(viewer, version, path)
    name = f"v{version}-{path.replace('/', '-')}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if size:
        headers["Content-Length"] = str(size)
    return StreamingResponse(pieces, media_type="application/octet-stream", headers=headers)
