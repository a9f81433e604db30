"""The HTTP API of a review, for mail systems with an interface of their own: docs/desk-api.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from services.feedback.desk.guards import Agent
from services.feedback.desk.parts import Desk, desk_of
from services.feedback.editing import QUESTION_MOST, TEXT_MOST, Edit, Opened
from services.feedback.edits import Held
from services.feedback.settling import ReplyState, StoredReply, Word
from shared.envelope import Frozen
from shared.records import Passage


class Problem(Frozen):
    """A refusal (RFC 9457); `detail` says in French what to do."""

    type: str = "about:blank"
    status: int
    title: str
    detail: str


def _problem(meaning: str) -> dict[str, Any]:
    return {"model": Problem, "description": meaning}


REFUSALS: dict[int | str, dict[str, Any]] = {
    401: _problem("No session and no token."),
    403: _problem("The account lacks the role."),
    404: _problem("Not there, or of a mailbox that is not the account's."),
    409: _problem("Another agent holds the draft, another text was saved, or it was decided."),
    422: _problem("The request itself cannot be taken; the detail names what to change."),
    429: _problem("Too many requests; Retry-After says when to come back."),
    503: _problem("The database, or the index for a search, does not answer now."),
}
router = APIRouter(prefix="/v1", responses=REFUSALS)


class LockWish(Frozen):
    """`force` takes the draft from another agent; the audit keeps it."""

    force: bool = False


class TextWish(Frozen):
    """The text typed on top of `revision`, 0 for the draft as it came."""

    text: str = Field(max_length=TEXT_MOST, examples=["Bonjour, … [1]."])
    revision: int = Field(ge=0)


class CitationWish(Frozen):
    """The search that gave the passage; not needed for one that the draft was given."""

    question: str = Field(default="", max_length=QUESTION_MOST)


Limit = Annotated[int, Query(ge=1, le=500)]
DraftId = Annotated[UUID, Path(description="The draft.")]
PassageId = Annotated[UUID, Path(description="The passage.")]
_DRAFT = "/drafts/{draft_id}"


def _of(request: Request) -> Desk:
    return desk_of(request)


@router.get(f"{_DRAFT}/edit", tags=["editing"])
async def read_edit(request: Request, viewer: Agent, draft_id: DraftId) -> Opened:
    """The draft with what was typed, its sources by number, and who works on it."""
    return await _of(request).editing.open(viewer, draft_id, take=False)


@router.put(f"{_DRAFT}/edit", tags=["editing"])
async def save_edit(request: Request, viewer: Agent, draft_id: DraftId, wish: TextWish) -> Edit:
    """Keep a text without deciding; 409 when another was saved since `revision`."""
    return await _of(request).editing.save(viewer, draft_id, wish.text, wish.revision)


@router.post(f"{_DRAFT}/lock", tags=["editing"])
async def take_lock(request: Request, viewer: Agent, draft_id: DraftId, wish: LockWish) -> Opened:
    """Reserve the draft; 409 names who has it and for how long. Saving renews the lock."""
    editing = _of(request).editing
    if wish.force:
        await editing.take_over(viewer, draft_id)
    opened = await editing.open(viewer, draft_id)
    if opened.lock and opened.lock.account != viewer.account:
        raise Held(opened.lock, editing.now())
    return opened


@router.delete(f"{_DRAFT}/lock", tags=["editing"], status_code=204)
async def release_lock(request: Request, viewer: Agent, draft_id: DraftId) -> None:
    """Give the draft back; what was typed stays."""
    await _of(request).editing.release(viewer, draft_id)


@router.get(f"{_DRAFT}/search", tags=["editing"])
async def search(
    request: Request,
    viewer: Agent,
    draft_id: DraftId,
    question: Annotated[str, Query(min_length=1, max_length=QUESTION_MOST)],
) -> Sequence[Passage]:
    """Passages of the documents that may answer this e-mail, best first."""
    return await _of(request).editing.find(viewer, draft_id, question)


@router.put(f"{_DRAFT}/citations/{{passage_id}}", tags=["editing"])
async def add_citation(
    request: Request, viewer: Agent, draft_id: DraftId, passage_id: PassageId, wish: CitationWish
) -> Edit:
    """Add a passage to the sources; the edit's `numbers` give its document's [n]."""
    return await _of(request).editing.add_passage(viewer, draft_id, wish.question, passage_id)


@router.delete(f"{_DRAFT}/citations/{{passage_id}}", tags=["editing"])
async def drop_citation(
    request: Request, viewer: Agent, draft_id: DraftId, passage_id: PassageId
) -> Edit:
    """Take back a passage that was added; the draft's own are dropped by their [n] in the text."""
    return await _of(request).editing.drop_passage(viewer, draft_id, passage_id)


@router.put(f"{_DRAFT}/wrong-passages/{{passage_id}}", tags=["editing"])
async def call_wrong(
    request: Request, viewer: Agent, draft_id: DraftId, passage_id: PassageId
) -> Edit:
    """Say that a passage is wrong, whatever becomes of the answer."""
    return await _of(request).editing.mark_wrong(viewer, draft_id, passage_id, True)


@router.delete(f"{_DRAFT}/wrong-passages/{{passage_id}}", tags=["editing"])
async def call_right(
    request: Request, viewer: Agent, draft_id: DraftId, passage_id: PassageId
) -> Edit:
    """Take that back."""
    return await _of(request).editing.mark_wrong(viewer, draft_id, passage_id, False)


@router.get("/replies", tags=["replies"])
async def list_replies(
    request: Request,
    viewer: Agent,
    state: ReplyState | None = None,
    mailbox: str | None = None,
    limit: Limit = 50,
    after: UUID | None = None,
) -> Sequence[StoredReply]:
    """Replies, oldest first. Those `approved` wait to be sent: `reply` holds all that is needed."""
    return await _of(request).answering.list_replies(viewer, state, mailbox, limit, after)


@router.get("/replies/{reply_id}", tags=["replies"])
async def get_reply(request: Request, viewer: Agent, reply_id: UUID) -> StoredReply:
    """One reply: what was approved, what became of it, what was sent."""
    return await _of(request).answering.get_reply(viewer, reply_id)


@router.post("/mails/{mail_id}/reply", tags=["replies"], status_code=202)
async def tell_reply(request: Request, viewer: Agent, mail_id: UUID, word: Word) -> None:
    """What became of a reply, approved here or not; it is said as an event, then heard.

    A text that was sent without an approval decides the drafts that wait.
    """
    await _of(request).answering.tell(viewer, mail_id, word)
