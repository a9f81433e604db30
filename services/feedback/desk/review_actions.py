"""What an agent does on the review page. Each action keeps first what was typed.

A plain form gets a page; the page's script asks for JSON and changes what is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from services.feedback.access import Viewer
from services.feedback.desk import review_show as shown
from services.feedback.desk.guards import Agent
from services.feedback.desk.marks import without
from services.feedback.desk.parts import Desk, desk_of
from services.feedback.desk.review_show import Problem, ReasonMissing, problem_of
from services.feedback.desk.words import marked, say
from services.feedback.errors import Conflict, Unacceptable
from services.feedback.records import RegenerateWish, ReviewWish
from shared.delivery import Unavailable
from shared.records import Passage

actions = APIRouter()


class Typed(BaseModel):
    """The fields of the page's one form; ``text`` stands on ``revision``."""

    text: str | None = None
    revision: int = Field(default=0, ge=0)
    q: str = ""
    reasons: list[str] = Field(default_factory=list)
    note: str = ""
    instruction: str = ""


class Done(BaseModel):
    """What an action made: where a plain form goes then, and what the script is told."""

    to: str = ""
    number: int | None = None
    found: tuple[Passage, ...] = ()
    told: str = ""


Fields = Annotated[Typed, Form()]
Act = Callable[[], Awaitable[Done]]


async def _keep(desk: Desk, viewer: Viewer, draft_id: UUID, typed: Typed) -> None:
    """Save what was typed; the draft as it came is not worth an edit."""
    if typed.text is None:
        return
    text = typed.text.replace("\r\n", "\n")
    if typed.revision == 0:
        opened = await desk.editing.open(viewer, draft_id)
        if opened.edit is None and opened.text == text:
            return
    await desk.editing.save(viewer, draft_id, text, typed.revision)


async def _run(
    request: Request, viewer: Viewer, draft_id: UUID, typed: Typed, act: Act, keep: bool = True
) -> Response:
    kept = False
    try:
        if keep:
            await _keep(desk_of(request), viewer, draft_id, typed)
            kept = True
        done = await act()
    except (Conflict, Unacceptable, ReasonMissing) as error:
        problem = problem_of(error, typed.text, None if kept else typed.revision)
        return await _refused(request, viewer, draft_id, typed, problem)
    if _script(request) and not done.to:
        return await _changed(request, viewer, draft_id, typed, done)
    where = done.to or f"/desk/drafts/{draft_id}"
    return RedirectResponse(where, status_code=303)


