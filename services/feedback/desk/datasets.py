"""The datasets: what there is to learn from, an export on its way, versions and what they hold."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.feedback.access import Viewer
from services.feedback.desk.dataset_api import After, datasets_of
from services.feedback.desk.guards import DataScientist
from services.feedback.desk.rendering import render, url
from services.feedback.desk.words import marked, told
from services.feedback.differing import differences
from services.feedback.reviewing import Conflict
from services.feedback.training.pairs import KINDS, Kind
from services.feedback.training.pseudonyms import Entity
from services.feedback.training.splitting import SPLITS
from services.feedback.training.versions import Export, ExportWish

router = APIRouter()
TELLS: dict[Kind, tuple[str, str]] = {
    "dpo": (
        marked("Préférences (DPO)"),
        marked("Ce que l'agent a envoyé, face à ce que le modèle avait écrit."),
    ),
    "sft": (marked("Exemples (SFT)"), marked("Les réponses approuvées, avec ou sans correction.")),
    "retrieval": (
        marked("Recherche"),
        marked("Une question, un passage gardé ou ajouté, un passage retiré ou jugé faux."),
    ),
}
SHORT: dict[Kind, str] = {"dpo": "DPO", "sft": "SFT", "retrieval": marked("Recherche")}
REASONS = {
    "same-body": marked("rien ne diffère, ou seulement la salutation et la signature"),
    "extractive": marked("brouillon fait de citations : aucun modèle ne l'a écrit"),
    "declined": marked("le modèle avait refusé de rédiger"),
    "rejected-alone": marked("brouillon rejeté sans texte envoyé à lui opposer"),
    "empty-body": marked("texte vide sans ses formules, ou texte envoyé inconnu"),
    "no-citation-edit": marked("citations laissées telles quelles"),
    "no-counterpart": marked("aucun passage à opposer au passage jugé faux ou ajouté"),
}
DECISIONS = {
    "approved": marked("approuvés sans changement"),
    "edited": marked("corrigés"),
    "rejected": marked("rejetés"),
    "unused": marked("répondus sans le brouillon"),
}
STAGES = {
    "": marked("L'export commence."),
    "counting": marked("Les relectures sont comptées."),
    "reading": marked("Les relectures sont lues, les données personnelles remplacées."),
    "storing": marked("Les fichiers sont rangés."),
}
ENTITIES: dict[Entity, str] = {
    "PERSONNE": marked("noms"),
    "ADRESSE": marked("adresses"),
    "TELEPHONE": marked("téléphones"),
    "COURRIEL": marked("courriels"),
    "IBAN": marked("IBAN"),
    "NIR": marked("numéros de sécurité sociale"),
    "NAISSANCE": marked("dates de naissance"),
}
PAGE = 20
INTERRUPTED = marked("L'export a été interrompu : relancez-le.")
Number = Annotated[int, Path(ge=1, le=1_000_000)]


@router.get("/desk/datasets")
async def datasets(request: Request, viewer: DataScientist, after: After = None) -> HTMLResponse:
    """Counts, the last export, the versions: the newest, or those older than ``after``."""
    return await _shown(request, viewer, after=after)


@router.post("/desk/datasets")
async def start(
    request: Request,
    viewer: DataScientist,
    kinds: Annotated[list[Kind], Form()] = [],  # noqa: B006 - FastAPI copies it
    include_extractive: Annotated[bool, Form()] = False,
) -> Response:
    """Begin an export."""
    if not kinds:
        return await _shown(request, viewer, marked("Cochez au moins un jeu à exporter."), 422)
    wish = ExportWish(kinds=tuple(dict.fromkeys(kinds)), include_extractive=include_extractive)
    try:
        await datasets_of(request).start(viewer, wish)
    except Conflict as error:
        return await _shown(request, viewer, told(error), 409)
    return RedirectResponse("/desk/datasets#export", status_code=303)


@router.get("/desk/datasets/exports/{export_id}")
async def progress(request: Request, viewer: DataScientist, export_id: UUID) -> HTMLResponse:
    """How an export stands, as a fragment; a page that is told of its end loads itself anew."""
    export = await datasets_of(request).export(viewer, export_id)
    answer = render(request, "datasets_export.html.j2", export=export, **_told(export))
    if export.state != "running" and request.headers.get("HX-Request"):
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.get("/desk/datasets/{version}")
async def version(
    request: Request, viewer: DataScientist, version: Number, kind: Kind | None = None
) -> HTMLResponse:
    """A version: its manifest in words, its files, its first rows."""
    found = await datasets_of(request).version(viewer, version)
    rows = found.manifest["rows"]
    having = [k for k in KINDS if sum(rows.get(k, {}).values())]
    shown = kind if kind in having else having[0]
    preview = await datasets_of(request).preview(viewer, version, shown)
    if shown == "dpo":
        preview = [
            {**row, "difference": differences(_said(row, "rejected"), _said(row, "chosen"))}
            for row in preview
        ]
    return render(
        request,
        "datasets_version.html.j2",
        version=found,
        made=found.manifest,
        kinds=having,
        kind=shown,
        rows=preview,
        **_words(),
    )


async def _shown(
    request: Request,
    viewer: Viewer,
    error: str = "",
    status: int = 200,
    after: int | None = None,
) -> HTMLResponse:
    use = datasets_of(request)
    export = await use.last(viewer)
    found = await use.versions(viewer, PAGE + 1, after)
    page = request.url.path
    return render(
        request,
        "datasets.html.j2",
        status_code=status,
        counts=await use.counts(viewer),
        export=export,
        versions=found[:PAGE],
        first=page if after else None,
        next=url(page, after=found[PAGE - 1].version) if len(found) > PAGE else None,
        error=error,
        **_told(export),
        **_words(),
    )


def _words() -> dict[str, Any]:
    return {
        "tells": TELLS,
        "short": SHORT,
        "reasons": REASONS,
        "decisions": DECISIONS,
        "entities": ENTITIES,
        "splits": SPLITS,
    }


def _told(export: Export | None) -> dict[str, Any]:
    """What an export says: where it is, or why it gave nothing."""
    if export is None:
        return {"stage": "", "why": "", "left_out": []}
    words = export.why.split()
    if words[:1] == ["empty"]:
        found = dict(word.split("=", 1) for word in words[1:])
        found.pop("mails", None)
        left_out = [(REASONS.get(code, code), int(n)) for code, n in found.items()]
        return {"stage": "", "why": EMPTY, "left_out": left_out}
    why = INTERRUPTED if export.why == "interrupted" else ""
    return {"stage": STAGES.get(export.stage, export.stage), "why": why, "left_out": []}


EMPTY = marked(
    "Aucune ligne à exporter : il faut des brouillons relus dont le texte envoyé diffère."
)


def _said(row: object, column: str) -> str:
    messages = row[column]  # type: ignore[index]  # a row of the schema
    return str(messages[0]["content"])
