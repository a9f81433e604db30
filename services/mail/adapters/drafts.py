"""Appends replies to an IMAP folder of drafts, from where a person sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from imap_tools import AND, BaseMailBox, H

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

    async def look(self) -> None:
        """Log in and open the folder. Raises Unavailable."""
        await asyncio.to_thread(self._look)

    def _look(self) -> None:
        with self._folder():
            pass

    def _append(self, letter: Letter) -> None:
        with self._folder() as box:
            if not box.uids(AND(header=H("Message-ID", letter.message_id))):
                box.append(letter.content, self._config.folder, flag_set=["\\Draft"])

    @contextmanager
    def _folder(self) -> Iterator[BaseMailBox]:
        config = self._config
        box = connect(config)
        try:
            box.folder.set(config.folder)
            yield box
        except DOWN as error:
            raise Unavailable(
                f"IMAP {config.host}, folder {config.folder}: {error or type(error).__name__}"
            ) from error
        finally:
            box.client.shutdown()
