"""The queue: drafts that wait, refusals, decisions, e-mails without a draft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.feedback.desk.guards import Agent
from services.feedback.desk.parts import desk_of
from services.feedback.desk.problems import is_htmx
from services.feedback.desk.rendering import render, url
from services.feedback.desk.words import marked
from services.feedback.queueing import PLACE, Counts, Filter, Flag, Lines, View, place
from services.feedback.records import Status
from services.feedback.reviewing import NotFound
from shared.envelope import Frozen

router = APIRouter(include_in_schema=False)
Option: TypeAlias = tuple[str, str | None, int | None]

TITLES: dict[View, str] = {
    "waiting": marked("À traiter"),
    "declined": marked("Refus"),
    "skipped": marked("Écartés"),
    "pending": marked("En préparation"),
    "decided": marked("Décidés"),
}
STATUSES: dict[str, str] = {
    "waiting": marked("En attente"),
    "approved": marked("Approuvé tel quel"),
    "edited": marked("Corrigé puis approuvé"),
    "rejected": marked("Rejeté"),
    "withdrawn": marked("Retiré"),
    "unused": marked("Répondu sans le brouillon"),
}
SKIPPED: dict[str, str] = {
    "auto-reply": marked("Réponse automatique"),
    "list": marked("Lettre ou liste de diffusion"),
    "loop": marked("Boucle d'envoi"),
    "empty": marked("Sans texte"),
    "duplicate": marked("Déjà reçu"),
    "unreadable": marked("Illisible"),
    "limit": marked("Trop de messages de cet expéditeur"),
    "encrypted": marked("Chiffré"),
    "category": marked("Catégorie sans brouillon"),
    "erased": marked("Effacé"),
}
DECLINED: dict[str, str] = {
    "no-passage": marked("Aucun passage trouvé"),
    "not-enough-evidence": marked("Documents insuffisants"),
    "out-of-scope": marked("Hors du sujet"),
    "unsupported": marked("Réponse non étayée"),
    "engine-missing": marked("Moteur absent"),
}
FLAGS: dict[str, str] = {
    "outdated": marked("Source mise à jour depuis"),
    "checks": marked("Contrôle à vérifier"),
    "locked": marked("En cours de relecture"),
    "extractive": marked("Extraits, sans modèle"),
}
REPLIES: dict[str, str] = {
    "approved": marked("Réponse en cours d'envoi"),
    "sent": marked("Réponse envoyée"),
    "failed": marked("Envoi échoué"),
    "doubtful": marked("Envoi à vérifier"),
}
AGES: dict[int, str] = {
    1: marked("Plus d'un jour"),
    3: marked("Plus de trois jours"),
    7: marked("Plus d'une semaine"),
    30: marked("Plus d'un mois"),
}


class Asked(BaseModel):
    """A list's address: empty fields of the form are as if absent, unknown ones are ignored."""

    model_config = ConfigDict(extra="ignore")

    mailbox: str | None = Field(default=None, max_length=100)
    category: str | None = Field(default=None, max_length=100)
    status: Status | None = None
    reason: str | None = Field(default=None, max_length=100)
    flag: Flag | None = None
    days: int | None = Field(default=None, ge=1, le=3650)
    q: str | None = Field(default=None, max_length=200)
    after: str | None = Field(default=None, pattern=PLACE)

    @field_validator("*", mode="before")
    @classmethod
    def _no_blanks(cls, value: object) -> object:
        """PostgreSQL stores no NUL, so nothing is found by one."""
        if isinstance(value, str):
            return value.replace("\0", "").strip() or None
        return value

    def filter(self) -> Filter:
        return Filter(
            mailbox=self.mailbox,
            category=self.category,
            status=self.status,
            reason=self.reason,
            flag=self.flag,
            days=self.days,
            text=self.q,
        )


class AskedDrafts(Asked):
    view: Literal["waiting", "declined", "decided"] = "waiting"


class AskedMails(Asked):
    outcome: Literal["skipped", "pending"] = "skipped"


@router.get("/desk/drafts")
async def drafts(
    request: Request, viewer: Agent, asked: Annotated[AskedDrafts, Query()]
) -> Response:
    """The lists of drafts."""
    found = await _find(request, viewer, asked.view, asked)
    return _list(request, asked.view, asked, *found)


