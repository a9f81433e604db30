"""A raw e-mail as a reader sees it: people, date, text or cleaned HTML. Pure.

ingest reads e-mails to answer them; here one is only shown, so odd ones may be shown badly, but
each is shown, and none does harm.
"""

from __future__ import annotations

from contextlib import suppress
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser

from services.feedback.mail_html import MAX_CHARS, CleanHtml, clean_html
from shared.envelope import Frozen

_MAX_HEADER = 2000
_MAX_PARTS = 500
_SHOWN = ("From", "To", "Cc", "Reply-To", "Date", "Subject")


class WholeMail(Frozen):
    """``headers`` in the order of a mail program; either ``html`` or ``text`` is shown.

    ``cut``: there is more text than is shown; ``parts`` of the e-mail are no text.
    """

    headers: tuple[tuple[str, str], ...]
    text: str
    html: CleanHtml | None
    cut: bool
    unread: int = 0


def read_whole(raw: bytes) -> WholeMail:
    """What ``raw`` shows; bytes that are no e-mail are shown as text."""
    try:
        message = BytesParser(policy=policy.compat32).parsebytes(raw)
        leaves = [part for part in message.walk() if not part.is_multipart()][:_MAX_PARTS]
    except (RecursionError, ValueError, LookupError, HeaderParseError):
        text = raw[:MAX_CHARS].decode(errors="replace")
        return WholeMail(headers=(), text=text, html=None, cut=len(raw) > MAX_CHARS)
    plain = "\n\n".join(_text(part) for part in leaves if _is(part, "text/plain"))
    html = "\n".join(_text(part) for part in leaves if _is(part, "text/html"))
    shown = sum(_is(part, "text/plain") or _is(part, "text/html") for part in leaves)
    headers = tuple((name, _header(message, name)) for name in _SHOWN)
    return WholeMail(
        headers=tuple((name, value) for name, value in headers if value),
        text=plain[:MAX_CHARS],
        html=clean_html(html) if html.strip() else None,
        cut=len(plain) > MAX_CHARS,
        unread=len(leaves) - shown,
    )


def _is(part: Message, kind: str) -> bool:
    attached = str(part.get("Content-Disposition", "")).lstrip().lower().startswith("attachment")
    return part.get_content_type() == kind and not attached


def _text(part: Message) -> str:
    body = part.get_payload(decode=True)
    if not isinstance(body, bytes):
        return ""
    charset = part.get_content_charset() or "utf-8"
    try:
        return body.decode(charset, "replace").replace("\r\n", "\n")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace").replace("\r\n", "\n")


def _header(message: Message, name: str) -> str:
    value = str(message.get(name, ""))[:_MAX_HEADER]
    with suppress(HeaderParseError, LookupError, ValueError):  # then shown as it was written
        value = str(make_header(decode_header(value)))
    return " ".join(value.split())
