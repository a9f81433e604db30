"""The documents: found, handed in, replaced, taken away; their text and their versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from services.feedback.access import Viewer
from services.feedback.desk.guards import Curator, Reader
from services.feedback.desk.parts import desk_of
from services.feedback.desk.problems import answer
from services.feedback.desk.queue import STATUSES
from services.feedback.desk.rendering import render
from services.feedback.desk.sources import Span, original, span, web_address
from services.feedback.desk.uploading import TOO_MUCH, TooMuch, Upload, upload_of
from services.feedback.desk.words import marked, say, told
from services.feedback.library_records import PUBLIC, Form, Recent, Standing, Wish
from services.feedback.reading_documents import Removed
from services.feedback.reviewing import Unacceptable

router = APIRouter()
PAGE = 50
CITING = 50
RECENT_HOURS = 24
RECENT = 50
STANDINGS: dict[Standing, tuple[str, str]] = {
    "indexed": (marked("Indexé"), "good"),
    "reading": (marked("En cours de lecture"), "info"),
    "rejected": (marked("Refusé"), "bad"),
    "removed": (marked("Document retiré"), "neutral"),
}
OUTCOMES = STANDINGS | {"superseded": (marked("Remplacé depuis"), "neutral")}
KINDS = {
    "waiting": "info",
    "approved": "good",
    "edited": "good",
    "rejected": "bad",
    "withdrawn": "neutral",
    "unused": "warn",
}
SENT = marked("Déposé : le document sera lu dans quelques instants.")


@router.get("/desk/documents")
async def documents(
    request: Request,
    viewer: Reader,
    collection: str = "",
    status: Standing | str = "",
    text: Annotated[str, Query(max_length=200)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> HTMLResponse:
    """The documents of the viewer's audiences, the last changed first."""
    standing = status if status in STANDINGS else None
    wish = Wish(collection=collection, status=standing, text=text)
    return await _listed(request, viewer, wish, page)


@router.post("/desk/documents")
async def hand_in(request: Request, viewer: Curator) -> Response:
    """Take files in: one for a script that asks for JSON, else a whole form's."""
    try:
        upload = await upload_of(request, desk_of(request).config.ingest.document_max_bytes)
    except TooMuch:
        return answer(request, 413, *TOO_MUCH)
    try:
        refused = await _take(request, viewer, upload)
    finally:
        await upload.close()
    if "application/json" in request.headers.get("accept", ""):
        detail = refused[0][1] if refused else say(SENT)
        return JSONResponse({"detail": detail}, status_code=422 if refused else 202)
    if not refused:
        return RedirectResponse("/desk/documents#recent", status_code=303)
    return await _listed(request, viewer, Wish(), 1, refused, upload.fields)


@router.get("/desk/documents/recent")
async def recent(request: Request, viewer: Curator) -> HTMLResponse:
    """What became of the viewer's last files, as a fragment."""
    found = await _recent(request, viewer)
    return render(request, "documents_recent.html.j2", recent=found, outcomes=OUTCOMES)


@router.get("/desk/documents/{document_id}")
async def document(
    request: Request, viewer: Reader, document_id: UUID, said: str = ""
) -> HTMLResponse:
    """One document: where it stands, its versions, the drafts that cite it."""
    return await _shown(request, viewer, document_id, said=said)


@router.post("/desk/documents/{document_id}/version")
async def replace(request: Request, viewer: Curator, document_id: UUID) -> Response:
    """Hand in a new version."""
    desk = desk_of(request)
    try:
        upload = await upload_of(request, desk.config.ingest.document_max_bytes)
    except TooMuch:
        return answer(request, 413, *TOO_MUCH)
    try:
        if len(upload.files) != 1:
            raise Unacceptable("Choisissez le fichier de la nouvelle version.")
        file = upload.files[0]
        await desk.library.replace(viewer, document_id, file.file, file.content_type)
    except Unacceptable as error:
        return await _shown(request, viewer, document_id, error=told(error))
    finally:
        await upload.close()
    return RedirectResponse(f"/desk/documents/{document_id}?said=version", status_code=303)


@router.get("/desk/documents/{document_id}/remove")
async def confirm(request: Request, viewer: Curator, document_id: UUID) -> HTMLResponse:
    """Asks before a document is taken away."""
    entry = await desk_of(request).library.entry(viewer, document_id)
    return render(request, "documents_remove.html.j2", entry=entry)