@router.get("/desk/mails")
async def mails(request: Request, viewer: Agent, asked: Annotated[AskedMails, Query()]) -> Response:
    """The lists of e-mails that have no draft."""
    found = await _find(request, viewer, asked.outcome, asked)
    return _list(request, asked.outcome, asked, *found)


@router.get("/desk/mails/{mail_id}")
async def mail(request: Request, viewer: Agent, mail_id: UUID) -> Response:
    """One e-mail that has no draft, or the way to its draft."""
    found = await desk_of(request).queue.mail(viewer, mail_id)
    if found is None:
        raise NotFound("Aucun e-mail {id} n'est connu.", id=mail_id)
    return render(request, "mails.html.j2", mail=found, skipped=SKIPPED)


async def _find(request: Request, viewer: Agent, view: View, asked: Asked) -> tuple[Lines, Counts]:
    after = place(asked.after) if asked.after else None
    return await desk_of(request).queue.lines(viewer, view, asked.filter(), after)


def _list(request: Request, view: View, asked: Asked, lines: Lines, counts: Counts) -> Response:
    query = {k: v for k, v in request.query_params.items() if k != "after"}
    own = asked.filter().model_dump(exclude_none=True)
    return render(
        request,
        "queue_live.html.j2" if is_htmx(request) else "queue.html.j2",
        view=view,
        base=_base(view),
        asked=asked,
        filtered=bool(own),
        boxes=len({group.mailbox for group in counts.groups}),
        lines=lines,
        counts=counts,
        tabs=[(v, TITLES[v], address_of(v), counts.of(v)) for v in TITLES],
        everything=address_of(view),
        first=url(request.url.path, query) if asked.after else None,
        next=url(request.url.path, query, after=str(lines.after)) if lines.after else None,
        choices=_choices(view, asked, counts),
        titles=TITLES,
        statuses=STATUSES,
        skipped=SKIPPED,
        declined=DECLINED,
        flags=FLAGS,
        replies=REPLIES,
    )


def _base(view: View) -> str:
    return "/desk/mails" if view in ("skipped", "pending") else "/desk/drafts"


def address_of(view: View) -> str:
    """Where a view is."""
    if view == "waiting":
        return "/desk/drafts"
    name = "outcome" if view in ("skipped", "pending") else "view"
    return url(_base(view), {name: view})


class Choice(Frozen):
    """A filter: ``all_`` is said for none; options are (value, words or None for the value itself,
    how many or None)."""

    name: str
    label: str
    all_: str
    options: list[Option]
    chosen: str


def _choices(view: View, asked: Asked, counts: Counts) -> list[Choice]:
    """What the filters offer: what there is."""
    found: list[Choice] = []

    def add(name: str, label: str, all_: str, options: list[Option]) -> None:
        chosen = str(getattr(asked, name) or "")
        if chosen and chosen not in (value for value, _, _ in options):
            options.append((chosen, None, None))
        if len(options) > 1 or chosen:
            found.append(Choice(name=name, label=label, all_=all_, options=options, chosen=chosen))

    every = marked("Toutes")
    add("mailbox", marked("Boîte"), every, _there(counts.by(view, "mailbox")))
    categories = [(name, n) for name, n in counts.by(view, "category") if name]
    add("category", marked("Catégorie"), every, _there(categories))
    if view == "decided":
        add("status", marked("Décision"), every, _there(counts.by(view, "status"), STATUSES))
    reasons = {"skipped": SKIPPED, "declined": DECLINED}.get(view, {})
    add("reason", marked("Motif"), marked("Tous"), _all(reasons))
    add("flag", marked("Signalement"), marked("Tous"), _all(FLAGS if view == "waiting" else {}))
    ages = {str(days): told for days, told in AGES.items()}
    add("days", marked("Ancienneté"), every, _all(ages))
    return found


def _there(counted: list[tuple[str, int]], words: Mapping[str, str] | None = None) -> list[Option]:
    return [(value, (words or {}).get(value), n) for value, n in counted]


def _all(words: Mapping[str, str]) -> list[Option]:
    return [(value, told, None) for value, told in words.items()]
