"""The review page as an answer: loaded for its viewer, shown whole or in parts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import Request
from fastapi.responses import HTMLResponse

from services.feedback.access import Viewer
from services.feedback.desk.parts import Desk, desk_of
from services.feedback.desk.rendering import render
from services.feedback.desk.review_view import (
    ATTACHMENTS,
    OUTCOMES,
    REASONS,
    REPLIES,
    ReviewView,
    view_of,
)
from services.feedback.desk.words import many, marked, number, told
from services.feedback.differing import Piece, differences
from services.feedback.edits import Held, Overwritten
from services.feedback.errors import Conflict
from shared.envelope import Frozen
from shared.records import Passage

DECIDED: dict[str, str] = {
    "approved": marked("Réponse approuvée sans changement"),
    "edited": marked("Réponse corrigée puis approuvée"),
    "rejected": marked("Brouillon rejeté"),
    "withdrawn": marked("Brouillon retiré"),
    "unused": marked("Une réponse est partie sans ce brouillon"),
}


class Problem(Frozen):
    """Why something was not done: ``kind`` says what the page offers then; French.

    ``pieces``: from the text that is kept to the one that was typed. ``revision``: what the typed
    text is to replace when it is sent again; None: the one that is kept.
    """

    kind: str
    title: str
    detail: str
    pieces: tuple[Piece, ...] = ()
    revision: int | None = None


class ReasonMissing(Exception):
    """A rejection without its reason; the text is French."""


def problem_of(error: Exception, typed: str | None, revision: int | None = None) -> Problem:
    """What the page tells of a refusal; ``revision`` that ``typed`` rests on, if not kept."""
    detail = told(error)
    if isinstance(error, Held):
        title = marked("Quelqu'un d'autre y travaille")
        return Problem(kind="held", title=title, detail=detail, revision=revision)
    if isinstance(error, Overwritten):
        kept = error.edit.text if error.edit else ""
        return Problem(
            kind="overwritten",
            title=marked("Deux textes différents"),
            detail=detail,
            pieces=differences(kept, typed or ""),
            revision=error.edit.revision if error.edit else 0,
        )
    if isinstance(error, ReasonMissing):
        title = marked("Il manque la raison")
        return Problem(kind="reason", title=title, detail=detail, revision=revision)
    closed = isinstance(error, Conflict)
    title = marked("Décision impossible") if closed else marked("Demande refusée")
    kind = "closed" if closed else "refused"
    return Problem(kind=kind, title=title, detail=detail, revision=revision)


async def load(
    desk: Desk, viewer: Viewer, draft_id: UUID, *, take: bool = True, typed: str | None = None
) -> ReviewView:
    """What the page shows; ``take`` reserves the draft. Raises NotFound, Unavailable."""
    opened = await desk.editing.open(viewer, draft_id, take)
    mail_id = opened.draft.data.mail.mail_id
    store = desk.mails.store
    newest, thread, siblings = await asyncio.gather(
        store.newest([source.document_id for source in opened.sources]),
        store.thread(viewer, mail_id),
        store.siblings(viewer, mail_id),
    )
    return view_of(viewer, opened, newest, thread, siblings, typed)


async def show(
    request: Request,
    viewer: Viewer,
    view: ReviewView,
    *,
    problem: Problem | None = None,
    q: str = "",
    found: Sequence[Passage] = (),
    asked: int | None = None,
    chosen: Sequence[str] = (),
    note: str = "",
) -> HTMLResponse:
    """The whole page: to work on, or of a decided draft."""
    desk, draft = desk_of(request), view.opened.draft
    following = await desk.mails.store.next_waiting(viewer, draft.draft_id)
    status = 200 if problem is None else 422 if problem.kind in ("refused", "reason") else 409
    decided = draft.status != "waiting"
    revision = problem.revision if problem else None
    return render(
        request,
        "review_decided.html.j2" if decided else "review.html.j2",
        status,
        following=following,
        problem=problem,
        asked=None if decided else asked,
        chosen=chosen,
        note=note,
        revision=view.revision if revision is None else revision,
        sent=await _sent(desk, viewer, view) if decided else None,
        decided=DECIDED,
        labels=dict(REASONS),
        lasting=lasting,
        **words(view, q, found),
    )


def sources(request: Request, view: ReviewView, q: str, found: Sequence[Passage]) -> str:
    """The column of sources alone."""
    page = render(request, "review_sources.html.j2", **words(view, q, found))
    return bytes(page.body).decode()


def difference(request: Request, view: ReviewView) -> str:
    """The difference alone."""
    return bytes(render(request, "review_difference.html.j2", view=view).body).decode()


def words(view: ReviewView, q: str = "", found: Sequence[Passage] = ()) -> dict[str, Any]:
    """What the parts of the page are filled with."""
    return {
        "view": view,
        "q": q,
        "found": found,
        "outcomes": OUTCOMES,
        "replies": REPLIES,
        "attachments": ATTACHMENTS,
        "reasons": REASONS,
        "size": size,
    }


async def _sent(desk: Desk, viewer: Viewer, view: ReviewView) -> str | None:
    return await desk.mails.store.reply_state(viewer, view.opened.draft.draft_id)


def size(count: int) -> str:
    """Bytes as people say them."""
    if count < 1000:
        return many("{n} octet", "{n} octets", count)
    if count < 1_000_000:
        return f"{number(count / 1000)} ko"
    return f"{number(count / 1_000_000, 1)} Mo"


def lasting(seconds: float) -> str:
    """« 3 minutes »."""
    if seconds < 60:
        return many("{n} seconde", "{n} secondes", max(1, round(seconds)))
    return many("{n} minute", "{n} minutes", round(seconds / 60))
