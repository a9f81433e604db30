"""From an approved reply to the e-mail that leaves. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import UUID

from services.mail import headers, rendering
from shared.events import ReplyApprovedData
from shared.identity import LOOP_HEADER


@dataclass(frozen=True)
class Letter:
    """An e-mail with its SMTP envelope; ``content`` is 7-bit, with CRLF."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes


def message_id(reply: UUID, domain: str) -> str:
    """The reply's Message-ID: the same each time, so that a second copy would be recognised."""
    return f"<{reply}.sourcier@{domain}>"


def compose(reply: ReplyApprovedData, sender: str, now: datetime) -> Letter:
    """The e-mail of ``reply``. Raises Unsendable (French).

    An agent approved it, so it carries no ``Auto-Submitted``; the loop header keeps this system
    from ever answering it.
    """
    origin = headers.sender(sender)
    to = tuple(headers.address(each, "L'adresse du destinataire") for each in reply.recipients)
    identity = message_id(reply.reply_id, origin.domain)
    message = EmailMessage(headers.POLICY)
    message["From"] = origin
    message["To"] = to
    message["Subject"] = headers.one_line(reply.subject, "L'objet")
    message["Date"] = format_datetime(now)
    message["Message-ID"] = identity
    for name, value in headers.threading(reply.in_reply_to, reply.thread_references).items():
        message[name] = value
    message[LOOP_HEADER] = "reply"
    message.set_content(rendering.plain(reply.text, reply.references))
    message.add_alternative(rendering.html(reply.text, reply.references), subtype="html")
    return Letter(
        identity,
        origin.addr_spec,
        tuple(dict.fromkeys(each.addr_spec for each in to)),
        message.as_bytes(),
    )
