"""The register of e-mails and the reader of documents, in memory and in process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from services.ingest.chunking import TokenCounter
from services.ingest.formats.model import Limits
from services.ingest.mail_service import WINDOW, Arrival, Outcome, Registration
from services.ingest.reading import Reading, Submission, read_document, read_text


class MemoryIntake:
    """The contract of `PostgresIntake`."""

    def __init__(self) -> None:
        self._mails: dict[UUID, tuple[Arrival, Registration]] = {}
        self._locks: defaultdict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ready(self) -> None:
        return None

    async def register(self, arrival: Arrival, limit: int) -> Registration:
        if arrival.mail_id in self._mails:
            before, decided = self._mails[arrival.mail_id]
            if before.event_id == arrival.event_id:
                return decided
            if decided.outcome == "accepted":
                return Registration("duplicate", decided.thread_id)
        mine = [
            pair
            for pair in self._mails.values()
            if (pair[0].mailbox, pair[0].sender_sha256) == (arrival.mailbox, arrival.sender_sha256)
        ]
        for known, decided in mine:
            copy = known.message_id == arrival.message_id and decided.outcome == "accepted"
            if copy and arrival.message_id:
                return Registration("duplicate", decided.thread_id)
        by_id = {known.message_id: decided.thread_id for known, decided in reversed(mine)}
        threads = [by_id[name] for name in arrival.related if name in by_id]
        sent = sum(
            decided.outcome == "accepted"
            and arrival.received - WINDOW < known.received <= arrival.received
            for known, decided in mine
        )
        outcome: Outcome = "accepted" if sent < limit else "limit"
        decided = Registration(outcome, threads[-1] if threads else arrival.thread_id)
        self._mails[arrival.mail_id] = arrival, decided
        return decided

    def document(self, document_id: UUID) -> AbstractAsyncContextManager[None]:
        return self._locked(document_id)

    @asynccontextmanager
    async def _locked(self, document_id: UUID) -> AsyncIterator[None]:
        async with self._locks[document_id]:
            yield


class WordCounter:
    """Counts words as tokens."""

    def count(self, text: str) -> int:
        return len(text.split())

    def ends(self, text: str) -> list[int]:
        position = 0
        found: list[int] = []
        for word in text.split():
            position = text.index(word, position) + len(word)
            found.append(position)
        return found


class DirectReader:
    """Reads in this process."""

    def __init__(self, counter: TokenCounter, limits: Limits | None = None) -> None:
        self._counter = counter
        self._limits = limits or Limits()

    async def document(self, submission: Submission) -> Reading:
        return read_document(submission, self._counter, 64, self._limits)

    async def text(self, data: bytes, name: str, media_type: str | None) -> str:
        return read_text(data, name, media_type, self._limits)
