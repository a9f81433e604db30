"""Drafts, reviews and outbox of feedback in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from services.feedback.access import Viewer
from services.feedback.edits import Kept
from services.feedback.errors import no_draft, used_id
from services.feedback.outbox import Say, say_one
from services.feedback.records import (
    EXCERPT_CHARS,
    DocumentState,
    DraftSummary,
    Figures,
    IndexedVersion,
    MailOutcome,
    Status,
    StoredDraft,
)
from services.feedback.regenerating import still_open
from services.feedback.reviewing import Decided
from services.feedback.service import Ask
from services.feedback.withdrawing import Why, Withdraw
from shared.envelope import Event
from shared.events import DraftRequested, MailSkippedData
from shared.records import Address, MailBlock


class MemoryDrafts:
    """The Protocols `Drafts` and `Outbox`, for tests without a database."""

    def __init__(self) -> None:
        self._mails: dict[UUID, MailOutcome] = {}
        self._accepted: dict[UUID, MailBlock] = {}
        self._drafts: dict[UUID, StoredDraft] = {}
        self._documents: dict[UUID, DocumentState] = {}
        self._versions: dict[UUID, list[IndexedVersion]] = {}
        self._removed: dict[UUID, datetime] = {}
        self._requests: dict[UUID, int] = {}
        self._outbox: dict[UUID, Event] = {}
        self._said: set[UUID] = set()
        self._refused: set[UUID] = set()

    async def save_mail(self, mail: MailBlock, withdraw: Withdraw) -> None:
        known = self._mails.get(mail.mail_id)
        if known is None or known.reason == "duplicate":
            self._mails[mail.mail_id] = MailOutcome(
                mail_id=mail.mail_id,
                mailbox=mail.mailbox,
                outcome="pending",
                subject=mail.subject,
                sender=mail.sender,
                received=mail.received,
            )
        self._accepted[mail.mail_id] = mail
        for draft in list(self._drafts.values()):
            if draft.status == "waiting" and _is_older(draft.data.mail, mail):
                self._take_back(draft, "newer-mail", withdraw)

    async def save_skipped(self, skipped: MailSkippedData) -> None:
        self._mails.setdefault(
            skipped.mail_id,
            MailOutcome(
                mail_id=skipped.mail_id,
                mailbox=skipped.mailbox,
                outcome="skipped",
                reason=skipped.reason,
                detail=skipped.detail,
                subject=skipped.subject,
                sender=skipped.sender or Address(address=""),
                received=skipped.received,
                decided=skipped.received,
            ),
        )

    async def save_draft(self, draft: StoredDraft, withdraw: Withdraw) -> None:
        mail = draft.data.mail
        await self.save_mail(mail, withdraw)
        if draft.draft_id in self._drafts:
            return
        self._drafts[draft.draft_id] = draft
        self._flag(draft)
        self._decide(draft)
        if any(_is_older(mail, other) for other in self._accepted.values()):
            self._take_back(draft, "newer-mail", withdraw)
        elif any(self._is_removed(document) for document in _cited(draft)):
            self._take_back(draft, "document-removed", withdraw)
        elif any(other.status in ("approved", "edited") for other in self._of_same_mail(draft)):
            self._take_back(draft, "other-approved", withdraw)

    async def save_document(
        self, document: DocumentState, withdraw: Withdraw, version: IndexedVersion | None = None
    ) -> None:
        if version:
            self._versions.setdefault(document.document_id, []).append(version)
            for draft in list(self._drafts.values()):
                self._flag(draft)
        known = self._documents.get(document.document_id)
        if known is not None and not _supersedes(document, known):
            return
        if known is not None and document.state != "indexed":
            document = document.model_copy(update={"audience": known.audience})
        if known is not None and document.state == "removed":
            names = {"name": known.name, "title": known.title, "url": known.url}
            document = document.model_copy(update=names)
        self._documents[document.document_id] = document
        if document.state != "removed":
            return
        self._removed[document.document_id] = document.submitted
        for draft in list(self._drafts.values()):
            if draft.status == "waiting" and document.document_id in _cited(draft):
                self._take_back(draft, "document-removed", withdraw)

    async def drafts(
        self,
        viewer: Viewer,
        status: Status | None,
        mailbox: str | None,
        limit: int,
        after: UUID | None,
    ) -> Sequence[DraftSummary]:
        found = [
            draft
            for draft in self._seen(viewer)
            if status in (None, draft.status) and mailbox in (None, draft.data.mail.mailbox)
        ]
        found.sort(key=_place, reverse=True)
        if after is not None:
            known = await self.draft(viewer, after)
            start = _place(known) if known else None
            found = [draft for draft in found if start is not None and _place(draft) < start]
        return [summary(draft) for draft in found[:limit]]

    async def draft(self, viewer: Viewer, draft_id: UUID) -> StoredDraft | None:
        return next((d for d in self._seen(viewer) if d.draft_id == draft_id), None)

    async def outcome(self, viewer: Viewer, mail_id: UUID) -> MailOutcome | None:
        found = self._mails.get(mail_id)
        return found if found and viewer.sees(found.mailbox) else None

    async def documents(self, viewer: Viewer, limit: int) -> Sequence[DocumentState]:
        found = [d for d in self._documents.values() if viewer.reads(d.audience)]
        return sorted(found, key=lambda d: d.submitted, reverse=True)[:limit]

    async def figures(self, viewer: Viewer) -> Figures:
        mails = (mail for mail in self._mails.values() if viewer.sees(mail.mailbox))
        documents = await self.documents(viewer, len(self._documents))
        return Figures(
            outcomes=dict(Counter(mail.outcome for mail in mails)),
            statuses=dict(Counter(draft.status for draft in self._seen(viewer))),
            documents=dict(Counter(document.state for document in documents)),
            outbox=len(self._outbox.keys() - self._said - self._refused),
            refused=len(self._refused),
        )

    async def add_review(
        self,
        viewer: Viewer,
        draft_id: UUID,
        now: datetime,
        decision: Callable[[Kept], Decided],
        withdraw: Withdraw,
    ) -> Decided:
        draft = await self._found(viewer, draft_id)
        decided = decision(Kept(draft=draft))
        if not decided.events:
            return decided
        review = decided.review.review
        known = (d.review.review.review_id for d in self._drafts.values() if d.review)
        if review.review_id in known:
            raise used_id()
        self._drafts[draft_id] = draft.model_copy(
            update={"review": decided.review, "status": review.decision}
        )
        for event in decided.events:
            self._outbox.setdefault(event.id, event)
        if review.decision != "rejected":
            for other in self._of_same_mail(draft):
                if other.status == "waiting":
                    self._take_back(other, "other-approved", withdraw)
        return decided

    async def add_request(
        self, viewer: Viewer, draft_id: UUID, now: datetime, ask: Ask
    ) -> DraftRequested:
        draft = await self._found(viewer, draft_id)
        kept = Kept(draft=draft, removed=frozenset(filter(self._is_removed, _cited(draft))))
        still_open(kept)
        mail = draft.data.mail.mail_id
        known = [other.data.request_id for other in self._of_same_mail(draft)]
        self._requests[mail] = 1 + max(self._requests.get(mail, 0), *known)
        event = ask(kept, self._requests[mail])
        self._outbox.setdefault(event.id, event)
        return event

    async def relay(self, say: Say, limit: int) -> int:
        pending = [e for i, e in self._outbox.items() if i not in self._said | self._refused]
        for event in pending[:limit]:
            refused = await say_one(say, event.model_dump_json().encode())
            (self._said if refused is None else self._refused).add(event.id)
        return len(pending[:limit])

    def _seen(self, viewer: Viewer) -> list[StoredDraft]:
        return [d for d in self._drafts.values() if viewer.sees(d.data.mail.mailbox)]

    async def _found(self, viewer: Viewer, draft_id: UUID) -> StoredDraft:
        found = await self.draft(viewer, draft_id)
        if found is None:
            raise no_draft(draft_id)
        return found

    def _decide(self, draft: StoredDraft) -> None:
        mail = self._mails[draft.data.mail.mail_id]
        hides = draft.outcome == "declined" and mail.outcome == "draft"
        if mail.decided is None or (mail.decided <= draft.created and not hides):
            change = {
                "outcome": draft.outcome,
                "draft_id": draft.draft_id,
                "reason": draft.declined.why if draft.declined else "",
                "detail": draft.declined.detail if draft.declined else "",
                "decided": draft.created,
            }
            self._mails[mail.mail_id] = mail.model_copy(update=change)

    def _of_same_mail(self, draft: StoredDraft) -> list[StoredDraft]:
        mail = draft.data.mail.mail_id
        return [other for other in self._drafts.values() if other.data.mail.mail_id == mail]

    def _take_back(self, draft: StoredDraft, why: Why, withdraw: Withdraw) -> None:
        event = withdraw(draft, why)
        change = {"status": "withdrawn", "status_detail": event.data.detail}
        self._drafts[draft.draft_id] = draft.model_copy(update=change)
        self._outbox.setdefault(event.id, event)

    def _flag(self, draft: StoredDraft) -> None:
        changed = []
        for source in draft.ready.sources if draft.ready else ():
            known = [v.block.version for v in self._versions.get(source.document_id, ())]
            newest = max(known, key=lambda v: (v.submitted, v.sha256), default=source.version)
            if newest.is_after(source.version) and newest.sha256 != source.version.sha256:
                changed.append(source.document_id)
        if draft.status == "waiting":
            update = {"outdated": tuple(changed)}
            self._drafts[draft.draft_id] = self._drafts[draft.draft_id].model_copy(update=update)

    def _is_removed(self, document_id: UUID) -> bool:
        when = self._removed.get(document_id)
        later = (v.block.version.submitted for v in self._versions.get(document_id, ()))
        return when is not None and all(submitted <= when for submitted in later)


def summary(draft: StoredDraft) -> DraftSummary:
    """The line of the list for `draft`."""
    data = draft.data
    text = draft.text or (draft.declined.detail if draft.declined else "")
    return DraftSummary(
        draft_id=draft.draft_id,
        mail_id=data.mail.mail_id,
        mailbox=data.mail.mailbox,
        request_id=data.request_id,
        outcome=draft.outcome,
        status=draft.status,
        status_detail=draft.status_detail,
        subject=data.mail.subject,
        sender=data.mail.sender,
        received=data.mail.received,
        excerpt=" ".join(text.split())[:EXCERPT_CHARS],
        evidence=data.evidence,
        engine=data.engine,
        created=draft.created,
        outdated=draft.outdated,
    )


def _place(draft: StoredDraft) -> tuple[object, ...]:
    return (draft.created, draft.draft_id)


def _is_older(mail: MailBlock, other: MailBlock) -> bool:
    same = mail.thread_id == other.thread_id and mail.mail_id != other.mail_id
    return same and (mail.received, mail.mail_id) < (other.received, other.mail_id)


def _cited(draft: StoredDraft) -> set[UUID]:
    return {source.document_id for source in draft.ready.sources} if draft.ready else set()


def _supersedes(new: DocumentState, old: DocumentState) -> bool:
    if new.state == "removed" and new.submitted >= old.submitted:
        return True
    return (new.submitted, new.sha256) >= (old.submitted, old.sha256)
