"""The HTTP API over drafts; errors are problem JSON (RFC 9457) with a French `detail`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from services.feedback import review_api
from services.feedback.desk import dataset_api
from services.feedback.desk.guards import Admin, Agent, Looker, NotAllowed, Reader, SignInFirst
from services.feedback.desk.middleware import Safety
from services.feedback.desk.parts import Desk, desk_of
from services.feedback.desk.problems import answer, sign_in_first
from services.feedback.errors import Conflict, NotFound, Told, Unacceptable
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
from services.feedback.signing_in import LINK_MINUTES
from shared.delivery import Unavailable
from shared.envelope import Frozen

Limit = Annotated[int, Query(ge=1, le=500)]
router = APIRouter(responses=review_api.REFUSALS)


class LinkWish(Frozen):
    """For whom a one-time link is wanted."""

    account: str


class Link(Frozen):
    """Where it leads on this service, once, for so many minutes."""

    path: str
    minutes: int = LINK_MINUTES


def build_api(desk: Desk) -> FastAPI:
    """The application over `desk`: this API and its errors; pages are mounted beside."""
    api = FastAPI(
        title="Sourcier feedback",
        version="1",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    api.state.desk = desk
    api.add_middleware(Safety, desk=desk)
    api.include_router(router)
    api.include_router(review_api.router)
    api.include_router(dataset_api.router)
    for kind, handler in _ERRORS.items():
        api.add_exception_handler(kind, handler)
    return api


@router.get("/v1/drafts")
async def list_drafts(
    request: Request,
    viewer: Agent,
    status: Status | None = None,
    mailbox: str | None = None,
    limit: Limit = 50,
    after: UUID | None = None,
) -> Sequence[DraftSummary]:
    """Drafts, newest first; `after` is the last one of the page before."""
    return await desk_of(request).feedback.list_drafts(viewer, status, mailbox, limit, after)


@router.get("/v1/drafts/{draft_id}")
async def get_draft(request: Request, viewer: Agent, draft_id: UUID) -> StoredDraft:
    """One draft in full: what the model was given and wrote, and what an agent decided."""
    return await desk_of(request).feedback.get_draft(viewer, draft_id)


@router.post("/v1/drafts/{draft_id}/review")
async def review(request: Request, viewer: Agent, draft_id: UUID, wish: ReviewWish) -> StoredReview:
    """Decide. An approval leaves a reply for the mail system; a repetition changes nothing."""
    return await desk_of(request).feedback.review(viewer, draft_id, wish)


@router.post("/v1/drafts/{draft_id}/regenerate", status_code=202)
async def regenerate(
    request: Request, viewer: Agent, draft_id: UUID, wish: RegenerateWish
) -> RequestedDraft:
    """Ask for another draft of the same e-mail; this one stays until one of them is approved."""
    return await desk_of(request).feedback.regenerate(viewer, draft_id, wish)


@router.get("/v1/mails/{mail_id}")
async def get_mail(request: Request, viewer: Agent, mail_id: UUID) -> MailOutcome:
    """What became of an e-mail."""
    return await desk_of(request).feedback.get_outcome(viewer, mail_id)


@router.get("/v1/documents")
async def list_documents(
    request: Request, viewer: Reader, limit: Limit = 100
) -> Sequence[DocumentState]:
    """The documents last heard of, newest first."""
    return await desk_of(request).feedback.list_documents(viewer, limit)


@router.get("/v1/figures")
async def figures(request: Request, viewer: Looker) -> Figures:
    """Counts of e-mails, drafts and documents by where they stand."""
    return await desk_of(request).feedback.figures(viewer)


@router.post("/v1/login-links", status_code=201)
async def make_link(request: Request, viewer: Admin, wish: LinkWish) -> Link:
    """A one-time link for an account, to hand to its owner."""
    token = await desk_of(request).signing.new_link(viewer, wish.account)
    if token is None:
        raise NotFound(
            "Aucun compte « {name} » : `sourcier accounts list` les montre.", name=wish.account
        )
    return Link(path=f"/login?link={token}")


def _not_found(request: Request, error: Exception) -> Response:
    return answer(request, 404, "Introuvable", error)


def _conflict(request: Request, error: Exception) -> Response:
    return answer(request, 409, "Décision impossible", error)


def _unacceptable(request: Request, error: Exception) -> Response:
    return answer(request, 422, "Relecture refusée", error)


def _unavailable(request: Request, error: Exception) -> Response:
    detail = Told(
        "La base de données, ou un service dont celui-ci a besoin, ne répond pas ; réessayez dans"
        " un instant ({reason}).",
        reason=error,
    )
    return answer(request, 503, "Service momentanément indisponible", detail)


def _invalid(request: Request, error: Exception) -> Response:
    wrong = cast(RequestValidationError, error).errors()[:5]
    told = [f"{'.'.join(map(str, e['loc']))} : {e['msg']}" for e in wrong]
    detail = Told("Champs à corriger : {fields}", fields=" ; ".join(told))
    return answer(request, 422, "Requête invalide", detail)


def _sign_in_first(request: Request, _error: Exception) -> Response:
    return sign_in_first(request)


def _not_allowed(request: Request, error: Exception) -> Response:
    return answer(request, 403, "Accès refusé", error)


_ERRORS = {
    NotFound: _not_found,
    Conflict: _conflict,
    Unacceptable: _unacceptable,
    Unavailable: _unavailable,
    RequestValidationError: _invalid,
    SignInFirst: _sign_in_first,
    NotAllowed: _not_allowed,
}
