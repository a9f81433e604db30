"""Cross-site request forgery: does the page that sends a change come from here?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_plus, urlsplit

from fastapi import Request
from starlette.types import Message, Receive

from services.feedback.signing_in import same

SAFE = ("GET", "HEAD", "OPTIONS")
_PEEK = 64 * 1024
"""Bytes of a form in which its token stands: it is the first field."""
_IN_FORM = re.compile(rb"(?:^|&)csrf=([^&]*)&")
_IN_PARTS = re.compile(rb'name="csrf"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]*)\r\n--')


def is_foreign(request: Request) -> bool:
    """Whether the browser says that another site's page sends this."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


async def has_token(request: Request, receive: Receive, token: str) -> tuple[bool, Receive]:
    """Whether the request bears ``token``, in its header or its form; and what is left to read.

    The form may hold a file of any size: only its beginning is read here.
    """
    given = request.headers.get("x-csrf-token")
    if given is not None:
        return same(given, token), receive
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return False, receive
    pattern = _IN_FORM if kind.endswith("urlencoded") else _IN_PARTS
    read: list[Message] = []
    start = b""
    while len(start) < _PEEK:
        message = await receive()
        read.append(message)
        start += message.get("body", b"")
        if not message.get("more_body"):
            start += b"&"
            break
        if pattern.search(start):
            break
    found = pattern.search(start)
    value = unquote_plus(found.group(1).decode("latin-1")) if found else ""
    return same(value, token), _again(read, receive)


def _again(read: Iterable[Message], receive: Receive) -> Receive:
    kept = iter(read)

    async def replay() -> Message:
        message = next(kept, None)
        return await receive() if message is None else message

    return replay
