"""What the bridge remembers, in memory: passes the same suite as PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from services.mail.collecting import Place
from services.mail.service import Busy, Verdict


class MemorySends:
    """The Protocol ``Sends``."""

    def __init__(self) -> None:
        self.verdicts: dict[UUID, Verdict] = {}
        self._held: set[UUID] = set()
        self._since: dict[str, datetime] = {}

    async def ready(self) -> None:
        return None

    @asynccontextmanager
    async def alone(self, reply: UUID) -> AsyncIterator[None]:
        if reply in self._held:
            raise Busy(f"reply {reply} is in another's hand")
        self._held.add(reply)
        try:
            yield
        finally:
            self._held.discard(reply)

    async def find(self, reply: UUID) -> Verdict | None:
        return self.verdicts.get(reply)

    async def keep(self, reply: UUID, mailbox: str, verdict: Verdict) -> None:
        self.verdicts[reply] = verdict

    async def forget(self, reply: UUID) -> None:
        self.verdicts.pop(reply, None)

    async def since(self, mailbox: str, now: datetime) -> datetime:
        return self._since.setdefault(mailbox, now)


class MemoryPlaces:
    """The Protocol ``Places``."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str, str], Place] = {}

    async def find(self, mailbox: str, account: str, folder: str) -> Place | None:
        return self._places.get((mailbox, account, folder))

    async def keep(self, mailbox: str, account: str, folder: str, place: Place) -> None:
        self._places[mailbox, account, folder] = place
