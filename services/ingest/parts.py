"""The parts of a parsed message: its text, and what is attached to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import Policy
from typing import Any

from services.ingest import headers as read
from services.ingest.calendars import invitation
from services.ingest.charsets import decode, printable
from services.ingest.heavy_bodies import SetAside, decoded_base64
from services.ingest.html_mail import html_to_text
from services.ingest.mail_model import Attachment, MailLimits, Sealed, UnreadableMail
from services.ingest.sealed import (
    is_enveloped,
    is_pgp_encrypted,
    signed_content,
    without_armour,
)
from services.ingest.tnef import unwrapped

MAX_TEXT_BYTES = 2 * 2**20
"""Of a part that is read as text; nobody types more, and the whole mail stays stored."""
_TEXTS = frozenset({"text/plain", "text/html", "text/enriched", "text/richtext"})
_CMS = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_ENRICHED = re.compile(r"<(?:param>.{0,200}?</param|/?[a-z]{1,30})>", re.IGNORECASE)
# What the content shows for sure, whatever the part declares.
_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"{\\rtf", "application/rtf"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
)
_VAGUE = frozenset({"application/octet-stream", "application/x-download", "binary/octet-stream"})


@dataclass(slots=True)
class Contents:
    """What the parts of a message hold."""

    text: str = ""
    html: bool = False
    attachments: list[Attachment] = field(default_factory=list)
    sealed: Sealed = ""
    calendar: str = ""


@dataclass(slots=True)
class PartReader:
    """Reads the parts of one message; what had to be guessed goes to `defects`."""

    limits: MailLimits
    aside: SetAside
    policy: Policy[Any]
    defects: list[str]
    _found: Contents = field(default_factory=Contents)
    _texts: list[str] = field(default_factory=list)
    _told: list[str] = field(default_factory=list)

    def contents(self, message: EmailMessage) -> Contents:
        """Read the whole message. Raises UnreadableMail when it is nested too deep."""
        self._read(message, depth=0)
        self._read_forwarded()
        # An invitation stands first: below a signature it would pass for a part of it.
        texts = self._told + self._texts
        self._found.text = "\n\n".join(text for text in texts if text.strip())
        return self._found

    def _read(self, root: EmailMessage, depth: int) -> None:
        for part in self._leaves(root, depth):
            self.defects.extend(type(defect).__name__ for defect in part.defects)
            media_type = part.get_content_type()
            if media_type in _CMS:
                self._read_cms(part, depth)
            elif media_type in _TNEF:
                self._read_tnef(part)
            elif _is_text(part, root=part is root):
                self._read_text(part)
            else:
                self._attach(part)

    def _read_forwarded(self) -> None:
        """A mail without words of its own that carries one other says what that one says."""
        mails = [one for one in self._found.attachments if one.media_type == "message/rfc822"]
        if self._says_something() or len(mails) != 1:
            return
        # Read by the policy that counts the parts of the whole message.
        inner = message_from_bytes(mails[0].data, policy=self.policy)
        if isinstance(inner, EmailMessage):
            self._read(inner, depth=1)

    def _read_text(self, part: EmailMessage) -> None:
        text = self._text_of(part)
        if is_pgp_encrypted(text):
            self._found.sealed = "PGP"
            return
        if part.get_content_type() == "text/html":
            self._found.html, text = True, html_to_text(text)
        elif part.get_content_subtype() in {"enriched", "richtext"}:
            text = _ENRICHED.sub("", text)
        self._texts.append(without_armour(text).strip("\n"))

    def _read_cms(self, part: EmailMessage, depth: int) -> None:
        data = self._bytes_of(part)
        content = signed_content(data)
        if content is not None:
            inner = message_from_bytes(content, policy=self.policy)
            if isinstance(inner, EmailMessage):
                self._read(inner, depth + 1)
            return
        if is_enveloped(data):
            self._found.sealed = "S/MIME"
        self._attach(part)

    def _read_tnef(self, part: EmailMessage) -> None:
        wrapped = unwrapped(self._bytes_of(part))
        if wrapped is None:
            self._attach(part)
            return
        if wrapped.text.strip() and not self._says_something():
            self._texts.append(printable(wrapped.text).strip("\n"))
        for name, data in wrapped.files:
            shown = read.base_name(name) or self._unnamed()
            media_type = _by_content(data, "application/octet-stream")
            self._found.attachments.append(Attachment(shown, media_type, len(data), data))

    def _attach(self, part: EmailMessage) -> None:
        data = self._bytes_of(part)
        media_type = part.get_content_type()
        if media_type == "multipart/encrypted" or media_type == "application/pgp-encrypted":
            self._found.sealed = "PGP"
        if media_type == "text/calendar" or read.file_name(part).lower().endswith(".ics"):
            self._tell(self._text_of(part))
        extension = ".eml" if media_type == "message/rfc822" else ""
        name = read.file_name(part) or self._unnamed() + extension
        media_type = _by_content(data, media_type)
        self._found.attachments.append(Attachment(name, media_type, len(data), data))

    def _tell(self, calendar: str) -> None:
        event = invitation(calendar)
        if event is None:
            return
        self._found.calendar = event.method
        told = event.told()
        if told and told not in self._told:
            self._told.append(told)
            if not self._says_something():
                self._texts.append(event.description)

    def _says_something(self) -> bool:
        return any(text.strip() for text in self._texts)

    def _unnamed(self) -> str:
        return f"piece-jointe-{len(self._found.attachments) + 1}"

    def _leaves(self, part: EmailMessage, depth: int) -> Iterator[EmailMessage]:
        """The parts to show or attach, the best alternative only; a forward is one leaf."""
        _check_depth(part, self.limits, depth, deep=False)
        if not part.is_multipart() or part.get_content_maintype() == "message":
            _check_depth(part, self.limits, depth)
            yield part
            return
        if part.get_content_type() == "multipart/encrypted":
            self._found.sealed = "PGP"
        children = [child for child in part.iter_parts() if isinstance(child, EmailMessage)]
        if part.get_content_subtype() == "alternative":
            children = self._best(children)
        for child in children:
            yield from self._leaves(child, depth + 1)

    def _best(self, children: list[EmailMessage]) -> list[EmailMessage]:
        """Plain text when it says something, else the richest; calendars and the like are kept."""
        plain = [part for part in children if part.get_content_type() == "text/plain"]
        texts = {"text/html", "text/enriched", "text/richtext", "multipart/related"}
        rich = [part for part in children if part.get_content_type() in texts]
        if any(re.search(r"\w", self._text_of(part)) for part in plain):
            unwanted = [part for part in rich if _holds_only_pictures(part)]
        else:
            unwanted = plain if rich else []
        return [part for part in children if not any(part is other for other in unwanted)]

    def _text_of(self, part: EmailMessage) -> str:
        data = self._bytes_of(part, MAX_TEXT_BYTES)
        if len(data) > MAX_TEXT_BYTES:
            self.defects.append("text:cut")
            # At a line end, so that no character is cut in two.
            data = data[: data.rfind(b"\n", 0, MAX_TEXT_BYTES) + 1 or MAX_TEXT_BYTES]
        text, defect = decode(data, read.charset(part))
        if defect:
            self.defects.append(defect)
        if part.get_content_type() == "text/plain" and read.is_flowed(part):
            return read.unfolded(text)
        return printable(text)

    def _bytes_of(self, part: EmailMessage, most: int | None = None) -> bytes:
        """The content of a part; of a large body little more than `most` bytes when given."""
        encoding = read.mended_encoding(part)
        if part.is_multipart():
            payload = part.get_payload()
            inner = payload[0] if isinstance(payload, list) and payload else None
            whole = read.serialised(inner) if isinstance(inner, EmailMessage) else b""
            whole = self.aside.restored_bytes(whole) if self.aside.spans else whole
            # A message must not be in base64, and yet some are.
            return decoded_base64(whole) or whole if encoding == "base64" else whole
        payload = part.get_payload()
        if isinstance(payload, str) and self.aside.holds(payload):
            data = self.aside.decoded(payload) if encoding == "base64" else None
            if data is not None:
                return data
            part.set_payload(self.aside.restored(payload, most and 4 * most))
        decoded = part.get_payload(decode=True)
        return decoded if isinstance(decoded, bytes) else b""


def _check_depth(part: EmailMessage, limits: MailLimits, depth: int, deep: bool = True) -> None:
    if depth > limits.max_depth:
        raise UnreadableMail(
            "depth", f"L'e-mail a plus de {limits.max_depth} niveaux de parties MIME."
        )
    payload = part.get_payload() if deep else None
    for child in payload if isinstance(payload, list) else ():
        if isinstance(child, EmailMessage):
            _check_depth(child, limits, depth + 1)


def _holds_only_pictures(related: EmailMessage) -> bool:
    """Whether a `multipart/related` is an HTML rendering with its pictures, nothing to attach."""
    return all(
        part.get_content_maintype() in {"text", "image", "multipart"} for part in related.walk()
    )


def _is_text(part: EmailMessage, root: bool) -> bool:
    if part.is_multipart() or part.get_content_disposition() == "attachment":
        return False
    if part.get_content_maintype() == "multipart":
        # Declared in parts, but no boundary was found: what is there is shown as it is.
        return True
    named = bool(read.file_name(part)) and not root
    return part.get_content_type() in _TEXTS and not named


def _by_content(data: bytes, declared: str) -> str:
    """The media type that the first bytes show, else the declared one."""
    shown = next((media_type for magic, media_type in _MAGIC if data.startswith(magic)), "")
    if not shown and declared in _VAGUE and data.startswith(b"PK\x03\x04"):
        return "application/zip"
    return shown or declared
