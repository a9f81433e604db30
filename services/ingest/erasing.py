"""Forgetting an e-mail: its raw message, the texts of its attachments, and whose it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import structlog

from services.ingest.mail_block import prefix
from shared.document_events import MailErased
from shared.objects import ObjectStore

log = structlog.get_logger()


class MailForgetter(Protocol):
    """Where it is remembered which e-mails came."""

    async def forget(self, mail_id: UUID) -> str | None:
        """Forget who wrote it and what about, not that it came; its mailbox, if it is known.

        May be repeated. Raises Unavailable.
        """


class Erasing:
    """The use case. An e-mail that was skipped is not in the register, so ``mailboxes`` are looked
    through for it. A sender's e-mails are told by id, by feedback, which knows them all."""

    def __init__(
        self, objects: ObjectStore, register: MailForgetter, mailboxes: Sequence[str]
    ) -> None:
        self._objects, self._register, self._mailboxes = objects, register, mailboxes

    async def hear(self, event: MailErased) -> None:
        """Delete what is kept of the e-mails named. Raises Unavailable."""
        for mail_id in event.data.mail_ids:
            mailbox = await self._register.forget(mail_id)
            removed = 0
            for name in (mailbox,) if mailbox else self._mailboxes:
                for key in [key async for key in self._objects.keys(prefix(name, mail_id))]:
                    await self._objects.remove(key)
                    removed += 1
            if not (mailbox or removed):
                log.warning(
                    "nothing found of an e-mail to be erased: erased before, not arrived yet, or of"
                    " a mailbox that is no longer configured (then remove mails/<mailbox>/<id>*)",
                    mail_id=str(mail_id),
                )
