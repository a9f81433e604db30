"""An e-mail kept as a document: its subject is the title, its body the text."""

from email import errors, message_from_bytes, policy
from email.message import EmailMessage

from services.ingest.formats import html
from services.ingest.formats.model import Builder, Limits, Unreadable
from services.ingest.formats.plain import add_text, decode

_HEADERS = (("From", "De"), ("Date", "Date"), ("To", "À"))


def parse(data: bytes, name: str, limits: Limits) -> tuple[Builder, str | None]:
    """The blocks of the message's own body (attachments are left out) and its subject."""
    if (
        data.count(b"\nContent-Type:") > limits.max_parts
        or data.count(b"\n--") > 50 * limits.max_parts
    ):
        raise Unreadable(f"Le message compte plus de {limits.max_parts} parties.", "bomb")
    try:
        message = message_from_bytes(data, policy=policy.default)
        body = message.get_body(("plain", "html"))
        subject = _header(message, "Subject")
    except RecursionError as error:
        raise Unreadable("Le message imbrique trop de parties : fichier refusé.", "bomb") from error
    except (errors.MessageError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise Unreadable("Le message est mal formé et n'a pas pu être lu.", "broken") from error
    builder = Builder(limits)
    if isinstance(body, EmailMessage) and (text := _text(body)).strip():
        known = ((label, _header(message, header)) for header, label in _HEADERS)
        builder.add("paragraph", "\n".join(f"{label} : {value}" for label, value in known if value))
        _add_body(builder, body, text)
    return builder, subject or None


def _add_body(builder: Builder, body: EmailMessage, text: str) -> None:
    if body.get_content_subtype() == "html":
        html.add_fragment(builder, text)
        return
    add_text(builder, text)


def _text(body: EmailMessage) -> str:
    payload = body.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    return decode(payload, body.get_content_charset())


def _header(message: EmailMessage, name: str) -> str:
    """A header on one line; empty when it is missing or cannot be parsed."""
    try:
        return " ".join(str(message.get(name, "")).split())
    except (errors.MessageError, ValueError, IndexError, AttributeError, TypeError):
        # The standard library's header parser raises on some malformed headers.
        return ""
