"""Drafts in progress, on core NATS: in no stream, and nothing depends on hearing them."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from shared.envelope import Frozen, Slug


class DraftProgress(Frozen):
    """How far the draft of an e-mail is; any of these may be lost, the draft itself comes apart.

    ``text`` is what can be read of it so far, whole each time, unchecked and without sources;
    ``done`` says that the model stopped, whatever came of it.
    """

    PREFIX: ClassVar[str] = "progress.draft.v1"

    mailbox: Slug
    mail_id: UUID
    request_id: int = 0
    engine: str
    text: str = ""
    done: bool = False

    def subject(self) -> str:
        """``progress.draft.v1.<mailbox>.<mail id>``."""
        return f"{self.PREFIX}.{self.mailbox}.{self.mail_id}"
