"""Read one RFC 5322 message with the standard library's parser, within limits.

Odd input is normal in mail: every header and every part falls back to something readable, and
what had to be guessed is told in `Mail.defects`. Only a message over a limit, or bytes that are no
mail at all, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy, Policy
from typing import Any, Literal, NamedTuple, cast

from services.ingest import headers as read
from services.ingest.charsets import decode, printable
from services.ingest.html_mail import html_to_text

MAX_MIME_HEADER_CHARS = 2048
_SPACED_NAME = re.compile(rb"^([!-9;-~]{1,76})[ \t]+:", re.MULTILINE)

_HEADERS_END = re.compile(rb"\r?\n\r?\n|\r\r")

UnreadableCode = Literal["empty", "not-a-mail", "size", "headers", "parts", "depth", "malformed"]


@dataclass(frozen=True)
class MailLimits:
    """What is still read: bytes of the raw message and of its own headers, parts, nesting depth."""

    max_bytes: int = 25 * 1024 * 1024
    max_header_bytes: int = 128 * 1024
    max_parts: int = 200
    max_depth: int = 12


class UnreadableMail(Exception):
    """A message that is refused; `reason_fr` says why in words for the agent or the operator."""

    def __init__(self, code: UnreadableCode, reason_fr: str) -> None:
        super().__init__(f"{code}: {reason_fr}")
        self.code = code
        self.reason_fr = reason_fr


class Address(NamedTuple):
    """One mailbox: `address` lower-cased, `name` the display name or ""."""

    address: str
    name: str


@dataclass(frozen=True)
class Attachment:
    """A part that is not the text itself; `data` decoded from its transfer encoding."""

    name: str
    media_type: str
    size: int
    data: bytes


@dataclass(frozen=True)
class Mail:
    """One message as it was read; "" and None where it does not say.

    Message ids keep their angle brackets; names in `headers` are lower-case, values decoded.
    """

    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    sender: Address
    reply_to: tuple[Address, ...]
    recipients: tuple[Address, ...]
    subject: str
    date: datetime | None
    text: str
    html: bool
    attachments: tuple[Attachment, ...]
    headers: tuple[tuple[str, str], ...]
    defects: tuple[str, ...]

    def header(self, name: str) -> str:
        """The first value of the header `name` (any case), or ""."""
        return next((value for key, value in self.headers if key == name.lower()), "")

    def has_header(self, name: str) -> bool:
        """Whether the message carries the header `name` at all."""
        return any(key == name.lower() for key, _ in self.headers)


class _BoundedPolicy(EmailPolicy):
    """The default policy, reading the start of long headers only: its parser is quadratic."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        bounded = value if hasattr(value, "name") else value[:MAX_MIME_HEADER_CHARS]
        return super().header_fetch_parse(name, bounded)


def read_mail(raw: bytes, limits: MailLimits) -> Mail:
    """Read `raw`; raises UnreadableMail when it is over `limits` or not a mail."""
    if len(raw) <= limits.max_bytes:
        # Blank lines before the first header would pass for the end of the headers.
        raw = raw.lstrip(b"\r\n\xef\xbb\xbf")
    _check_size(raw, limits)
    try:
        return _read(_parse(raw, limits), limits)
    except read.PARSER_ERRORS as error:
        raise UnreadableMail(
            "malformed", f"La structure MIME de l'e-mail est illisible ({type(error).__name__})."
        ) from error


def _read(message: EmailMessage, limits: MailLimits) -> Mail:
    raw = tuple(read.raw_headers(message))
    fields = tuple((name, read.decoded(value)) for name, value in raw)
    if not read.is_mail(fields):
        raise UnreadableMail(
            "not-a-mail",
            "Ce contenu n'est pas un e-mail : aucun en-tête reconnu (De, À, Objet, Date…).",
        )
    defects: list[str] = []
    text, html, attachments = _contents(message, limits, defects)
    return Mail(
        message_id=read.first_id(fields, "message-id"),
        in_reply_to=read.first_id(fields, "in-reply-to"),
        references=read.ids(fields, "references"),
        sender=_sender(raw),
        reply_to=_addresses(raw, "reply-to"),
        recipients=_addresses(raw, "to") + _addresses(raw, "cc"),
        subject=read.one_line(read.value(fields, "subject")),
        date=read.date(read.value(fields, "date")),
        text=text,
        html=html,
        attachments=attachments,
        headers=fields,
        defects=tuple(dict.fromkeys(defects)),
    )


def _check_size(raw: bytes, limits: MailLimits) -> None:
    if not raw.strip():
        raise UnreadableMail("empty", "L'e-mail est vide : aucun octet à lire.")
    if len(raw) > limits.max_bytes:
        size, most = len(raw) / 1e6, limits.max_bytes / 1e6
        raise UnreadableMail(
            "size", f"L'e-mail pèse {size:.1f} Mo, plus que la limite de {most:.1f} Mo."
        )
    end = _HEADERS_END.search(raw[: limits.max_header_bytes + 4])
    if end is None and len(raw) > limits.max_header_bytes:
        raise UnreadableMail(
            "headers",
            f"Les en-têtes de l'e-mail dépassent la limite de {limits.max_header_bytes // 1024} "
            f"Kio.",
        )


