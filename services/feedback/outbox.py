"""The relay: says the events of the outbox in order, marks them after the broker's word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import structlog

from shared.delivery import Invalid, Unavailable
from shared.envelope import Event
from shared.registry import decode

log = structlog.get_logger()

BATCH = 50
FALLBACK_SECONDS = 5.0
PAUSE_SECONDS = 1.0

Say = Callable[[Event], Awaitable[None]]


class Outbox(Protocol):
    """The events that a transaction left behind."""

    async def relay(self, say: Say, limit: int) -> int:
        """Say at most `limit` pending events in order; how many were finished.

        One relay works at a time, whatever the number of replicas; an event is marked once `say`
        returned, or as refused when it raised Invalid; those said long ago are forgotten. Raises
        Unavailable when the database is down or `say` raised it; what was said before stays marked.
        """


class Relay:
    """Says pending events whenever it is woken, and every few seconds in case nobody did."""

    def __init__(self, outbox: Outbox, say: Say) -> None:
        self._outbox = outbox
        self._say = say
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something to say."""
        self._woken.set()

    async def run(self) -> None:
        """Relay until cancelled."""
        while True:
            self._woken.clear()
            pause = FALLBACK_SECONDS
            try:
                while await self._outbox.relay(self._say, BATCH) >= BATCH:
                    pass
            except Unavailable as error:
                log.warning("outbox waits", reason=str(error))
                pause = PAUSE_SECONDS
            except Exception as error:
                # A relay that ended would keep every reply back: it says so and tries again.
                log.error("outbox relay failed", error=error, exc_info=True)
            await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        # Not wait_for: in Python 3.11 it loses a cancellation that comes with the waking.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()


async def say_one(say: Say, body: bytes) -> str | None:
    """Say the event that `body` holds; the reason when that can never be done."""
    try:
        await say(decode(body))
    except Invalid as error:
        log.error("event refused", body=body[:200].decode(errors="replace"), reason=str(error))
        return str(error)
    return None
