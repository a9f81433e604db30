"""One e-mail read whole: parsed, its new text and its questions. Runs apart, within a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.ingest.mime import Mail, MailLimits, read_mail
from services.ingest.questions import find_questions, language
from shared.newtext.visible import new_text

MAX_TEXT = 20_000
"""Characters of new text that travel in events; the whole mail stays in the object store."""


@dataclass(frozen=True, slots=True)
class MailReading:
    """`text` is the new text, at most `MAX_TEXT`; `language` its ISO 639-1 code."""

    mail: Mail
    text: str
    questions: tuple[str, ...]
    language: str


class MailReader(Protocol):
    """Reads untrusted e-mails and their attachments apart from the service."""

    async def mail(self, raw: bytes, limits: MailLimits) -> MailReading:
        """The e-mail, read within `limits`, its time too. Raises UnreadableMail, Unavailable."""

    async def text(self, data: bytes, name: str, media_type: str | None) -> str:
        """The text of an attachment. Raises Unreadable, Unavailable."""


def read_whole(raw: bytes, limits: MailLimits) -> MailReading:
    """Read `raw`, without regard to the time. Raises UnreadableMail."""
    mail = read_mail(raw, limits)
    text = new_text(mail.text)[:MAX_TEXT]
    return MailReading(mail, text, find_questions(mail.subject, text), language(text))