def _parse(raw: bytes, limits: MailLimits) -> EmailMessage:
    count = 0

    def new_part(policy: Policy[Any] | None = None) -> EmailMessage:
        # The parser asks for one object per part: counting here stops a bomb while it is parsed.
        nonlocal count
        count += 1
        if count > limits.max_parts:
            raise UnreadableMail("parts", f"L'e-mail a plus de {limits.max_parts} parties MIME.")
        return EmailMessage(policy=policy)

    policy = _BoundedPolicy().clone(message_factory=new_part)
    # The factory makes it an EmailMessage, which the parser's type does not tell.
    return cast(EmailMessage, BytesParser(policy=policy).parsebytes(_mended(raw)))


def _mended(raw: bytes) -> bytes:
    """`raw` with the obsolete `Name :` of RFC 5322 (4.5) written `Name:`."""
    end = _HEADERS_END.search(raw)
    cut = end.start() if end else len(raw)
    return _SPACED_NAME.sub(rb"\1:", raw[:cut]) + raw[cut:]


def _too_deep(limits: MailLimits) -> UnreadableMail:
    return UnreadableMail(
        "depth", f"L'e-mail a plus de {limits.max_depth} niveaux de parties MIME."
    )


def _leaves(part: EmailMessage, limits: MailLimits, depth: int = 0) -> Iterator[EmailMessage]:
    """The parts to show or attach, the best alternative only; a forwarded message is one leaf."""
    if depth > limits.max_depth:
        raise _too_deep(limits)
    if not part.is_multipart() or part.get_content_maintype() == "message":
        _check_depth(part, limits, depth)
        yield part
        return
    children = [child for child in part.iter_parts() if isinstance(child, EmailMessage)]
    if part.get_content_subtype() == "alternative":
        children = _best_alternative(children)
    for child in children:
        yield from _leaves(child, limits, depth + 1)


def _check_depth(part: EmailMessage, limits: MailLimits, depth: int) -> None:
    payload = part.get_payload()
    if depth > limits.max_depth:
        raise _too_deep(limits)
    for child in payload if isinstance(payload, list) else ():
        if isinstance(child, EmailMessage):
            _check_depth(child, limits, depth + 1)


def _best_alternative(children: list[EmailMessage]) -> list[EmailMessage]:
    """Plain text when it says something, else the others; calendars and the like are kept."""
    plain = [part for part in children if part.get_content_type() == "text/plain"]
    if any(re.search(r"\w", _text_of(part, [])) for part in plain):
        unwanted = {"text/html", "multipart/related"}
        return [part for part in children if part.get_content_type() not in unwanted] + [
            part
            for part in children
            if part.get_content_type() == "multipart/related" and not _holds_only_pictures(part)
        ]
    return [part for part in children if part not in plain] or children


def _holds_only_pictures(related: EmailMessage) -> bool:
    """Whether a `multipart/related` is an HTML rendering with its pictures, nothing to attach."""
    return all(
        part.get_content_maintype() in {"text", "image", "multipart"} for part in related.walk()
    )


def _contents(
    message: EmailMessage, limits: MailLimits, defects: list[str]
) -> tuple[str, bool, tuple[Attachment, ...]]:
    texts: list[str] = []
    attachments: list[Attachment] = []
    html = False
    for part in _leaves(message, limits):
        defects.extend(type(defect).__name__ for defect in part.defects)
        if not _is_text(part, root=part is message):
            attachments.append(_attachment(part, len(attachments) + 1))
            continue
        text = _text_of(part, defects)
        if part.get_content_type() == "text/html":
            html, text = True, html_to_text(text)
        texts.append(text.strip("\n"))
    return "\n\n".join(text for text in texts if text.strip()), html, tuple(attachments)


def _is_text(part: EmailMessage, root: bool) -> bool:
    if part.is_multipart() or part.get_content_disposition() == "attachment":
        return False
    if part.get_content_maintype() == "multipart":
        # Declared in parts, but no boundary was found: what is there is shown as it is.
        return True
    named = bool(read.file_name(part)) and not root
    return part.get_content_type() in {"text/plain", "text/html"} and not named


def _text_of(part: EmailMessage, defects: list[str]) -> str:
    data = _bytes_of(part)
    text, defect = decode(data, read.charset(part))
    if defect:
        defects.append(defect)
    if part.get_content_type() == "text/plain" and read.is_flowed(part):
        return read.unfolded(text)
    return printable(text)


def _bytes_of(part: EmailMessage) -> bytes:
    if part.is_multipart():
        payload = part.get_payload()
        inner = payload[0] if isinstance(payload, list) and payload else None
        return read.serialised(inner) if isinstance(inner, EmailMessage) else b""
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _attachment(part: EmailMessage, number: int) -> Attachment:
    data = _bytes_of(part)
    media_type = part.get_content_type()
    extension = ".eml" if media_type == "message/rfc822" else ""
    name = read.file_name(part) or f"piece-jointe-{number}{extension}"
    return Attachment(name=name, media_type=media_type, size=len(data), data=data)


def _addresses(raw: tuple[tuple[str, str], ...], name: str) -> tuple[Address, ...]:
    return tuple(Address(*pair) for pair in read.addresses(raw, name))


def _sender(raw: tuple[tuple[str, str], ...]) -> Address:
    for name in ("from", "sender", "return-path"):
        found = _addresses(raw, name)
        if found:
            return found[0]
    return Address("", "")
