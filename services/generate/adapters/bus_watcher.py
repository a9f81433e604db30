"""Tells on the bus how far a draft is, a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from services.generate.answer import DraftRequest
from shared.bus import Bus
from shared.progress import DraftProgress

LEAST_PAUSE = 0.25
"""Seconds between two messages on one draft: a reader's eye needs no more."""


class BusWatcher:
    """Says ``DraftProgress``; what comes too fast is left out, the next one holds it."""

    def __init__(self, bus: Bus, pause: float = LEAST_PAUSE) -> None:
        self._bus = bus
        self._pause = pause
        self._told: dict[tuple[UUID, int], float] = {}

    async def writing(self, request: DraftRequest, engine: str, text: Callable[[], str]) -> None:
        """Tell the text so far, unless it was told just now."""
        key, now = (request.mail.mail_id, request.request_id), time.monotonic()
        if now - self._told.get(key, float("-inf")) < self._pause:
            return
        self._told[key] = now
        await self._bus.tell(_progress(request, engine, text=text()))

    async def done(self, request: DraftRequest, engine: str) -> None:
        """Tell that the model stopped."""
        self._told.pop((request.mail.mail_id, request.request_id), None)
        await self._bus.tell(_progress(request, engine, done=True))


def _progress(
    request: DraftRequest, engine: str, *, text: str = "", done: bool = False
) -> DraftProgress:
    return DraftProgress(
        mailbox=request.mail.mailbox,
        mail_id=request.mail.mail_id,
        request_id=request.request_id,
        engine=engine,
        text=text,
        done=done,
    )