@router.post("/desk/documents/{document_id}/remove")
async def remove(request: Request, viewer: Curator, document_id: UUID) -> Response:
    """Take a document away."""
    await desk_of(request).library.remove(viewer, document_id)
    return RedirectResponse(f"/desk/documents/{document_id}?said=removed", status_code=303)


@router.get("/desk/documents/{document_id}/{sha}")
async def read(
    request: Request, viewer: Reader, document_id: UUID, sha: str, p: Span = ""
) -> Response:
    """A version's text, with the passage that characters ``p`` = "start-end" are."""
    start, end = span(p)
    who = viewer.audience_list
    reading = desk_of(request).reading
    try:
        excerpt = await reading.passage_in_document(document_id, sha, start, end, who)
    except Removed as error:
        return answer(request, 410, _REMOVED, error)
    return render(
        request,
        "documents_text.html.j2",
        excerpt=excerpt,
        version=excerpt.version,
        link=web_address(excerpt.version.url),
        span=p if start is not None else "",
        public=PUBLIC,
    )


@router.get("/desk/documents/{document_id}/{sha}/original")
async def file(request: Request, viewer: Reader, document_id: UUID, sha: str) -> Response:
    """The file of a version as it was handed in."""
    try:
        reading = desk_of(request).reading
        return await original(reading, document_id, sha, viewer.audience_list)
    except Removed as error:
        return answer(request, 410, _REMOVED, error)


_REMOVED = marked("Document retiré")


async def _take(request: Request, viewer: Viewer, upload: Upload) -> list[tuple[str, str]]:
    """Hand every file in; those refused, with the reason."""
    if not upload.files:
        return [("", say("Choisissez au moins un fichier."))]
    refused = []
    for one in upload.files:
        form = Form(
            name=one.filename,
            collection=upload.fields.get("collection", "").strip() or "default",
            audience=upload.fields.get("audience", "") or PUBLIC,
            title=upload.fields.get("title", "").strip() or None,
            media_type=one.content_type,
        )
        try:
            await desk_of(request).library.hand_in(viewer, form, one.file)
        except Unacceptable as error:
            refused.append((one.filename, told(error)))
    return refused


async def _listed(
    request: Request,
    viewer: Viewer,
    wish: Wish,
    page: int,
    refused: list[tuple[str, str]] | None = None,
    fields: dict[str, str] | None = None,
) -> HTMLResponse:
    library = desk_of(request).library
    found = await library.shelves.entries(viewer, wish, PAGE + 1, PAGE * (page - 1))
    shelves = await library.shelves.shelves(viewer, wish)
    keeps = viewer.may("curator")
    config = desk_of(request).config
    searched = {name for box in config.mailboxes.values() for name in box.collections}
    values: dict[str, Any] = {
        "entries": found[:PAGE],
        "more": len(found) > PAGE,
        "page": page,
        "wish": wish,
        "shelves": shelves,
        "collections": sorted(searched | {shelf.collection for shelf in shelves}),
        "standings": STANDINGS,
        "outcomes": OUTCOMES,
        "audiences": library.audiences(viewer) if keeps else [],
        "recent": await _recent(request, viewer) if keeps else (),
        "refused": refused or [],
        "fields": fields or {"collection": wish.collection},
        "most": config.ingest.document_max_bytes // 2**20,
    }
    return render(request, "documents.html.j2", 422 if refused else 200, **values)


async def _recent(request: Request, viewer: Viewer) -> list[Recent]:
    since = datetime.now(UTC) - timedelta(hours=RECENT_HOURS)
    return list(await desk_of(request).library.shelves.recent(viewer, since, RECENT))


async def _shown(
    request: Request, viewer: Viewer, document_id: UUID, *, said: str = "", error: str = ""
) -> HTMLResponse:
    library = desk_of(request).library
    entry = await library.entry(viewer, document_id)
    return render(
        request,
        "documents_one.html.j2",
        422 if error else 200,
        entry=entry,
        versions=await library.shelves.versions(viewer, document_id),
        citing=await library.shelves.citing(viewer, document_id, CITING),
        link=web_address(entry.url),
        standings=STANDINGS,
        statuses=STATUSES,
        kinds=KINDS,
        public=PUBLIC,
        said=said,
        error=error,
    )
