"""Around every request: who asks, how often, whether from our own pages; headers on every answer.

Sets ``request.state.viewer``, ``.csrf`` and ``.lang`` before any route runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import structlog
from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.feedback.desk.cookies import LANGUAGE, Cookies, is_secure, token_of
from services.feedback.desk.crossing import SAFE, has_token, is_foreign
from services.feedback.desk.guards import PUBLIC_BELOW, is_public
from services.feedback.desk.limiting import Limits, address_of
from services.feedback.desk.parts import Desk
from services.feedback.desk.problems import answer, sign_in_first, too_often
from services.feedback.desk.words import LANG, marked
from shared.delivery import Unavailable

log = structlog.get_logger()

BODY_MOST = 2 * 1024 * 1024
"""Bytes of a request, except below ``UPLOADS``, which counts on its own."""
UPLOADS = "/desk/documents"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With `no-referrer` browsers would hide the origin of our own forms from us.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=31536000"


@dataclass
class Caller:
    """How a request says who sends it; ``token`` is a cookie's or an API token."""

    by: Literal["nobody", "cookie", "bearer"] = "nobody"
    token: str = ""
    renewed: bool = False


class Safety:
    """The middleware; the outermost one, so that its headers stand on failures too."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app = app
        self._desk = desk
        secure = is_secure(desk.config)
        self._headers = HEADERS | ({"Strict-Transport-Security": HSTS} if secure else {})
        self._cookies: Cookies = desk.cookies
        self._limits: Limits = desk.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        state = request.state
        state.viewer, state.csrf, state.lang = None, "", self._desk.config.desk.language
        state.caller = Caller()
        sending = _Sending(send, self._headers, request, self._cookies)
        try:
            refused, receive = await self._look(request, receive)
            await (refused or self._app)(scope, receive, sending)
        except Exception as error:
            if sending.begun:
                raise
            await self._failed(request, error)(scope, receive, sending)

    async def _look(self, request: Request, receive: Receive) -> tuple[Response | None, Receive]:
        """The answer to a request that goes no further, if so."""
        path = request.url.path
        if request.cookies.get(LANGUAGE) in ("fr", "en"):
            request.state.lang = request.cookies[LANGUAGE]
        LANG.set(request.state.lang)
        if path.startswith("/static/"):
            return None, receive
        if not path.startswith(PUBLIC_BELOW):
            await self._recognise(request)
        refused = self._too_often(request) or _too_large(request)
        if refused is None and request.state.viewer is None and not is_public(path):
            refused = sign_in_first(request)
        if refused is None and request.method not in SAFE:
            return await self._same_site(request, receive)
        return refused, receive

    async def _recognise(self, request: Request) -> None:
        state, signing = request.state, self._desk.signing
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":  # others are a proxy's, which browsers send by themselves
            state.caller = Caller("bearer", token.strip())
            state.viewer = await signing.by_bearer(token.strip())
            return
        state.csrf = token_of(self._cookies.browser(request))
        token = self._cookies.session(request)
        if token and (found := await signing.by_cookie(token)):
            state.viewer, state.csrf = found.viewer, found.csrf
            state.caller = Caller("cookie", token, found.renewed)

    def _too_often(self, request: Request) -> Response | None:
        viewer, address = request.state.viewer, address_of(request)
        wait = self._limits.request(f"account {viewer.account}" if viewer else address)
        if viewer is None and request.state.caller.by == "bearer":
            wait = max(wait, self._limits.login("", address))
        return too_often(request, wait) if wait else None

    async def _same_site(
        self, request: Request, receive: Receive
    ) -> tuple[Response | None, Receive]:
        if request.state.caller.by == "bearer":  # browsers add no such header by themselves
            return None, receive
        fine = not is_foreign(request)
        if fine:
            fine, receive = await has_token(request, receive, request.state.csrf)
        if fine:
            return None, receive
        detail = marked(
            "Cette demande ne vient pas d'une page ouverte ici, ou la page est trop ancienne :"
            " rechargez-la et recommencez."
        )
        return answer(request, 403, "Demande refusée", detail), receive

    def _failed(self, request: Request, error: Exception) -> Response:
        if isinstance(error, Unavailable):
            detail = marked(
                "La base de données ne répond pas. Rien n'est perdu : réessayez dans un instant."
            )
            return answer(request, 503, "Service momentanément indisponible", detail)
        log.error("request failed", path=request.url.path, error=error, exc_info=error)
        detail = marked(
            "L'erreur est notée dans le journal du service. Réessayez, ou prévenez l'exploitant."
        )
        return answer(request, 500, "Erreur du service", detail)


class _Sending:
    """Adds to an answer's beginning what every answer has."""

    def __init__(
        self, send: Send, headers: dict[str, str], request: Request, cookies: Cookies
    ) -> None:
        self._send = send
        self._headers = headers
        self._request = request
        self._cookies = cookies
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            if not self._request.url.path.startswith(PUBLIC_BELOW):
                headers.setdefault("Cache-Control", "no-store")
            caller = self._request.state.caller
            if caller.renewed and "set-cookie" not in headers:
                kept = Response()
                self._cookies.set_session(kept, caller.token)
                headers.append("set-cookie", kept.headers["set-cookie"])
        await self._send(message)


def _too_large(request: Request) -> Response | None:
    if request.url.path.startswith(UPLOADS):
        return None
    if "transfer-encoding" in request.headers:  # of any length
        return answer(
            request, 411, "Demande trop volumineuse", marked("Dites la longueur de la demande.")
        )
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) <= BODY_MOST:
        return None
    detail = marked("Une demande peut peser 2 Mo au plus.")
    return answer(request, 413, "Demande trop volumineuse", detail)
