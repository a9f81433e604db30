"""Appends replies to an IMAP folder of drafts, from where a person sends them."""

from __future__ import annotations

import asyncio
from typing import Literal

from imap_tools import AND, H

from services.mail.adapters.imap import DOWN, connect
from services.mail.composing import Letter
from services.mail.service import Step
from shared.bridge import Outgoing
from shared.delivery import Unavailable


class DraftsMailer:
    """The Protocol ``Mailer``. A repetition finds the draft by its Message-ID."""

    def __init__(self, config: Outgoing) -> None:
        self._config = config
        self.sender = config.sender
        self.patience_hours = config.patience_hours

    async def send(self, letter: Letter, before_data: Step) -> Literal["drafted"]:
        """Nothing is intended: what a crash interrupts here can be done again."""
        await asyncio.to_thread(self._append, letter)
        return "drafted"

    def _append(self, letter: Letter) -> None:
        config = self._config
        box = connect(config)
        try:
            box.folder.set(config.folder)
            if not box.uids(AND(header=H("Message-ID", letter.message_id))):
                box.append(letter.content, config.folder, flag_set=["\\Draft"])
        except DOWN as error:
            raise Unavailable(
                f"IMAP {config.host}, folder {config.folder}: {error or type(error).__name__}"
            ) from error
        finally:
            box.client.shutdown()
