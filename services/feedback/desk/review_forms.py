"""The review page's one form: what was typed is kept, then something is done, then told.

A plain form gets a page; the page's script asks for JSON and changes what is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from services.feedback.access import Viewer
from services.feedback.desk import review_show as shown
from services.feedback.desk.parts import Desk, desk_of
from services.feedback.desk.review_show import Problem, ReasonMissing, problem_of
from services.feedback.desk.words import say
from services.feedback.errors import Conflict, Unacceptable
from shared.records import Passage


class Typed(BaseModel):
    """The fields of the page's one form; ``text`` stands on ``revision``.

    ``with_text`` tells an emptied text from none: FastAPI takes "" for no value.
    """

    text: str | None = None
    with_text: bool = False
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


async def keep(desk: Desk, viewer: Viewer, draft_id: UUID, typed: Typed) -> None:
    """Save what was typed; the draft as it came is not worth an edit."""
    if typed.text is None and not typed.with_text:
        return
    text = (typed.text or "").replace("\r\n", "\n")
    if typed.revision == 0:
        opened = await desk.editing.open(viewer, draft_id)
        if opened.edit is None and opened.text == text:
            return
    await desk.editing.save(viewer, draft_id, text, typed.revision)


async def run(
    request: Request, viewer: Viewer, draft_id: UUID, typed: Typed, act: Act, first: bool = True
) -> Response:
    """Keep what was typed (``first``), act, and answer; a refusal loses nothing that was typed."""
    kept = False
    try:
        if first:
            await keep(desk_of(request), viewer, draft_id, typed)
            kept = True
        done = await act()
    except (Conflict, Unacceptable, ReasonMissing) as error:
        problem = problem_of(error, typed.text, None if kept else typed.revision)
        return await _refused(request, viewer, draft_id, typed, problem)
    if is_script(request) and not done.to:
        return await _changed(request, viewer, draft_id, typed, done)
    where = done.to or f"/desk/drafts/{draft_id}"
    return RedirectResponse(where, status_code=303)


def is_script(request: Request) -> bool:
    """Whether the page's script asks, and not a plain form."""
    return "application/json" in request.headers.get("accept", "")


async def _refused(
    request: Request, viewer: Viewer, draft_id: UUID, typed: Typed, problem: Problem
) -> Response:
    if is_script(request):
        told = {"kind": problem.kind, "title": say(problem.title), "detail": say(problem.detail)}
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


def quoted(text: str) -> str:
    """``text`` as part of an address."""
    return quote(text[:2000], safe="")
