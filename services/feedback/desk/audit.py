"""The audit as an admin reads it: who did what, newest first."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from services.feedback.auditing import AuditWish
from services.feedback.desk.guards import Admin
from services.feedback.desk.parts import desk_of
from services.feedback.desk.rendering import render
from services.feedback.desk.words import marked

router = APIRouter(include_in_schema=False)
PAGE = 100
TOLD = {
    "login": marked("connexion"),
    "login.refused": marked("connexion refusée"),
    "logout": marked("déconnexion"),
    "logout.elsewhere": marked("fermeture d'autres sessions"),
    "link.made": marked("lien d'entrée créé"),
    "draft.approved": marked("brouillon approuvé"),
    "draft.edited": marked("brouillon corrigé et approuvé"),
    "draft.rejected": marked("brouillon rejeté"),
    "draft.regenerate": marked("autre brouillon demandé"),
    "draft.take-over": marked("brouillon repris à un autre"),
    "reply.sent": marked("envoi signalé"),
    "reply.failed": marked("échec d'envoi signalé"),
    "reply.doubtful": marked("envoi douteux signalé"),
    "mail.erased": marked("e-mail effacé"),
    "document.submitted": marked("document déposé"),
    "document.removed": marked("document retiré"),
    "dataset.export": marked("export lancé"),
    "dataset.download": marked("export téléchargé"),
}
"""Actions in words; one that is not here is shown by its name."""
Text = Annotated[str, Query(max_length=200)]


@router.get("/desk/audit")
async def audit(
    request: Request,
    viewer: Admin,
    account: Text = "",
    action: Text = "",
    object: Text = "",
    mailbox: Text = "",
    since: Text = "",
    until: Text = "",
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Response:
    desk = desk_of(request)
    zone = ZoneInfo(desk.config.desk.timezone)
    wish = AuditWish(
        account=account.strip(),
        action=action,
        object=object.strip(),
        mailbox=mailbox,
        since=_midnight(since, zone),
        until=_midnight(until, zone, days=1),
        before=before,
    )
    found = await desk.audit_log.entries(viewer, wish, PAGE + 1)
    query = {k: v for k, v in request.query_params.items() if v and k != "before"}
    return render(
        request,
        "audit.html.j2",
        wish=wish,
        since=since,
        until=until,
        query=query,
        entries=found[:PAGE],
        older=found[PAGE - 1].position if len(found) > PAGE else None,
        told=TOLD,
        actions=await desk.audit_log.actions(),
        mailboxes=sorted(m for m in desk.config.mailboxes if viewer.sees(m)),
    )


def _midnight(day: str, zone: ZoneInfo, days: int = 0) -> datetime | None:
    """The beginning of a day as a date field gives it; None when it gives none."""
    try:
        return datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), zone)
    except (ValueError, OverflowError):
        return None
