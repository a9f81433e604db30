"""Refusals and failures in words: a page for people, problem JSON (RFC 9457) for programs."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from services.feedback.desk.rendering import render
from services.feedback.desk.words import marked, say, told


def is_page(request: Request) -> bool:
    """Whether a person's browser asks, and not a program through the API."""
    wants = request.headers.get("accept", "")
    return not request.url.path.startswith("/v1/") and ("text/html" in wants or is_htmx(request))


def is_htmx(request: Request) -> bool:
    """Whether htmx asks for a fragment."""
    return "hx-request" in request.headers


def answer(
    request: Request,
    status: int,
    title: str,
    detail: str | Exception,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The error as who asked can read it; ``title`` and ``detail`` are French."""
    if not request.url.path.startswith("/v1/"):
        title, detail = say(title), told(detail) if isinstance(detail, Exception) else say(detail)
    if is_page(request):
        page = render(request, "error.html.j2", status, status=status, title=title, detail=detail)
        page.headers.update(headers or {})
        return page
    body = {"type": "about:blank", "status": status, "title": title, "detail": str(detail)}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def sign_in_first(request: Request) -> Response:
    """To the login page and back for a page; 401 for everything else."""
    if not is_page(request):
        detail = marked(
            "Connectez-vous, ou joignez un jeton : « Authorization: Bearer … »"
            " (`sourcier accounts token`)."
        )
        headers = {"WWW-Authenticate": 'Bearer realm="sourcier"'}
        return answer(request, 401, "Connexion requise", detail, headers)
    if is_htmx(request):
        # htmx would put the login page into the fragment's place.
        here = request.headers.get("hx-current-url", "")
        back = "/" + here.split("://", 1)[-1].partition("/")[2] if here else ""
        return Response(status_code=401, headers={"HX-Redirect": login_url(back)})
    back = f"{request.url.path}?{request.url.query}".rstrip("?")
    return RedirectResponse(login_url(back if request.method == "GET" else ""), 303)


def too_often(request: Request, wait: int) -> Response:
    """429: when to come back."""
    detail = say("Trop de demandes en peu de temps : réessayez dans {n} s.", n=wait)
    return answer(request, 429, "Trop de demandes", detail, {"Retry-After": str(wait)})


def is_local(address: str) -> bool:
    """Whether ``address`` stays on this site: a path, not //host, without control characters."""
    return (
        address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    )


def login_url(back: str) -> str:
    """The login page, which leads to ``back`` afterwards."""
    return f"/login?{urlencode({'next': back})}" if back not in ("", "/") else "/login"
