"""The stream of changes that open pages follow."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent

from services.feedback.access import Viewer
from services.feedback.desk.guards import Reader
from services.feedback.desk.parts import desk_of
from services.feedback.following import Live

router = APIRouter(include_in_schema=False)
HEARTBEAT = 15


@router.get("/desk/live")
async def live(request: Request, viewer: Reader) -> EventSourceResponse:
    """The stream of changes (server-sent events) that the viewer may know of."""
    hub = desk_of(request).live
    if hub.full:
        return EventSourceResponse(_later(), headers={"Cache-Control": "no-store"})
    return EventSourceResponse(
        _events(hub, viewer),
        ping=HEARTBEAT,
        send_timeout=HEARTBEAT,
        headers={"Cache-Control": "no-store"},
    )


async def _events(hub: Live, viewer: Viewer) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(comment="following", retry=3000)
    async for change in hub.follow(viewer):
        told = change.model_dump(mode="json", exclude={"kind", "mailbox", "audience"})
        yield JSONServerSentEvent(told, event=change.kind)


async def _later() -> AsyncIterator[ServerSentEvent]:
    """Too many pages follow, or the process stops: ask again in a minute."""
    yield ServerSentEvent(comment="full", retry=60_000)
