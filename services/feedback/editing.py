"""What an agent does to a waiting draft before deciding: text, citations, words of warning.

One agent works on a draft at a time. Opening it takes a lock, which each change renews and time
takes away; what was typed stays, whoever goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from services.feedback.access import Viewer
from services.feedback.edits import (
    Edit,
    Held,
    Hold,
    Kept,
    Lock,
    Opened,
    Overwritten,
    opened,
    with_passage,
)
from services.feedback.errors import Conflict, NotFound, SearchDown, Unacceptable, no_draft
from services.feedback.records import StoredDraft
from shared.delivery import Invalid, Unavailable
from shared.queries import SearchAnswer, SearchQuery
from shared.records import Passage

__all__ = ["Edit", "Editing", "Edits", "Held", "Lock", "Opened", "Overwritten", "Search"]

FOUND_MOST = 8
"""Passages that a search shows; the search again at the addition looks at three times as many."""
QUESTION_MOST = 8192
TEXT_MOST = 100_000

T = TypeVar("T")

Change = Callable[[StoredDraft, Edit], Edit]
"""From a waiting draft and what was done to it so far to what is to be kept; may raise."""


class Edits(Protocol):
    """Where edits and locks are kept; each method is one transaction, within the viewer's
    mailboxes. All raise Unavailable when the database is down."""

    async def kept(self, viewer: Viewer, draft_id: UUID, now: datetime) -> Kept | None:
        """The draft, what was typed and who holds it at ``now``; None when it is not there."""

    async def take(self, viewer: Viewer, hold: Hold) -> Kept | None:
        """The same after taking the lock of a waiting draft, unless another has it.

        A lock that was taken from another is in the audit."""

    async def release(self, viewer: Viewer, draft_id: UUID, now: datetime) -> None:
        """Give the viewer's own lock back."""

    async def change(self, viewer: Viewer, hold: Hold, change: Change) -> Edit | None:
        """Take or renew the lock and keep what ``change`` makes of the edit; None without draft.

        Nobody else changes the edit meanwhile. Raises Held when another has the lock, Conflict
        when the draft no longer waits, and what ``change`` raises.
        """


class Search(Protocol):
    """The index, asked for passages. Raises Unavailable, and Invalid for a refused question."""

    async def __call__(self, query: SearchQuery) -> SearchAnswer: ...