def _script(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


async def _refused(
    request: Request, viewer: Viewer, draft_id: UUID, typed: Typed, problem: Problem
) -> Response:
    if _script(request):
        told = {"kind": problem.kind, "title": say(problem.title), "detail": problem.detail}
        return JSONResponse(told, 422 if problem.kind in ("refused", "reason") else 409)
    desk = desk_of(request)
    view = await shown.load(desk, viewer, draft_id, take=False, typed=typed.text)
    return await shown.show(
        request,
        viewer,
        view,
        problem=problem,
        q=typed.q,
        chosen=typed.reasons,
        note=typed.note,
    )


async def _changed(
    request: Request, viewer: Viewer, draft_id: UUID, typed: Typed, done: Done
) -> Response:
    """What the script puts into the page."""
    view = await shown.load(desk_of(request), viewer, draft_id, take=False)
    told: dict[str, Any] = {
        "revision": view.revision,
        "text": view.text,
        "unknown": list(view.unknown),
        "number": done.number,
        "told": done.told,
        "difference": shown.difference(request, view),
        "sources": shown.sources(
            request, view, typed.q if done.found or done.told else "", done.found
        ),
    }
    return JSONResponse(told)


@actions.post("/desk/drafts/{draft_id}/save")
async def save(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Keep what was typed; Enter in the search field comes here too."""

    async def act() -> Done:
        query = f"?q={_quoted(typed.q)}#sources" if typed.q and not _script(request) else ""
        return Done(to=f"/desk/drafts/{draft_id}{query}" if query else "")

    return await _run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/search")
async def search(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Look for passages that may be cited."""
    desk = desk_of(request)

    async def act() -> Done:
        if not _script(request):
            return Done(to=f"/desk/drafts/{draft_id}?q={_quoted(typed.q)}#found")
        try:
            found = await desk.editing.find(viewer, draft_id, typed.q)
        except Unavailable as error:
            said = "La recherche ne répond pas : réessayez dans un instant."
            raise Unacceptable(said) from error
        return Done(found=found, told=say(marked("Recherche terminée.")))

    return await _run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/cite")
async def cite(
    request: Request,
    viewer: Agent,
    draft_id: UUID,
    typed: Fields,
    passage: Annotated[UUID, Query()],
) -> Response:
    """Add a passage to those that may be cited; its number goes into the text at the cursor."""
    desk = desk_of(request)

    async def act() -> Done:
        await desk.editing.add_passage(viewer, draft_id, typed.q, passage)
        opened = await desk.editing.open(viewer, draft_id, take=False)
        number = next((s.number for s in opened.sources if passage in s.passage_ids), None)
        to = f"/desk/drafts/{draft_id}#source-{number}"
        return Done(number=number, to="" if _script(request) else to)

    return await _run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/uncite")
async def uncite(
    request: Request, viewer: Agent, draft_id: UUID, typed: Fields, number: Annotated[int, Query()]
) -> Response:
    """Take a source's marks out of the text, and the passages that an agent added for it."""
    desk = desk_of(request)

    async def act() -> Done:
        opened = await desk.editing.open(viewer, draft_id, take=False)
        text, revision = opened.text, opened.edit.revision if opened.edit else 0
        left = without(text, number)
        if left != text:
            await desk.editing.save(viewer, draft_id, left, revision)
        source = next((s for s in opened.sources if s.number == number), None)
        added = {p.passage_id for p in opened.edit.added} if opened.edit else set()
        for passage in source.passage_ids if source else ():
            if passage in added:
                await desk.editing.drop_passage(viewer, draft_id, passage)
        return Done()

    return await _run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/wrong")
async def wrong(
    request: Request,
    viewer: Agent,
    draft_id: UUID,
    typed: Fields,
    passage: Annotated[UUID, Query()],
    undo: bool = False,
) -> Response:
    """Say that a passage is wrong, apart from the answer; or take that back."""
    desk = desk_of(request)

    async def act() -> Done:
        await desk.editing.mark_wrong(viewer, draft_id, passage, not undo)
        to = f"/desk/drafts/{draft_id}#passage-{passage}"
        return Done(to="" if _script(request) else to)

    return await _run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/take")
async def take(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Take the draft over from another agent; what was typed meanwhile is compared."""
    desk = desk_of(request)

    async def act() -> Done:
        await desk.editing.take_over(viewer, draft_id)
        await _keep(desk, viewer, draft_id, typed)
        return Done()

    return await _run(request, viewer, draft_id, typed, act, keep=False)


@actions.post("/desk/drafts/{draft_id}/release")
async def release(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Leave the draft to others."""
    desk = desk_of(request)

    async def act() -> Done:
        await desk.editing.release(viewer, draft_id)
        return Done(to="/desk/drafts")

    return await _run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/check")
async def to_check(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """To what will be sent."""

    async def act() -> Done:
        return Done(to=f"/desk/drafts/{draft_id}/check")

    return await _run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/approve")
async def approve(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Send the text that was checked."""
    desk = desk_of(request)

    async def act() -> Done:
        wish = ReviewWish(decision="approved", final_text=typed.text, revision=typed.revision)
        await desk.feedback.review(viewer, draft_id, wish)
        return Done(to=f"/desk/drafts/{draft_id}")

    return await _run(request, viewer, draft_id, typed, act, keep=False)


@actions.post("/desk/drafts/{draft_id}/reject")
async def reject(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """This answer is wrong, and why."""
    desk = desk_of(request)

    async def act() -> Done:
        _reasons(typed.reasons, typed.note)
        wish = ReviewWish.model_validate(
            {"decision": "rejected", "reasons": typed.reasons, "note": typed.note[:2000]}
        )
        await desk.feedback.review(viewer, draft_id, wish)
        return Done(to=f"/desk/drafts/{draft_id}")

    return await _run(request, viewer, draft_id, typed, act)


def _reasons(given: Sequence[str], note: str) -> None:
    if not given:
        raise ReasonMissing("Choisissez au moins une raison.")
    if "other" in given and not note.strip():
        raise ReasonMissing("Précisez l'autre raison.")


@actions.post("/desk/drafts/{draft_id}/regenerate")
async def regenerate(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Ask for another draft of the same e-mail; this one stays."""
    desk = desk_of(request)

    async def act() -> Done:
        wish = RegenerateWish(instruction=typed.instruction[:2000])
        asked = await desk.feedback.regenerate(viewer, draft_id, wish)
        return Done(to=f"/desk/drafts/{draft_id}?asked={asked.request_id}")

    return await _run(request, viewer, draft_id, typed, act)


def _quoted(text: str) -> str:
    return quote(text[:2000], safe="")
