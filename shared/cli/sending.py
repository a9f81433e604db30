"""Hands e-mails in as ``mail.received`` and follows each to its outcome."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from shared.cli.client import BusClient, Heard
from shared.cli.outcomes import Outcome, mail_of, outcome_of
from shared.cli.problem import Problem
from shared.clock import utcnow
from shared.delivery import Invalid, Unavailable
from shared.document_events import MessageDead
from shared.envelope import INLINE_LIMIT
from shared.events import MailReceived, MailReceivedData
from shared.identity import derived_id, mail_id, sha256
from shared.registry import decode

if TYPE_CHECKING:  # it takes 0.3 s to import
    from shared.objects import ObjectStore

IN_FLIGHT = 64
"""E-mails handed in and not decided yet, at most."""


@dataclass(frozen=True)
class Letter:
    """One e-mail to hand in: where it came from and its raw RFC 5322 bytes."""

    name: str
    raw: bytes


@dataclass
class Posted:
    """A letter on its way; ``at`` is the monotonic time of publishing, in seconds."""

    letter: Letter
    mail: UUID
    at: float


@dataclass
class Post:
    """Hands letters in to ``mailbox``."""

    client: BusClient
    objects: ObjectStore
    mailbox: str
    timeout: float = 120.0
    once: bool = False
    """Whether an e-mail that is handed in again is the same event, as a mail system's retry is."""
    _waiting: dict[UUID, Posted] = field(default_factory=dict)

    async def hand_in(self, letter: Letter) -> Posted:
        """Publish one letter. Raises ``Problem``."""
        mail = mail_id(self.mailbox, letter.raw)
        data = MailReceivedData(mailbox=self.mailbox, **await self._body(letter.raw))
        identity = derived_id(mail, MailReceived.TYPE) if self.once else uuid4()
        event = MailReceived.make(
            source="cli", subject=str(mail), time=utcnow(), data=data, id=identity
        )
        posted = Posted(letter, mail, time.monotonic())
        self._waiting[mail] = posted
        await self.client.say(event)
        return posted

    async def follow(self, letters: Iterable[Letter]) -> AsyncIterator[Outcome]:
        """Hand letters in and yield each one's outcome as it arrives.

        Identical letters are one e-mail. One that is not decided within ``timeout`` seconds gets
        the outcome "none".
        """
        different = {mail_id(self.mailbox, letter.raw): letter for letter in letters}
        queue = list(reversed(different.values()))
        async with self.client.watch(self._wanted()) as heard:
            while queue or self._waiting:
                while queue and len(self._waiting) < IN_FLIGHT:
                    await self.hand_in(queue.pop())
                for overdue in self._overdue():
                    yield overdue
                try:
                    message = await asyncio.wait_for(heard.get(), 0.5)
                except TimeoutError:
                    continue
                if found := self._outcome(message):
                    yield found

    def _wanted(self) -> list[tuple[str, str]]:
        box = self.mailbox
        return [
            ("DRAFT", f"draft.ready.v1.{box}"),
            ("DRAFT", f"draft.declined.v1.{box}"),
            ("MAIL", f"mail.skipped.v1.{box}"),
            ("DEAD", "dead.>"),
        ]

    def _outcome(self, message: Heard) -> Outcome | None:
        try:
            event = decode(message.body)
        except Invalid:  # not ours: what we understand is told by its type
            return None
        mail = _mail_of_dead(event) if isinstance(event, MessageDead) else mail_of(event)
        posted = self._waiting.pop(mail, None) if mail else None
        return self._told(posted, outcome_of(event)) if posted else None

    def _overdue(self) -> list[Outcome]:
        now = time.monotonic()
        late = [each for each in self._waiting.values() if now - each.at > self.timeout]
        nothing: Outcome = {"outcome": "none", "reason": "timeout", "text": "", "timings": {}}
        nothing |= {"sources": [], "passages": [], "engine": "", "evidence": None}
        nothing["detail"] = f"no outcome within {self.timeout:.0f} s; see `sourcier status`"
        for each in late:
            del self._waiting[each.mail]
        return [self._told(each, dict(nothing)) for each in late]

    def _told(self, posted: Posted, outcome: Outcome) -> Outcome:
        timings = {"total": round(time.monotonic() - posted.at, 4)} | outcome.pop("timings")
        name = {"mail_id": str(posted.mail), "file": posted.letter.name}
        return name | outcome | {"timings": timings}

    async def _body(self, raw: bytes) -> dict[str, Any]:
        if len(raw) <= INLINE_LIMIT:
            return {"content": base64.b64encode(raw)}
        return {"key": await upload(self.objects, raw)}


async def upload(objects: ObjectStore, data: bytes) -> str:
    """Store a body that is too large for an event. Returns its key; raises ``Problem``."""
    key = f"inbox/cli/{sha256(data)}"
    try:
        await objects.put(key, data)
    except Unavailable as error:
        raise Problem(f"{error}; see `sourcier status`") from error
    return key


def _mail_of_dead(dead: MessageDead) -> UUID | None:
    """The mail of a dead letter: the subject of the event that it holds."""
    try:
        return UUID(json.loads(dead.data.payload)["subject"])
    except (ValueError, KeyError, TypeError):
        return None
