"""An e-mail as it came, and the text of its attachments."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from services.feedback.desk.guards import Agent
from services.feedback.desk.parts import desk_of
from services.feedback.desk.rendering import render
from services.feedback.desk.words import marked

router = APIRouter()

HEADERS: dict[str, str] = {
    "From": marked("De"),
    "To": marked("À"),
    "Cc": marked("Copie"),
    "Reply-To": marked("Répondre à"),
    "Date": marked("Date"),
    "Subject": marked("Objet du message"),
}


@router.get("/desk/mails/{mail_id}/whole")
async def whole(request: Request, viewer: Agent, mail_id: UUID) -> HTMLResponse:
    """The whole e-mail; nothing of it runs, and nothing is loaded from elsewhere."""
    mail, found = await desk_of(request).mails.whole(viewer, mail_id)
    return render(request, "mail_whole.html.j2", mail=mail, whole=found, names=HEADERS)


@router.get("/desk/mails/{mail_id}/attachments/{attachment}")
async def attachment(
    request: Request,
    viewer: Agent,
    mail_id: UUID,
    attachment: Annotated[int, Path(ge=0, le=1000)],
) -> HTMLResponse:
    """The text of an attachment."""
    found = await desk_of(request).mails.attachment(viewer, mail_id, attachment)
    return render(request, "mail_attachment.html.j2", mail_id=mail_id, found=found)
