"""Read one RFC 5322 message with the standard library's parser, within limits.

Odd input is normal in mail: every header and every part falls back to something readable, and
what had to be guessed is told in `Mail.defects`. Only a message over a limit, or bytes that are no
mail at all, are refused.
"""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy, Policy
from typing import Any, cast

from services.ingest import headers as read
from services.ingest.heavy_bodies import SetAside, set_aside
from services.ingest.mail_model import Address, Attachment, Mail, MailLimits, UnreadableMail
from services.ingest.parts import PartReader

__all__ = ["Address", "Attachment", "Mail", "MailLimits", "UnreadableMail", "read_mail"]

MAX_MIME_HEADER_CHARS = 2048
_SPACED_NAME = re.compile(rb"^([!-9;-~]{1,76})[ \t]+:", re.MULTILINE)

_HEADERS_END = re.compile(rb"\r?\n\r?\n|\r\r")


class _BoundedPolicy(EmailPolicy):
    """The default policy, reading only the start of a header, and each once.

    The parser is quadratic in a header's length, and parses it again each time it is asked for.
    """

    known: dict[tuple[str, str], Any] | None = None

    def header_fetch_parse(self, name: str, value: str) -> Any:
        bounded = value if hasattr(value, "name") else value[:MAX_MIME_HEADER_CHARS]
        if self.known is None:
            return super().header_fetch_parse(name, bounded)
        key = (name, str(bounded))
        if key not in self.known:
            self.known[key] = super().header_fetch_parse(name, bounded)
        return self.known[key]


def read_mail(raw: bytes, limits: MailLimits) -> Mail:
    """Read `raw`; raises UnreadableMail when it is over `limits` or not a mail."""
    if len(raw) <= limits.max_bytes:
        # Blank lines before the first header would pass for the end of the headers.
        raw = raw.lstrip(b"\r\n\xef\xbb\xbf")
    _check_size(raw, limits)
    try:
        aside = set_aside(raw)
        return _read(_parse(aside.light, limits), limits, aside)
    except read.PARSER_ERRORS as error:
        raise UnreadableMail(
            "malformed", f"La structure MIME de l'e-mail est illisible ({type(error).__name__})."
        ) from error


def _read(message: EmailMessage, limits: MailLimits, aside: SetAside) -> Mail:
    raw = tuple(read.raw_headers(message))
    fields = tuple((name, read.decoded(value)) for name, value in raw)
    if not read.is_mail(fields):
        raise UnreadableMail(
            "not-a-mail",
            "Ce contenu n'est pas un e-mail : aucun en-tête reconnu (De, À, Objet, Date…).",
        )
    defects: list[str] = []
    contents = PartReader(limits, aside, message.policy, defects).contents(message)
    return Mail(
        message_id=read.first_id(fields, "message-id"),
        in_reply_to=read.first_id(fields, "in-reply-to"),
        references=read.ids(fields, "references"),
        sender=_sender(raw),
        reply_to=_addresses(raw, "reply-to"),
        recipients=_addresses(raw, "to") + _addresses(raw, "cc"),
        subject=read.one_line(read.value(fields, "subject")),
        date=read.date(read.value(fields, "date")),
        text=contents.text,
        html=contents.html,
        attachments=tuple(contents.attachments),
        headers=fields,
        defects=tuple(dict.fromkeys(defects)),
        sealed=contents.sealed,
        calendar=contents.calendar,
    )


def _check_size(raw: bytes, limits: MailLimits) -> None:
    if not raw or raw.isspace():
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

    # Policies take their own attributes, which the type of clone() does not tell.
    policy = _BoundedPolicy().clone(message_factory=new_part, known={})  # type: ignore[call-arg]
    # The factory makes it an EmailMessage, which the parser's type does not tell.
    return cast(EmailMessage, BytesParser(policy=policy).parsebytes(_mended(raw)))


def _mended(raw: bytes) -> bytes:
    """`raw` with the obsolete `Name :` of RFC 5322 (4.5) written `Name:`."""
    end = _HEADERS_END.search(raw)
    cut = end.start() if end else len(raw)
    return _SPACED_NAME.sub(rb"\1:", raw[:cut]) + raw[cut:]


def _addresses(raw: tuple[tuple[str, str], ...], name: str) -> tuple[Address, ...]:
    return tuple(Address(*pair) for pair in read.addresses(raw, name))


def _sender(raw: tuple[tuple[str, str], ...]) -> Address:
    for name in ("from", "sender", "return-path"):
        found = _addresses(raw, name)
        if found:
            return found[0]
    return Address("", "")
