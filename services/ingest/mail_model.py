"""What is read of one message, the limits it is read within, and why it may be refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

UnreadableCode = Literal[
    "empty", "not-a-mail", "size", "headers", "parts", "depth", "malformed", "timeout", "crash"
]
Sealed = Literal["", "S/MIME", "PGP"]


@dataclass(frozen=True)
class MailLimits:
    """What is still read: bytes of the raw message and of its own headers, parts, nesting depth.

    `seconds` holds where an e-mail is read in a process of its own.
    """

    max_bytes: int = 25 * 1024 * 1024
    max_header_bytes: int = 128 * 1024
    max_parts: int = 200
    max_depth: int = 12
    seconds: float = 20


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
    """A part that is not the text itself; `data` decoded from its transfer encoding.

    `media_type` is what the content shows where that is plain, else what the part declares.
    """

    name: str
    media_type: str
    size: int
    data: bytes


@dataclass(frozen=True)
class Mail:
    """One message as it was read; "" and None where it does not say.

    Message ids keep their angle brackets; names in `headers` are lower-case, values decoded.
    `sealed`: how its text is encrypted, then not read; `calendar`: the method of the invitation
    that it carries, in capitals (REQUEST, REPLY, CANCEL…).
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
    sealed: Sealed = ""
    calendar: str = ""

    def header(self, name: str) -> str:
        """The first value of the header `name` (any case), or ""."""
        return next((value for key, value in self.headers if key == name.lower()), "")

    def has_header(self, name: str) -> bool:
        """Whether the message carries the header `name` at all."""
        return any(key == name.lower() for key, _ in self.headers)
