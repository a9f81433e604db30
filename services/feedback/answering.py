"""What became of replies: what mail systems say of them, and the lists of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from services.feedback.access import Viewer
from services.feedback.errors import NotFound
from services.feedback.settling import (
    Heard,
    Known,
    ReplyEvent,
    ReplyState,
    Settled,
    StoredReply,
    Word,
    event_of,
    heard,
    settle,
)
from services.feedback.withdrawing import Withdraw

log = structlog.get_logger()

Judge = Callable[[Known], Settled]


class Replies(Protocol):
    """Where replies are kept; each method is one transaction. All raise Unavailable."""

    async def settle(
        self, event: ReplyEvent, word: Heard, judge: Judge, withdraw: Withdraw, now: datetime
    ) -> bool:
        """Keep what ``judge`` makes of the mail that ``word`` is about, with its events.

        When no such mail is known in the mailbox, the event itself is kept, for as long as
        streams are kept twice over, and False given.
        """

    async def unmatched(self, mailbox: str, mail_id: UUID, message_id: str) -> Sequence[ReplyEvent]:
        """The events kept that are about this mail."""

    async def replies(
        self,
        viewer: Viewer,
        state: ReplyState | None,
        mailbox: str | None,
        limit: int,
        after: UUID | None,
    ) -> Sequence[StoredReply]:
        """Oldest first, those that follow the reply ``after``."""

    async def reply(self, viewer: Viewer, reply_id: UUID) -> StoredReply | None:
        """One reply."""

    async def tell(
        self, viewer: Viewer, mail_id: UUID, event_in: Callable[[str], ReplyEvent]
    ) -> str | None:
        """Leave the event about a mail of that mailbox in the outbox; the mailbox, None when the
        viewer has no such mail."""


class Answering:
    """The use cases; ``said`` is called after events entered the outbox."""

    def __init__(
        self,
        replies: Replies,
        clock: Callable[[], datetime],
        said: Callable[[], None],
        withdraw: Withdraw,
    ) -> None:
        self._replies = replies
        self._clock = clock
        self._said = said
        self._withdraw = withdraw

    async def hear(self, event: ReplyEvent) -> None:
        """Keep what a mail system says; of an e-mail nobody heard of yet until that comes."""
        if not (await self._settled(event) or await self._settled(event)):
            # Looked for twice: the mail may have come just before the event was kept.
            log.warning("reply to an unknown e-mail kept", mailbox=event.data.mailbox)

    async def mail_came(self, mailbox: str, mail_id: UUID, message_id: str) -> None:
        """Settle what was said of a mail before it was known."""
        for event in await self._replies.unmatched(mailbox, mail_id, message_id):
            await self._settled(event)

    async def list_replies(
        self,
        viewer: Viewer,
        state: ReplyState | None,
        mailbox: str | None,
        limit: int,
        after: UUID | None,
    ) -> Sequence[StoredReply]:
        """Replies, oldest first: of those ``approved`` a mail system takes the next to send."""
        return await self._replies.replies(viewer, state, mailbox, limit, after)

    async def get_reply(self, viewer: Viewer, reply_id: UUID) -> StoredReply:
        """One reply; raises NotFound."""
        found = await self._replies.reply(viewer, reply_id)
        if found is None:
            raise NotFound("Aucune réponse {id} n'est connue.", id=reply_id)
        return found

    async def tell(self, viewer: Viewer, mail_id: UUID, word: Word) -> None:
        """Say for a mail system that knows no events what became of a reply.

        Raises NotFound, and Unacceptable when the word is incomplete.
        """
        now = self._clock()
        mailbox = await self._replies.tell(
            viewer, mail_id, lambda mailbox: event_of(word, mail_id, mailbox, now)
        )
        if mailbox is None:
            raise NotFound("Aucun e-mail {id} n'est connu.", id=mail_id)
        self._said()

    async def _settled(self, event: ReplyEvent) -> bool:
        now, word = self._clock(), heard(event)
        known = await self._replies.settle(
            event, word, lambda known: settle(known, word, now), self._withdraw, now
        )
        self._said()
        return known
