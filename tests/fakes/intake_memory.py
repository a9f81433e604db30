"""The register of e-mails and the reader of documents, in memory and in process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from uuid import UUID

from services.ingest.chunking import TokenCounter
from services.ingest.formats.model import Limits
from services.ingest.mail_reading import MailReading, read_whole
from services.ingest.mail_service import (
    MAX_EARLIER,
    WINDOW,
    Arrival,
    Outcome,
    Registration,
)
from services.ingest.mime import MailLimits
from services.ingest.reading import Reading, Submission, read_document, read_text
from services.ingest.threads import Earlier, thread_of


class MemoryIntake:
    """The contract of `PostgresIntake`."""

    def __init__(self) -> None:
        self._mails: dict[UUID, tuple[Arrival, Registration]] = {}
        self._locks: defaultdict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ready(self) -> None:
        return None

    async def register(self, arrival: Arrival, limit: int) -> Registration:
        decided = await self.preview(arrival, limit)
        if decided.outcome != "duplicate":
            self._mails[arrival.mail_id] = arrival, decided
        return decided

    async def preview(self, arrival: Arrival, limit: int) -> Registration:
        if arrival.mail_id in self._mails:
            before, decided = self._mails[arrival.mail_id]
            if before.event_id == arrival.event_id:
                return decided
            if decided.outcome == "accepted":
                return Registration("duplicate", decided.thread_id)
        strand = arrival.strand
        here = sorted(
            (
                pair
                for pair in self._mails.values()
                if pair[0].mailbox == arrival.mailbox and pair[0].mail_id != arrival.mail_id
            ),
            key=lambda pair: (pair[0].received, pair[0].mail_id),
        )
        mine = [pair for pair in here if pair[0].strand.sender == strand.sender]
        for known, decided in mine:
            copy = known.strand.message_id == strand.message_id and decided.outcome == "accepted"
            if copy and strand.message_id:
                return Registration("duplicate", decided.thread_id)
        sent = sum(
            decided.outcome == "accepted"
            and arrival.received - WINDOW < known.received <= arrival.received
            for known, decided in mine
        )
        with_sender = [
            Earlier(
                known.strand.message_id, known.strand.subject, decided.thread_id, known.received
            )
            for known, decided in here
            if strand.sender in (known.strand.sender, *known.strand.people)
        ]
        thread = thread_of(strand, arrival.received, with_sender)
        before = [
            known.mail_id
            for known, decided in here
            if decided.outcome == "accepted"
            and decided.thread_id == thread
            and (known.received, known.mail_id) < (arrival.received, arrival.mail_id)
        ]
        outcome: Outcome = "accepted" if sent < limit else "limit"
        return Registration(outcome, thread, tuple(before[-MAX_EARLIER:]))

    async def forget(self, mail_id: UUID) -> str | None:
        if mail_id not in self._mails:
            return None
        known, decided = self._mails[mail_id]
        bare = replace(known.strand, message_id="", sender="", subject="", people=())
        self._mails[mail_id] = replace(known, strand=bare), decided
        return known.mailbox

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

    async def mail(self, raw: bytes, limits: MailLimits) -> MailReading:
        return await asyncio.to_thread(read_whole, raw, limits)

    async def text(self, data: bytes, name: str, media_type: str | None) -> str:
        return read_text(data, name, media_type, self._limits)
