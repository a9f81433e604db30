"""HTTP: hand in e-mails and documents, fill an index again. Errors say what to do, in French."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as AnyHttpError
from starlette.formparsers import MultiPartException

from services.ingest.inbox import HttpInbox, Upload
from services.ingest.mail_service import MailIntake, Registration
from services.ingest.service import DocumentIntake
from shared.delivery import Invalid, Unavailable
from shared.envelope import Event
from shared.registry import explain
from shared.settings import Ingest

Say = Callable[[Event], Awaitable[None]]
FIELDS = ("name", "collection", "url", "title", "audience")
_FORM_EXTRA = 1 << 20  # what a form adds around its file


def build_api(inbox: HttpInbox, documents: DocumentIntake, say: Say, limits: Ingest) -> FastAPI:
    """The routes of ingest."""
    api = FastAPI(title="Sourcier ingest", version="1")
    _add_errors(api)

    @api.post("/v1/mails", status_code=202)
    async def mails(request: Request, mailbox: str = "default") -> dict[str, UUID]:
        raw = await _body(request, limits.mail_max_bytes)
        identity, event = await inbox.mail(raw, mailbox)
        await say(event)
        return {"mail_id": identity, "event_id": event.id}

    @api.post("/v1/documents", status_code=202)
    async def submit(request: Request) -> dict[str, UUID]:
        upload = await _upload(request, limits.document_max_bytes)
        identity, event = await inbox.document(upload)
        await say(event)
        return {"document_id": identity, "event_id": event.id}

    @api.post("/v1/index/rebuild")
    async def rebuild(embedding: Annotated[str, Query(min_length=1)]) -> dict[str, int]:
        count = 0
        async for event in documents.rebuild(embedding):
            await say(event)
            count += 1
        return {"count": count}

    return api


def add_preview(api: FastAPI, mails: MailIntake, limits: Ingest) -> None:
    """The route by which `sourcier mails explain` learns an e-mail's thread."""

    @api.post("/v1/mails/preview")
    async def preview(request: Request, mailbox: str = "default") -> Registration:
        raw = await _body(request, limits.mail_max_bytes)
        return await mails.preview(raw, mailbox)


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(Invalid)
    async def invalid(request: Request, error: Invalid) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=422)

    @api.exception_handler(ValidationError)
    async def wrong_field(request: Request, error: ValidationError) -> JSONResponse:
        return JSONResponse({"detail": explain(error)}, status_code=422)

    @api.exception_handler(Unavailable)
    async def unavailable(request: Request, error: Unavailable) -> JSONResponse:
        detail = f"Service momentanément indisponible, réessayez : {error}"
        return JSONResponse({"detail": detail}, status_code=503, headers={"Retry-After": "5"})


async def _body(request: Request, most: int) -> bytes:
    """The whole body; refuses with 413 as soon as it is over `most` bytes."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise HTTPException(413, f"Le contenu dépasse la limite de {most // 2**20} Mio.")
        pieces.append(piece)
    return b"".join(pieces)


async def _upload(request: Request, most: int) -> Upload:
    """A document from a form with `file`, or from the raw body and the query's fields."""
    media_type = request.headers.get("content-type", "")
    if media_type.startswith("multipart/form-data"):
        return await _from_form(request, await _body(request, most + _FORM_EXTRA))
    fields = {key: request.query_params[key] for key in FIELDS if request.query_params.get(key)}
    if "name" not in fields:
        raise Invalid("Donnez le nom du fichier : ?name=guide.pdf.")
    return Upload(await _body(request, most), media_type=media_type or None, **fields)


async def _from_form(request: Request, body: bytes) -> Upload:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        # Read again, because the body was bounded first: forms spool files without a limit.
        form = await Request(request.scope, receive).form()
    except (MultiPartException, AnyHttpError) as error:
        raise Invalid("Le formulaire est mal formé.") from error
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Invalid("Joignez le document dans le champ « file ».")
    fields = {key: str(form[key]) for key in FIELDS if form.get(key)}
    fields.setdefault("name", file.filename or "document")
    return Upload(await file.read(), media_type=file.content_type, **fields)
