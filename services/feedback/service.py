"""What feedback does: keep what happened to each mail, show drafts, take reviews."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.feedback.access import Viewer
from services.feedback.edits import Kept
from services.feedback.errors import NotFound, no_draft
from services.feedback.records import (
    DocumentState,
    DraftSummary,
    Figures,
    IndexedVersion,
    MailOutcome,
    RegenerateWish,
    RequestedDraft,
    ReviewWish,
    Status,
    StoredDraft,
    StoredReview,
    document_state,
    indexed_version,
    stored,
)
from services.feedback.regenerating import request_of
from services.feedback.reviewing import (
    Decided,
    decide,
)
from services.feedback.withdrawing import Why, Withdraw, withdrawal
from shared.clock import Clock
from shared.document_events import DocumentIndexed, DocumentRejected, DocumentRemoved
from shared.events import (
    DraftDeclined,
    DraftReady,
    DraftRequested,
    DraftWithdrawn,
    MailAccepted,
    MailSkipped,
    MailSkippedData,
)
from shared.records import MailBlock

Ask = Callable[[Kept, int], DraftRequested]
"""The event that asks for another draft of that number."""


class Drafts(Protocol):
    """Where mails, drafts and documents are kept. Every write may be repeated.

    All methods raise Unavailable when the database is down; each write is one transaction, and
    the events it gives rise to enter the outbox in it. What a method that takes a ``viewer`` reads
    or changes is of the viewer's mailboxes, of documents' audiences; the rest is as if absent.
    """

    async def save_mail(self, mail: MailBlock, withdraw: Withdraw) -> None:
        """Keep an accepted mail; older waiting drafts of its thread are withdrawn."""

    async def save_skipped(self, skipped: MailSkippedData) -> None:
        """Keep a skipped mail; a duplicate changes nothing about the mail it repeats."""

    async def save_draft(self, draft: StoredDraft, withdraw: Withdraw) -> None:
        """Keep a draft and its mail; one that is overtaken by a newer mail of its thread, by the
        removal of a cited document or by a reply is withdrawn at once, one whose documents have
        newer versions is flagged."""

    async def save_document(
        self, document: DocumentState, withdraw: Withdraw, version: IndexedVersion | None = None
    ) -> None:
        """Keep the newest state of a document and, of one that was indexed, the ``version``.

        Its removal withdraws the waiting drafts that cite it, a newer version flags them."""

    async def drafts(
        self,
        viewer: Viewer,
        status: Status | None,
        mailbox: str | None,
        limit: int,
        after: UUID | None,
    ) -> Sequence[DraftSummary]:
        """Newest first, those that follow the draft `after`."""

    async def draft(self, viewer: Viewer, draft_id: UUID) -> StoredDraft | None:
        """One draft in full."""

    async def outcome(self, viewer: Viewer, mail_id: UUID) -> MailOutcome | None:
        """What became of a mail."""

    async def documents(self, viewer: Viewer, limit: int) -> Sequence[DocumentState]:
        """The documents last heard of, newest first."""

    async def figures(self, viewer: Viewer) -> Figures:
        """Counts of what is kept; of the outbox whoever asks."""

    async def add_review(
        self,
        viewer: Viewer,
        draft_id: UUID,
        now: datetime,
        decision: Callable[[Kept], Decided],
        withdraw: Withdraw,
    ) -> Decided:
        """Record what ``decision`` makes of the draft as it is kept, with its events.

        Nobody changes the draft meanwhile. What was typed is forgotten and the lock given back; an
        approval leaves a reply and withdraws the other waiting drafts of the mail, which gets one.
        A decision without events changes nothing. Raises NotFound when there is no such draft,
        Conflict when the review's id is another's, and what ``decision`` raises.
        """

    async def add_request(
        self, viewer: Viewer, draft_id: UUID, now: datetime, ask: Ask
    ) -> DraftRequested:
        """Leave the event that asks for the mail's next draft, numbered from 1.

        Raises Conflict when the draft no longer waits, NotFound when there is no such draft.
        """


class FeedbackService:
    """The use cases of feedback; `said` is called after events entered the outbox, `public_url` is
    where readers of replies reach the pages of sources."""

    def __init__(
        self,
        drafts: Drafts,
        clock: Clock,
        said: Callable[[], None],
        public_url: str | None = None,
    ) -> None:
        self._public_url = public_url
        self._drafts = drafts
        self._clock = clock
        self._said = said

    async def record_mail(self, event: MailAccepted) -> None:
        """An accepted mail waits for its draft."""
        await self._drafts.save_mail(event.data.mail, self.withdraw)
        self._said()

    async def record_skipped(self, event: MailSkipped) -> None:
        """A mail gets no draft, and why."""
        await self._drafts.save_skipped(event.data)

    async def record_draft(self, event: DraftReady | DraftDeclined) -> None:
        """A draft, or the reasoned refusal of one, waits for an agent."""
        await self._drafts.save_draft(stored(event), self.withdraw)
        self._said()

    async def record_document(
        self, event: DocumentIndexed | DocumentRejected | DocumentRemoved
    ) -> None:
        """A document became searchable, was refused, or went away."""
        if isinstance(event, DocumentIndexed) and not event.data.live:
            return
        await self._drafts.save_document(
            document_state(event), self.withdraw, indexed_version(event)
        )
        self._said()

    async def list_drafts(
        self,
        viewer: Viewer,
        status: Status | None,
        mailbox: str | None,
        limit: int,
        after: UUID | None,
    ) -> Sequence[DraftSummary]:
        """Drafts, newest first."""
        return await self._drafts.drafts(viewer, status, mailbox, limit, after)

    async def get_draft(self, viewer: Viewer, draft_id: UUID) -> StoredDraft:
        """One draft in full; raises NotFound."""
        found = await self._drafts.draft(viewer, draft_id)
        if found is None:
            raise no_draft(draft_id)
        return found

    async def get_outcome(self, viewer: Viewer, mail_id: UUID) -> MailOutcome:
        """What became of a mail; raises NotFound while nothing was heard of it."""
        found = await self._drafts.outcome(viewer, mail_id)
        if found is None:
            raise NotFound(
                "Aucun e-mail {id} n'est connu : il n'est peut-être pas encore lu.", id=mail_id
            )
        return found

    async def list_documents(self, viewer: Viewer, limit: int) -> Sequence[DocumentState]:
        """Documents last heard of."""
        return await self._drafts.documents(viewer, limit)

    async def figures(self, viewer: Viewer) -> Figures:
        """Counts for the status page."""
        return await self._drafts.figures(viewer)

    async def review(self, viewer: Viewer, draft_id: UUID, wish: ReviewWish) -> StoredReview:
        """Record an agent's decision; a repetition gives the review already recorded.

        Raises NotFound, Unacceptable, or Conflict when another decision was taken before, another
        agent works on the draft, or the text was changed since ``wish.revision``.
        """
        now = self._clock()
        decided = await self._drafts.add_review(
            viewer,
            draft_id,
            now,
            lambda kept: decide(kept, wish, viewer, now, self._public_url),
            self.withdraw,
        )
        if decided.events:
            self._said()
        return decided.review

    async def regenerate(
        self, viewer: Viewer, draft_id: UUID, wish: RegenerateWish
    ) -> RequestedDraft:
        """Ask for another draft of the same e-mail; the one there is stays.

        Raises NotFound, or Conflict when the draft was decided or withdrawn.
        """
        await self.get_draft(viewer, draft_id)
        now = self._clock()
        event = await self._drafts.add_request(
            viewer, draft_id, now, lambda kept, number: request_of(kept, wish, number, now)
        )
        self._said()
        data = event.data
        return RequestedDraft(
            mail_id=data.mail.mail_id, mailbox=data.mail.mailbox, request_id=data.request_id
        )

    def withdraw(self, draft: StoredDraft, why: Why) -> DraftWithdrawn:
        """The event that takes ``draft`` back now."""
        return withdrawal(draft, why, self._clock())
