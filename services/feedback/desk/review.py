"""The review page: the e-mail, the draft and its sources side by side."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse

from services.feedback.access import Viewer
from services.feedback.desk.guards import Agent
from services.feedback.desk.parts import Desk, desk_of
from services.feedback.desk.rendering import render
from services.feedback.desk.review_actions import actions
from services.feedback.desk.review_show import Problem, load, problem_of, show, words
from services.feedback.desk.review_view import OUTCOMES, ReviewView
from services.feedback.desk.words import marked, say, told
from services.feedback.edits import Kept
from services.feedback.errors import Conflict, NotFound, SearchDown, Unacceptable
from services.feedback.reading_documents import DocumentExcerpt, Removed
from services.feedback.records import ReviewWish
from services.feedback.reviewing import decide
from shared.clock import utcnow
from shared.events import ReplyApprovedData
from shared.records import Passage

router = APIRouter()
router.include_router(actions)

Asked = Annotated[int | None, Query(ge=1)]
Question = Annotated[str, Query(max_length=2000)]


@router.get("/desk/drafts/{draft_id}")
async def page(
    request: Request, viewer: Agent, draft_id: UUID, q: Question = "", asked: Asked = None
) -> HTMLResponse:
    """The draft; opening it reserves it, when nobody else has it."""
    desk = desk_of(request)
    view = await load(desk, viewer, draft_id)
    found: tuple[Passage, ...] = ()
    problem: Problem | None = None
    if q.strip() and view.writable:
        try:
            found = await desk.editing.find(viewer, draft_id, q)
        except (Unacceptable, SearchDown) as error:
            # The draft can be worked on all the same.
            problem = problem_of(error, None)
    return await show(request, viewer, view, problem=problem, q=q, found=found, asked=asked)


@router.get("/desk/drafts/{draft_id}/state")
async def state(
    request: Request, viewer: Agent, draft_id: UUID, asked: Asked = None
) -> JSONResponse:
    """What may have changed since the page was loaded, for its script."""
    desk = desk_of(request)
    view = await load(desk, viewer, draft_id, take=False)
    draft, lock = view.opened.draft, view.opened.lock
    mail_id = draft.data.mail.mail_id
    told: dict[str, Any] = {
        "status": draft.status,
        "said": say(OUTCOMES[draft.status]),
        "revision": view.revision,
        "holder": lock.name if lock and lock.account != viewer.account else None,
        "newer": str(view.newer.draft_id) if view.newer else None,
        "progress": desk.progress.text(mail_id, asked) if asked else "",
    }
    return JSONResponse(told)


@router.get("/desk/drafts/{draft_id}/check")
async def check(request: Request, viewer: Agent, draft_id: UUID) -> HTMLResponse:
    """What will be sent, and what was changed, before it is approved."""
    desk = desk_of(request)
    view = await load(desk, viewer, draft_id)
    if not view.writable:
        return await show(request, viewer, view)
    reply, problem = _preview(desk, viewer, view)
    return render(
        request,
        "review_check.html.j2",
        reply=reply,
        problems=[problem] if problem else [],
        cautions=_cautions(view),
        **words(view),
    )


def _preview(
    desk: Desk, viewer: Viewer, view: ReviewView
) -> tuple[ReplyApprovedData | None, str | None]:
    """The reply as it would leave, or why it cannot."""
    opened = view.opened
    removed = frozenset(s.source.document_id for s in view.sources if s.standing == "removed")
    kept = Kept(draft=opened.draft, edit=opened.edit, lock=opened.lock, removed=removed)
    wish = ReviewWish(decision="approved", final_text=view.text)
    try:
        decided = decide(kept, wish, viewer, utcnow(), desk.config.desk.public_url)
    except (Unacceptable, Conflict) as error:
        return None, told(error)
    replies = (e.data for e in decided.events if isinstance(e.data, ReplyApprovedData))
    return next(replies, None), None


def _cautions(view: ReviewView) -> list[str]:
    """What an agent may want to know before sending."""
    said: list[str] = []
    used = [source for source in view.sources if source.used]
    if not used:
        said.append(say(marked("Le texte ne renvoie à aucune source.")))
    for source in used:
        told = {"n": source.source.number, "title": source.source.title}
        if source.standing == "outdated":
            said.append(
                say(marked("La source [{n}] « {title} » a une version plus récente."), **told)
            )
        if source.standing == "removed":
            said.append(say(marked("La source [{n}] « {title} » a été retirée."), **told))
        if source.passages and all(p.wrong for p in source.passages):
            text = marked(
                "La source [{n}] « {title} » est citée, mais ses passages sont dits faux."
            )
            said.append(say(text, **told))
    return said


@router.get("/desk/drafts/{draft_id}/passages/{passage_id}")
async def passage_page(
    request: Request, viewer: Agent, draft_id: UUID, passage_id: UUID
) -> HTMLResponse:
    """A passage highlighted in its document, at its page."""
    desk = desk_of(request)
    opened = await desk.editing.open(viewer, draft_id, take=False)
    passage = next((p for p in opened.passages if p.passage_id == passage_id), None)
    if passage is None:
        raise NotFound("Ce passage n'est pas de ce brouillon.")
    excerpt, problem = await _excerpt(desk, viewer, passage)
    return render(
        request,
        "review_passage.html.j2",
        passage=passage,
        draft_id=draft_id,
        excerpt=excerpt,
        problem=problem,
    )


async def _excerpt(
    desk: Desk, viewer: Viewer, passage: Passage
) -> tuple[DocumentExcerpt | None, str]:
    version = passage.version.sha256[:16]
    where = (passage.document_id, version, passage.start, passage.end)
    try:
        return await desk.reading.passage_in_document(*where, viewer.audience_list), ""
    except (NotFound, Removed) as error:
        return None, told(error)
