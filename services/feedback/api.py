"""The HTTP API over drafts; errors are problem JSON (RFC 9457) with a French `detail`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from services.feedback.records import (
    DocumentState,
    DraftSummary,
    Figures,
    MailOutcome,
    RegenerateWish,
    RequestedDraft,
    ReviewWish,
    Status,
    StoredDraft,
    StoredReview,
)
from services.feedback.reviewing import Conflict, NotFound, Unacceptable
from services.feedback.service import FeedbackService
from shared.delivery import Unavailable

Limit = Annotated[int, Query(ge=1, le=500)]


def build_api(service: FeedbackService) -> FastAPI:
    """The routes over `service`."""
    api = FastAPI(title="Sourcier feedback", version="1")
    _add_errors(api)

    @api.get("/v1/drafts")
    async def list_drafts(
        status: Status | None = None,
        mailbox: str | None = None,
        limit: Limit = 50,
        after: UUID | None = None,
    ) -> Sequence[DraftSummary]:
        return await service.list_drafts(status, mailbox, limit, after)

    @api.get("/v1/drafts/{draft_id}")
    async def get_draft(draft_id: UUID) -> StoredDraft:
        return await service.get_draft(draft_id)

    @api.post("/v1/drafts/{draft_id}/review")
    async def review(draft_id: UUID, wish: ReviewWish) -> StoredReview:
        return await service.review(draft_id, wish)

    @api.post("/v1/drafts/{draft_id}/regenerate", status_code=202)
    async def regenerate(draft_id: UUID, wish: RegenerateWish) -> RequestedDraft:
        return await service.regenerate(draft_id, wish)

    @api.get("/v1/mails/{mail_id}")
    async def get_mail(mail_id: UUID) -> MailOutcome:
        return await service.get_outcome(mail_id)

    @api.get("/v1/documents")
    async def list_documents(limit: Limit = 100) -> Sequence[DocumentState]:
        return await service.list_documents(limit)

    @api.get("/v1/figures")
    async def figures() -> Figures:
        return await service.figures()

    return api


def _problem(status: int, title: str, detail: str) -> JSONResponse:
    body = {"type": "about:blank", "status": status, "title": title, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(NotFound)
    async def not_found(_: Request, error: NotFound) -> JSONResponse:
        return _problem(404, "Introuvable", str(error))

    @api.exception_handler(Conflict)
    async def conflict(_: Request, error: Conflict) -> JSONResponse:
        return _problem(409, "Décision impossible", str(error))

    @api.exception_handler(Unacceptable)
    async def unacceptable(_: Request, error: Unacceptable) -> JSONResponse:
        return _problem(422, "Relecture refusée", str(error))

    @api.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> JSONResponse:
        detail = f"La base de données ne répond pas ; réessayez dans un instant ({error})."
        return _problem(503, "Service momentanément indisponible", detail)

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        told = [f"{'.'.join(map(str, e['loc']))} : {e['msg']}" for e in error.errors()[:5]]
        return _problem(422, "Requête invalide", "Champs à corriger : " + " ; ".join(told))
