"""The cookies of the desk: the session, and what ties a login page to its browser."""

from __future__ import annotations

import ipaddress

from fastapi import Request, Response

from services.feedback.accounts import digest
from shared.settings import Settings

SESSION = "sourcier_session"
BROWSER = "sourcier_browser"
LANGUAGE = "lang"


def is_secure(config: Settings) -> bool:
    """Whether cookies are kept to HTTPS: as configured, else everywhere but on loopback."""
    if config.desk.secure_cookies is not None:
        return config.desk.secure_cookies
    host = config.http.host
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


class Cookies:
    """Reads and sets them; ``secure`` ones bear a prefix by which browsers guard them."""

    def __init__(self, secure: bool, seconds: int) -> None:
        self._secure = secure
        self._seconds = seconds
        self._prefix = "__Host-" if secure else ""

    def session(self, request: Request) -> str:
        """The session's token, or nothing."""
        return request.cookies.get(self._prefix + SESSION, "")

    def browser(self, request: Request) -> str:
        """The random value that only this browser holds, or nothing."""
        return request.cookies.get(self._prefix + BROWSER, "")

    def set_session(self, response: Response, token: str) -> None:
        """Keep the session for as long as it lasts unused."""
        self._set(response, SESSION, token, self._seconds)

    def set_browser(self, response: Response, value: str) -> None:
        """Keep it until the browser closes."""
        self._set(response, BROWSER, value, None)

    def forget(self, response: Response) -> None:
        """Forget both."""
        for name in (SESSION, BROWSER):
            self._set(response, name, "", 0)

    def _set(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(
            self._prefix + name,
            value,
            max_age=seconds,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._secure,
        )


def token_of(browser: str) -> str:
    """The CSRF token of forms shown before somebody signs in."""
    return digest(f"csrf {browser}")[:32] if browser else ""