class Editing:
    """The use cases of the review page before the decision."""

    def __init__(
        self,
        edits: Edits,
        search: Search,
        clock: Callable[[], datetime],
        lock_minutes: float,
    ) -> None:
        self._edits = edits
        self._search = search
        self.now = self._clock = clock
        self._span = timedelta(minutes=lock_minutes)

    async def open(self, viewer: Viewer, draft_id: UUID, take: bool = True) -> Opened:
        """The draft with what was done to it; ``take`` reserves it, when nobody else has it.

        Raises NotFound.
        """
        if take:
            kept = await self._edits.take(viewer, self._hold(draft_id))
        else:
            kept = await self._edits.kept(viewer, draft_id, self._clock())
        return opened(_there(kept, draft_id))

    async def save(self, viewer: Viewer, draft_id: UUID, text: str, revision: int) -> Edit:
        """Keep ``text``, typed on top of ``revision`` (0: on the draft as it came).

        Raises NotFound, Unacceptable, Overwritten when another text was saved since, Held when
        another agent works on the draft, and Conflict when it no longer waits.
        """
        text = text.replace("\r\n", "\n").replace("\x00", "")
        if len(text) > TEXT_MOST:
            raise Unacceptable(
                "Le texte dépasse {most} caractères : raccourcissez-le.", most=TEXT_MOST
            )

        def change(_: StoredDraft, edit: Edit) -> Edit:
            if edit.revision != revision and edit.text != text:
                raise Overwritten(edit)
            if edit.text == text and edit.revision:
                return edit
            return edit.model_copy(update={"text": text, "revision": edit.revision + 1})

        return await self._change(viewer, draft_id, change)

    async def take_over(self, viewer: Viewer, draft_id: UUID) -> Lock:
        """Take the lock, from another agent too; what was typed stays.

        Raises NotFound, and Conflict when the draft no longer waits.
        """
        hold = self._hold(draft_id, force=True)
        kept = _there(await self._edits.take(viewer, hold), draft_id)
        if kept.lock is None:
            raise Conflict("Ce brouillon n'attend plus de décision : rechargez la page.")
        return kept.lock

    async def release(self, viewer: Viewer, draft_id: UUID) -> None:
        """Let others work on the draft at once; what was typed stays. Raises NotFound."""
        now = self._clock()
        _there(await self._edits.kept(viewer, draft_id, now), draft_id)
        await self._edits.release(viewer, draft_id, now)

    async def find(self, viewer: Viewer, draft_id: UUID, question: str) -> tuple[Passage, ...]:
        """Passages for ``question`` among what may answer the draft's e-mail, best first.

        Raises NotFound, Unacceptable for an empty or endless question, SearchDown.
        """
        kept = _there(await self._edits.kept(viewer, draft_id, self._clock()), draft_id)
        return await self._found(kept.draft, question, FOUND_MOST)

    async def add_passage(
        self, viewer: Viewer, draft_id: UUID, question: str, passage_id: UUID
    ) -> Edit:
        """Cite a passage that ``find`` gave for ``question``, or that the draft was given.

        Its text is the index's own, never the caller's. Raises as ``find`` and ``save`` do.
        """
        kept = _there(await self._edits.kept(viewer, draft_id, self._clock()), draft_id)
        candidates: tuple[Passage, ...] = kept.draft.data.passages
        if all(passage.passage_id != passage_id for passage in candidates):
            candidates = await self._found(kept.draft, question, 3 * FOUND_MOST)
        chosen = next((p for p in candidates if p.passage_id == passage_id), None)
        if chosen is None:
            raise NotFound(
                "Ce passage n'est plus parmi les résultats de cette recherche : cherchez à nouveau."
            )
        return await self._change(
            viewer, draft_id, lambda draft, edit: with_passage(draft, edit, chosen)
        )

    async def drop_passage(self, viewer: Viewer, draft_id: UUID, passage_id: UUID) -> Edit:
        """Take back a passage that an agent added; its number is not given again."""

        def change(draft: StoredDraft, edit: Edit) -> Edit:
            left = tuple(p for p in edit.added if p.passage_id != passage_id)
            # A review takes no word on a passage that its draft does not have.
            known = {p.passage_id for p in (*draft.data.passages, *left)}
            wrong = tuple(passage for passage in edit.wrong if passage in known)
            return edit.model_copy(update={"added": left, "wrong": wrong})

        return await self._change(viewer, draft_id, change)

    async def mark_wrong(
        self, viewer: Viewer, draft_id: UUID, passage_id: UUID, wrong: bool
    ) -> Edit:
        """Say that a passage is wrong, whatever becomes of the answer; or take that back.

        Raises NotFound for a passage that the draft does not have.
        """

        def change(draft: StoredDraft, edit: Edit) -> Edit:
            if all(p.passage_id != passage_id for p in (*draft.data.passages, *edit.added)):
                raise NotFound("Ce passage n'est pas de ce brouillon.")
            others = tuple(known for known in edit.wrong if known != passage_id)
            return edit.model_copy(update={"wrong": (*others, passage_id) if wrong else others})

        return await self._change(viewer, draft_id, change)

    async def _change(self, viewer: Viewer, draft_id: UUID, change: Change) -> Edit:
        edit = await self._edits.change(viewer, self._hold(draft_id), change)
        return _there(edit, draft_id)

    async def _found(self, draft: StoredDraft, question: str, limit: int) -> tuple[Passage, ...]:
        asked = question.strip()
        if not asked:
            raise Unacceptable("Écrivez ce que vous cherchez dans les documents.")
        if len(asked) > QUESTION_MOST:
            raise Unacceptable("La recherche dépasse {most} caractères.", most=QUESTION_MOST)
        mail = draft.data.mail
        query = SearchQuery(
            question=asked,
            collections=mail.collections,
            audiences=mail.audiences,
            limit=limit,
            traceparent=draft.traceparent,
        )
        try:
            return (await self._search(query)).passages
        except Unavailable as error:
            raise SearchDown(str(error)) from error
        except Invalid as error:
            raise Unacceptable(
                "La recherche n'a pas été comprise : {reason}", reason=error
            ) from error

    def _hold(self, draft_id: UUID, force: bool = False) -> Hold:
        now = self._clock()
        return Hold(draft_id=draft_id, now=now, expires=now + self._span, force=force)


def _there(found: T | None, draft_id: UUID) -> T:
    if found is None:
        raise no_draft(draft_id)
    return found
