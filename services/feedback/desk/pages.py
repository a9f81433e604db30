"""Puts the pages into the application: routers, static files, errors in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from services.feedback.access import Viewer
from services.feedback.desk import (
    account,
    audit,
    datasets,
    documents,
    figures,
    live,
    mail_view,
    queue,
    review,
    sources,
)
from services.feedback.desk.parts import Desk
from services.feedback.desk.problems import answer, is_local, is_page
from services.feedback.desk.rendering import STATIC
from services.feedback.desk.words import marked, zone

ROUTERS: tuple[APIRouter, ...] = (
    account.router,
    audit.router,
    queue.router,
    live.router,
    review.router,
    mail_view.router,
    documents.router,
    figures.router,
    sources.router,
    datasets.router,
)
"""Each page's module adds its ``router``."""
YEAR = 365 * 24 * 3600

frame = APIRouter(include_in_schema=False)


def mount(api: FastAPI) -> None:
    """Add the desk to the application of the JSON API. Raises Misconfigured."""
    zone(cast(Desk, api.state.desk).config.desk.timezone)
    for router in (frame, *ROUTERS):
        api.include_router(router, include_in_schema=False)
    api.mount("/static", _Static(directory=STATIC), name="static")
    api.add_exception_handler(HTTPException, _refused)
    invalid = api.exception_handlers[RequestValidationError]
    api.add_exception_handler(RequestValidationError, _on_pages(invalid))


@frame.get("/")
def home(request: Request) -> Response:
    """Where the account's work is."""
    viewer: Viewer | None = request.state.viewer
    if viewer is None or viewer.may("agent"):
        return RedirectResponse("/desk/drafts", status_code=303)
    where = "/desk/documents" if viewer.may("curator") else "/desk/datasets"
    return RedirectResponse(where, status_code=303)


@frame.post("/language")
def language(
    request: Request, to: Annotated[str, Form()], back: Annotated[str, Form()] = "/"
) -> Response:
    """Keep the language that was chosen and go back; the middleware reads the cookie."""
    gone = RedirectResponse(back if is_local(back) else "/", status_code=303)
    if to in ("fr", "en"):
        gone.set_cookie(
            "lang",
            to,
            max_age=YEAR,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
    return gone


class _Static(StaticFiles):
    """Addresses that carry their content's digest never change."""

    async def get_response(self, path: str, scope: Any) -> Response:
        answer = await super().get_response(path, scope)
        lasting = b"v=" in scope.get("query_string", b"") and answer.status_code == 200
        answer.headers["Cache-Control"] = (
            f"public, max-age={YEAR}, immutable" if lasting else "no-cache"
        )
        return answer


_TITLES = {
    404: marked("Page introuvable"),
    405: marked("Cette page ne se demande pas ainsi"),
    413: marked("Envoi trop volumineux"),
    422: marked("Demande incomplète ou mal formée"),
}
_DETAILS = {
    404: marked("Cette adresse ne mène à rien que votre compte puisse voir."),
    422: marked("Revenez à la page précédente et vérifiez ce que vous avez saisi."),
}
Handler = Callable[[Request, Any], Awaitable[Response]]


async def _refused(request: Request, error: Any) -> Response:
    """What the framework itself refuses (``HTTPException``): no such route, method, too large."""
    title = _TITLES.get(error.status_code, marked("Demande refusée"))
    detail = _DETAILS.get(error.status_code, "")
    return answer(request, error.status_code, title, detail, error.headers)


def _on_pages(api_says: Any) -> Handler:
    """Of a malformed request the API tells each field; a page says what to do."""

    async def tell(request: Request, error: Any) -> Response:
        if not is_page(request):
            told: Response = api_says(request, error)
            return told
        status = 404 if any(e["loc"][0] == "path" for e in error.errors()) else 422
        return answer(request, status, _TITLES[status], _DETAILS[status])

    return tell
