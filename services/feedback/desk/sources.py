"""The public page of a passage in its document, that the references of replies link to.

Whoever got a reply reads it: without login, without cookies, the same for everybody, so that
caches may keep it.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote, urlsplit
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from services.feedback.desk.parts import desk_of
from services.feedback.desk.rendering import render
from services.feedback.desk.words import marked
from services.feedback.library_records import PUBLIC
from services.feedback.reading_documents import DocumentReading, Removed
from services.feedback.reviewing import NotFound

router = APIRouter()
CACHE = "public, max-age=300"
"""Seconds after which a new version or a removal shows at the latest."""
_SPAN = re.compile(r"(\d{1,9})-(\d{1,9})")
# Types that browsers do not run; all else is handed over as bytes.
_HARMLESS = re.compile(
    r"application/(pdf|msword|vnd\.oasis\.opendocument\.\w+|vnd\.ms-excel"
    r"|vnd\.openxmlformats-officedocument\.[\w.]+)|text/(plain|csv|markdown)"
)

Span = Annotated[str, Query(alias="p", max_length=40)]
Language = Annotated[str, Query(alias="lang", max_length=2)]


# Checkers of links ask for the head only.
@router.api_route("/sources/{document_id}/{sha}", methods=["GET", "HEAD"])
async def source(
    request: Request, document_id: UUID, sha: str, p: Span = "", lang: Language = ""
) -> Response:
    """The passage that characters ``p`` = "start-end" are, highlighted."""
    _speak(request, lang)
    start, end = span(p)
    reading = desk_of(request).reading
    try:
        excerpt = await reading.passage_in_document(document_id, sha, start, end, [PUBLIC])
    except (NotFound, Removed) as error:
        return _no_page(request, error, document_id)
    version = excerpt.version
    page = render(
        request,
        "sources.html.j2",
        excerpt=excerpt,
        version=version,
        link=web_address(version.url),
        span=p if start is not None else "",
    )
    return _for_everybody(page)


@router.get("/sources/{document_id}/{sha}/original")
async def source_file(request: Request, document_id: UUID, sha: str) -> Response:
    """The file as it was handed in."""
    _speak(request, "")
    try:
        return await original(desk_of(request).reading, document_id, sha, [PUBLIC])
    except (NotFound, Removed) as error:
        return _no_page(request, error, document_id)


async def original(
    reading: DocumentReading, document_id: UUID, sha: str, audiences: list[str] | None
) -> Response:
    """The file, to be saved and never shown by the browser: anybody may have written it.

    Raises NotFound, Removed, Unavailable.
    """
    version, size, pieces = await reading.original(document_id, sha, audiences)
    known = _HARMLESS.fullmatch(version.media_type)
    headers = {
        "Content-Disposition": attachment(version.name or version.title),
        "Content-Length": str(size),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": CACHE if audiences == [PUBLIC] else "private, no-store",
    }
    kind = version.media_type if known else "application/octet-stream"
    return StreamingResponse(pieces, headers=headers, media_type=kind)


def attachment(name: str) -> str:
    """The Content-Disposition that saves a file as ``name`` (RFC 6266)."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1] or "document"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def span(text: str) -> tuple[int | None, int | None]:
    """Start and end of a passage in ``text``; none when it is no span."""
    found = _SPAN.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else (None, None)


def web_address(address: str | None) -> str | None:
    """``address`` when it is one of the web: documents may claim any."""
    try:
        parts = urlsplit(address or "")
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.netloc else None


_TITLES = {404: marked("Source introuvable"), 410: marked("Document retiré")}


def _no_page(request: Request, error: NotFound | Removed, document_id: UUID) -> Response:
    status = 410 if isinstance(error, Removed) else 404
    newest = error.newest if isinstance(error, Removed) else None
    page = render(
        request,
        "sources_none.html.j2",
        status,
        status=status,
        heading=_TITLES[status],
        newest=f"/sources/{document_id}/{newest[:16]}" if newest else None,
    )
    return _for_everybody(page)


def _speak(request: Request, lang: str) -> None:
    """The page's language is part of its address, since caches may keep it."""
    fallback = desk_of(request).config.desk.language
    request.state.lang = lang if lang in ("fr", "en") else fallback


def _for_everybody(page: HTMLResponse) -> HTMLResponse:
    page.headers["Cache-Control"] = CACHE
    del page.headers["Vary"]
    return page
