"""Whether the mail servers answer: told in ``/readyz`` and as a metric, mailbox by mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

import structlog

from services.mail.composing import Letter
from services.mail.service import Mailer, Step
from shared import telemetry
from shared.delivery import Unavailable

log = structlog.get_logger()

LOOK_AGAIN = 300.0
"""Seconds between two looks at a server that replies go to; they log in, so they are few."""
SOONER = 30.0
"""While it is away."""
Tell = Callable[[str], None]
"""Takes why a mailbox does not work; nothing when it does."""


class Mailboxes:
    """The state of each mailbox's servers."""

    def __init__(self) -> None:
        self._troubles: dict[str, str] = {}

    def troubles(self) -> dict[str, str]:
        """Why, by way and mailbox, for those that do not work."""
        return dict(self._troubles)

    def incoming(self, mailbox: str) -> Tell:
        """How its state is told; it is unknown before."""
        return self._teller("incoming", mailbox)

    def outgoing(self, mailbox: str) -> Tell:
        """How its state is told; it is unknown before."""
        return self._teller("outgoing", mailbox)

    def _teller(self, way: str, mailbox: str) -> Tell:
        name = f"bridge.{way}.{mailbox}"

        def tell(trouble: str) -> None:
            telemetry.MAILBOX_UP.labels(way, mailbox).set(not trouble)
            self._troubles.pop(name, None)
            if trouble:
                self._troubles[name] = trouble

        return tell


class Server(Mailer, Protocol):
    """A mailer whose server can be looked at."""

    async def look(self) -> None:
        """Return when the server lets us in. Raises Unavailable."""


class Watched:
    """A ``Mailer`` that tells whether its server answers: by what it sends, and now and then."""

    def __init__(self, server: Server, tell: Tell) -> None:
        self._server = server
        self._tell = tell
        self.sender = server.sender
        self.patience_hours = server.patience_hours

    async def send(self, letter: Letter, before_data: Step) -> Literal["sent", "drafted"]:
        answered = False

        async def reached() -> None:
            nonlocal answered
            answered = True
            self._tell("")
            await before_data()

        try:
            state = await self._server.send(letter, reached)
        except Unavailable as error:
            if not answered:
                self._tell(str(error))
            raise
        self._tell("")
        return state

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            trouble = ""
            try:
                await self._server.look()
            except Unavailable as error:
                trouble = str(error)
            except Exception as error:
                # Looking must go on, and whatever it is concerns this mailbox alone.
                log.error("mail server", sender=self.sender, error=error, exc_info=True)
                trouble = type(error).__name__
            self._tell(trouble)
            await asyncio.sleep(SOONER if trouble else LOOK_AGAIN)
