"""The figures page: what became of e-mails and drafts, as plots with their tables and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.feedback.access import Viewer
from services.feedback.desk import figure_views as views
from services.feedback.desk.figure_parts import HEADS, View, lasting, or_dash, percent
from services.feedback.desk.guards import Looker
from services.feedback.desk.parts import desk_of
from services.feedback.desk.rendering import render
from services.feedback.desk.words import many, marked, say
from services.feedback.figuring import (
    Arrivals,
    Decisions,
    Delays,
    Edits,
    Figuring,
    Grouping,
    Scope,
    bounds,
    whole,
)
from services.feedback.reviewing import NotFound

router = APIRouter()
PERIODS = (
    (4, marked("4 dernières semaines")),
    (12, marked("12 dernières semaines")),
    (26, marked("6 derniers mois")),
    (52, marked("12 derniers mois")),
    (0, marked("depuis le début")),
)


def scope_of(
    request: Request,
    by: str = "week",
    weeks: int = 12,
    mailbox: Annotated[str, Query(max_length=64)] = "",
    pipeline: Annotated[str, Query(max_length=500)] = "",
) -> Scope:
    """What the address asks for; what it cannot mean is left at its default."""
    grouping: Grouping = next((known for known in HEADS if known == by), "week")
    period = weeks if weeks in dict(PERIODS) else 12
    return Scope(
        by=grouping,
        weeks=period or None,
        mailbox=mailbox,
        pipeline=pipeline,
        zone=desk_of(request).config.desk.timezone,
    )


Asking = Annotated[Scope, Depends(scope_of)]


@router.get("/desk/figures")
async def figures(request: Request, viewer: Looker, scope: Asking) -> HTMLResponse:
    """All figures of a scope."""
    store = desk_of(request).figures
    decided = await store.decisions(viewer, scope)
    changed = await store.edits(viewer, scope)
    arrived = await store.arrivals(viewer, scope)
    waited = await store.delays(viewer, scope)
    within = bounds(decided, changed, arrived, waited)
    shown = (
        views.decisions(decided, scope.by, within),
        views.edits(changed, scope.by, within),
        views.arrivals(arrived, scope.by, within),
        views.delays(waited, scope.by, within),
        views.reasons(await store.reasons(viewer, scope)),
    )
    return render(
        request,
        "figures.html.j2",
        figures=shown,
        summary=_summary(whole(decided), whole(changed), whole(arrived), whole(waited)),
        scope=scope,
        asked=_asked(scope),
        heads=HEADS,
        periods=PERIODS,
        choices=await store.choices(viewer),
    )


@router.get("/desk/figures/{name}.csv")
async def table(request: Request, viewer: Looker, scope: Asking, name: str) -> Response:
    """One figure's table, for a spreadsheet."""
    if name not in _FIGURES:
        raise NotFound("Ce tableau n'existe pas.")
    figure = await _FIGURES[name](desk_of(request).figures, viewer, scope)
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(map(_cell, figure.csv_head))
    writer.writerows([map(_cell, row) for row in figure.csv])
    # With its mark spreadsheets know that it is UTF-8.
    return Response(
        "\ufeff" + target.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="sourcier-{name}.csv"',
            "Cache-Control": "no-store",
        },
    )


async def _decisions(store: Figuring, viewer: Viewer, scope: Scope) -> View:
    return views.decisions(await store.decisions(viewer, scope), scope.by)


async def _edits(store: Figuring, viewer: Viewer, scope: Scope) -> View:
    return views.edits(await store.edits(viewer, scope), scope.by)


async def _arrivals(store: Figuring, viewer: Viewer, scope: Scope) -> View:
    return views.arrivals(await store.arrivals(viewer, scope), scope.by)


async def _delays(store: Figuring, viewer: Viewer, scope: Scope) -> View:
    return views.delays(await store.delays(viewer, scope), scope.by)


async def _reasons(store: Figuring, viewer: Viewer, scope: Scope) -> View:
    return views.reasons(await store.reasons(viewer, scope))


_FIGURES: dict[str, Callable[[Figuring, Viewer, Scope], Awaitable[View]]] = {
    "decisions": _decisions,
    "edits": _edits,
    "arrivals": _arrivals,
    "delays": _delays,
    "reasons": _reasons,
}


def _summary(
    decided: Decisions | None,
    changed: Edits | None,
    arrived: Arrivals | None,
    waited: Delays | None,
) -> list[tuple[str, str, str]]:
    """Name, value and explanation of what matters most."""
    told = []
    if decided:
        share = percent(100 * decided.approved / (decided.total or 1))
        note = many("du brouillon décidé", "des {n} brouillons décidés", decided.total)
        told.append((say("Envoyés tels quels"), share, note))
    if changed:
        note = many(
            "dans le brouillon corrigé", "en médiane, des {n} brouillons corrigés", changed.count
        )
        told.append((say("Mots changés"), or_dash(changed.words), note))
    if arrived:
        share = percent(100 * arrived.declined / (arrived.total or 1))
        told.append(
            (say("Refus"), share, many("du message reçu", "des {n} messages reçus", arrived.total))
        )
    if waited:
        note = say("neuf réponses sur dix en moins de {time}", time=lasting(waited.p90))
        told.append((say("Délai médian"), lasting(waited.median), note))
    return told


def _asked(scope: Scope) -> dict[str, object]:
    """The scope as an address says it."""
    return {
        "by": scope.by,
        "weeks": str(scope.weeks or 0),
        "mailbox": scope.mailbox,
        "pipeline": scope.pipeline,
    }


def _cell(value: object) -> str:
    """A value as spreadsheets take it: a text never becomes a formula."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
