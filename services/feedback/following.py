"""Changes handed to whoever follows: a small bounded line for each, nobody waits for a slow one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from services.feedback.access import Viewer
from services.feedback.queueing import Change, merged

WAITING = 64
"""Changes kept for one page; beyond that it is told to load again."""
LONGEST = 600.0
"""Seconds after which a page has to ask anew: its account may have changed."""
PAGES = 2_000
"""Followed at once by one process."""


class Live:
    """Hands every change to the pages whose viewers may know of it."""

    def __init__(self) -> None:
        self._pages: set[_Page] = set()
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether no further page can follow."""
        return self._closed or len(self._pages) >= PAGES

    def tell(self, change: Change) -> None:
        """To all; never waits for a reader."""
        for page in self._pages:
            if change.concerns(page.viewer):
                page.add(change)

    def close(self) -> None:
        """The process stops: every page's stream ends at once."""
        self._closed = True
        for page in self._pages:
            page.woken.set()

    async def follow(self, viewer: Viewer, longest: float = LONGEST) -> AsyncIterator[Change]:
        """Changes as they come, until ``longest`` seconds are over or the process stops."""
        page = _Page(viewer)
        self._pages.add(page)
        clock = asyncio.get_running_loop().time
        until = clock() + longest
        try:
            while not self._closed and clock() < until:
                try:
                    # Not wait_for: outbox.py says why.
                    async with asyncio.timeout_at(until):
                        await page.woken.wait()
                except TimeoutError:
                    return
                for change in page.taken():
                    yield change
        finally:
            self._pages.discard(page)


class _Page:
    """One open page."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.woken = asyncio.Event()
        self._waiting: list[Change] = []

    def add(self, change: Change) -> None:
        self._waiting = merged(self._waiting, change, WAITING)
        self.woken.set()

    def taken(self) -> list[Change]:
        waiting, self._waiting = self._waiting, []
        self.woken.clear()
        return waiting
