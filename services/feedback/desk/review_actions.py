"""What an agent does on the review page. Each action keeps first what was typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, get_args
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.feedback.desk.guards import Agent
from services.feedback.desk.marks import without
from services.feedback.desk.parts import desk_of
from services.feedback.desk.review_forms import Done, Fields, is_script, keep, quoted, run
from services.feedback.desk.review_show import ReasonMissing
from services.feedback.desk.words import marked, say
from services.feedback.errors import SearchDown, Unacceptable
from services.feedback.records import Reason, RegenerateWish, ReviewWish

actions = APIRouter()
WORDS_MOST = 2000
"""Characters of a note or an instruction."""


@actions.post("/desk/drafts/{draft_id}/save")
async def save(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Keep what was typed; Enter in the search field comes here too."""

    async def act() -> Done:
        query = f"?q={quoted(typed.q)}#sources" if typed.q and not is_script(request) else ""
        return Done(to=f"/desk/drafts/{draft_id}{query}" if query else "")

    return await run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/search")
async def search(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Look for passages that may be cited."""
    desk = desk_of(request)

    async def act() -> Done:
        if not is_script(request):
            return Done(to=f"/desk/drafts/{draft_id}?q={quoted(typed.q)}#found")
        try:
            found = await desk.editing.find(viewer, draft_id, typed.q)
        except SearchDown as error:
            raise Unacceptable(error.text, **error.values) from error
        return Done(found=found, told=say(marked("Recherche terminée.")))

    return await run(request, viewer, draft_id, typed, act)


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
        return Done(number=number, to="" if is_script(request) else to)

    return await run(request, viewer, draft_id, typed, act)


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

    return await run(request, viewer, draft_id, typed, act)


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
        return Done(to="" if is_script(request) else to)

    return await run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/take")
async def take(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Take the draft over from another agent; what was typed meanwhile is compared."""
    desk = desk_of(request)

    async def act() -> Done:
        await desk.editing.take_over(viewer, draft_id)
        await keep(desk, viewer, draft_id, typed)
        return Done()

    return await run(request, viewer, draft_id, typed, act, first=False)


@actions.post("/desk/drafts/{draft_id}/release")
async def release(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Leave the draft to others."""
    desk = desk_of(request)

    async def act() -> Done:
        await desk.editing.release(viewer, draft_id)
        return Done(to="/desk/drafts")

    return await run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/check")
async def to_check(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """To what will be sent."""

    async def act() -> Done:
        return Done(to=f"/desk/drafts/{draft_id}/check")

    return await run(request, viewer, draft_id, typed, act)


@actions.post("/desk/drafts/{draft_id}/approve")
async def approve(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Send the text that was checked."""
    desk = desk_of(request)

    async def act() -> Done:
        wish = ReviewWish(
            decision="approved",
            final_text=typed.text,
            revision=typed.revision,
            reasons=_reasons(typed.reasons),
            note=_short(typed.note),
        )
        await desk.feedback.review(viewer, draft_id, wish)
        return Done(to=f"/desk/drafts/{draft_id}")

    return await run(request, viewer, draft_id, typed, act, first=False)


@actions.post("/desk/drafts/{draft_id}/reject")
async def reject(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """This answer is wrong, and why."""
    desk = desk_of(request)

    async def act() -> Done:
        reasons, note = _reasons(typed.reasons), _short(typed.note)
        if not reasons:
            raise ReasonMissing("Choisissez au moins une raison.")
        if "other" in reasons and not note:
            raise ReasonMissing("Précisez l'autre raison.")
        wish = ReviewWish(decision="rejected", reasons=reasons, note=note)
        await desk.feedback.review(viewer, draft_id, wish)
        return Done(to=f"/desk/drafts/{draft_id}")

    return await run(request, viewer, draft_id, typed, act)


def _reasons(given: Sequence[str]) -> tuple[Reason, ...]:
    known: tuple[Reason, ...] = get_args(Reason)
    if unknown := set(given) - set(known):
        raise Unacceptable("Raison inconnue : {reasons}.", reasons=", ".join(sorted(unknown)))
    return tuple(reason for reason in known if reason in given)


def _short(text: str) -> str:
    """What a person explains. Raises Unacceptable beyond what is kept of it."""
    told = text.replace("\r\n", "\n").strip()
    if len(told) > WORDS_MOST:
        raise Unacceptable(
            "Ce texte dépasse {most} caractères : raccourcissez-le.", most=WORDS_MOST
        )
    return told


@actions.post("/desk/drafts/{draft_id}/regenerate")
async def regenerate(request: Request, viewer: Agent, draft_id: UUID, typed: Fields) -> Response:
    """Ask for another draft of the same e-mail; this one stays."""
    desk = desk_of(request)

    async def act() -> Done:
        wish = RegenerateWish(instruction=_short(typed.instruction))
        asked = await desk.feedback.regenerate(viewer, draft_id, wish)
        return Done(to=f"/desk/drafts/{draft_id}?asked={asked.request_id}")

    return await run(request, viewer, draft_id, typed, act)
