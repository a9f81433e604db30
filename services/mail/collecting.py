"""Reads one IMAP folder for ever: what waits there, then whatever arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol
from uuid import UUID

import structlog

from shared.delivery import Invalid, Unavailable

log = structlog.get_logger()

PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next connection, after failures in a row."""
BATCH = 20
Take = Callable[[str, bytes], Awaitable[UUID]]


@dataclass(frozen=True)
class Place:
    """How far a folder was read; UIDs are comparable within one ``uid_validity`` only.

    Nothing from before the day ``since`` is ours.
    """

    uid_validity: int
    uid: int
    since: date | None = None


@dataclass(frozen=True)
class Entry:
    """An e-mail that waits: its UID and its size in bytes."""

    uid: int
    size: int


class Places(Protocol):
    """Where places are remembered. Raises Unavailable."""

    async def find(self, mailbox: str, account: str, folder: str) -> Place | None:
        """The place kept last."""

    async def keep(self, mailbox: str, account: str, folder: str, place: Place) -> None:
        """Remember, durably."""


class Session(Protocol):
    """A folder that is open. All methods raise Unavailable."""

    async def start(self, backlog: bool) -> Place:
        """The place from which a reader begins who was never here."""

    async def waiting(self, place: Place) -> Sequence[Entry]:
        """What lies behind ``place`` and is not marked as taken, by UID."""

    async def raw(self, uid: int) -> bytes | None:
        """The e-mail as it is; None when it was removed meanwhile."""

    async def taken(self, uids: Sequence[int]) -> None:
        """Mark or move e-mails that the bus has confirmed."""

    async def refuse(self, uid: int) -> None:
        """Mark, for the people who read the folder, what cannot be handed in."""

    async def changed(self) -> None:
        """Return when something may have arrived, at the latest after some minutes."""


class Folder(Protocol):
    """A folder of a mail server."""

    account: str
    name: str
    backlog: bool

    def session(self) -> AbstractAsyncContextManager[Session]:
        """Connect and open. Raises Unavailable."""


class Collector:
    """Hands in what arrives in one folder: at least once, and no e-mail holds up the rest."""

    def __init__(
        self,
        mailbox: str,
        folder: Folder,
        places: Places,
        take: Take,
        max_bytes: int,
        tell: Callable[[str], None],
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """``tell`` hears why the folder is not read; nothing when it is."""
        self._mailbox = mailbox
        self._folder = folder
        self._places = places
        self._take = take
        self._max_bytes = max_bytes
        self._pauses = pauses
        self._tell = tell
        self._failures = 0

    async def run(self) -> None:
        """Collect until cancelled; a failure is told and followed by a growing pause."""
        while True:
            try:
                await self._collect()
            except Unavailable as error:
                log.warning("folder waits", mailbox=self._mailbox, reason=str(error))
                self._tell(str(error))
            except Exception as error:
                # A collector that ended would leave every e-mail unread: it says so, and goes on.
                log.error("folder", mailbox=self._mailbox, error=error, exc_info=True)
                self._tell(type(error).__name__)
            pause = self._pauses[min(self._failures, len(self._pauses) - 1)]
            self._failures += 1
            await asyncio.sleep(pause)

    async def _collect(self) -> None:
        async with self._folder.session() as session:
            place = await self._place(session)
            log.info("folder open", mailbox=self._mailbox, folder=self._folder.name)
            while True:
                place = await self._read(session, place)
                self._failures = 0
                self._tell("")
                await session.changed()

    async def _place(self, session: Session) -> Place:
        fresh = await session.start(self._folder.backlog)
        key = (self._mailbox, self._folder.account, self._folder.name)
        known = await self._places.find(*key)
        if known and known.uid_validity == fresh.uid_validity:
            return known
        if known:
            # The server numbered the folder anew. E-mails are known by content, not by number.
            log.warning("folder numbered anew, read again", mailbox=self._mailbox)
            fresh = Place(fresh.uid_validity, 0, known.since)
        elif fresh.uid:
            log.info("older e-mails left alone", mailbox=self._mailbox, up_to_uid=fresh.uid)
        await self._places.keep(*key, fresh)
        return fresh

    async def _read(self, session: Session, place: Place) -> Place:
        """Hand in everything behind ``place``; it moves on only past what was confirmed."""
        waiting = await session.waiting(place)
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            taken = [entry.uid for entry in batch if await self._hand_in(session, entry)]
            if taken:
                await session.taken(taken)
            place = replace(place, uid=batch[-1].uid)
            await self._places.keep(self._mailbox, self._folder.account, self._folder.name, place)
        return place

    async def _hand_in(self, session: Session, entry: Entry) -> bool:
        try:
            if entry.size > self._max_bytes:
                raise Invalid(f"{entry.size} bytes, more than ingest.mail_max_bytes")
            raw = await session.raw(entry.uid)
            if raw is None:
                return False
            await self._take(self._mailbox, raw)
        except Invalid as error:
            log.error("e-mail refused", mailbox=self._mailbox, uid=entry.uid, reason=str(error))
            await session.refuse(entry.uid)
            return False
        return True
