"""Figures in words: a title, a plot, a table with its rows as text, in the reader's language."""

from __future__ import annotations

from collections.abc import Sequence

from services.feedback.desk.figure_parts import (
    ANY,
    BARS,
    UNITS,
    View,
    Weeks,
    axis_of,
    groups,
    lasting,
    most,
    of,
    or_dash,
    percent,
    plot,
    said,
    view,
)
from services.feedback.desk.queue import DECLINED, SKIPPED
from services.feedback.desk.review_view import REASONS
from services.feedback.desk.words import marked, number, say
from services.feedback.figuring import (
    Arrivals,
    Decisions,
    Delays,
    Edits,
    Grouping,
    Reason,
    whole,
)
from services.feedback.plotting import Plot, Series, svg

DECIDED = (
    ("approved", marked("envoyés tels quels"), 1),
    ("edited", marked("corrigés"), 2),
    ("rejected", marked("rejetés"), 3),
    ("unused", marked("sans le brouillon"), 4),
)
ARRIVED = (
    ("drafted", marked("brouillon"), 1),
    ("declined", marked("refus"), 3),
    ("skipped", marked("écartés"), 2),
    ("pending", marked("en préparation"), 4),
)
KINDS = (
    ("review", marked("relecture"), dict(REASONS) | {"other": marked("Autre raison")}, 1),
    ("declined", marked("refus"), DECLINED, 3),
    ("skipped", marked("écartés"), SKIPPED, 2),
)


def decisions(found: Sequence[Decisions], by: Grouping, within: Weeks = ANY) -> View:
    """What agents did with drafts, in shares."""

    def shares(group: Decisions) -> list[float]:
        return [100 * getattr(group, name) / (group.total or 1) for name, _, _ in DECIDED]

    every, shown = groups(Decisions, found, by, within)
    series = tuple(
        Series(say(told), look, tuple(shares(group)[at] for group in shown))
        for at, (_, told, look) in enumerate(DECIDED)
    )
    drawn = plot(
        "decisions",
        say("Ce que deviennent les brouillons"),
        said(found, lambda g: say("{share} envoyés tels quels", share=percent(shares(g)[0]))),
        shown,
        by,
        series,
        lambda value: percent(value) if value else "",
        axis=tuple((value, percent(value)) for value in (0, 25, 50, 75, 100)),
    )

    def cells(group: Decisions) -> list[str]:
        each = [
            f"{number(getattr(group, name))}\N{NO-BREAK SPACE}({percent(share)})"
            for (name, _, _), share in zip(DECIDED, shares(group), strict=True)
        ]
        return [*each, number(group.total)]

    return view(
        "decisions",
        drawn,
        say("Brouillons décidés, au moment de la décision."),
        (*(say(told) for _, told, _ in DECIDED), say("décidés")),
        every,
        whole(found),
        by,
        cells,
        (*(name for name, _, _ in DECIDED), "total"),
    )


def edits(found: Sequence[Edits], by: Grouping, within: Weeks = ANY) -> View:
    """How many words agents changed."""
    every, shown = groups(Edits, found, by, within)
    values = tuple(group.words or 0.0 for group in shown)
    marks = tuple(group.words_p90 for group in shown)
    drawn = plot(
        "edits",
        say("Ampleur des corrections"),
        said(found, lambda g: say("{n} mots changés en médiane", n=or_dash(g.words))),
        shown,
        by,
        (Series(say("mots changés, médiane"), 2, values),),
        lambda value: number(value) if value else "",
        axis=axis_of(most(values, marks)),
        marks=marks,
    )
    return view(
        "edits",
        drawn,
        say("Brouillons corrigés avant l'envoi ; neuf sur dix restent sous le trait."),
        (
            say("mots changés, médiane"),
            say("90 % sous"),
            say("caractères changés, médiane"),
            say("90 % sous"),
            say("corrigés"),
        ),
        every,
        whole(found),
        by,
        lambda g: [
            *map(or_dash, (g.words, g.words_p90, g.characters, g.characters_p90)),
            number(g.count),
        ],
        ("words", "words_p90", "characters", "characters_p90", "count"),
    )


def arrivals(found: Sequence[Arrivals], by: Grouping, within: Weeks = ANY) -> View:
    """What became of the e-mails that arrived."""
    every, shown = groups(Arrivals, found, by, within)
    series = tuple(
        Series(say(told), look, tuple(float(getattr(group, name)) for group in shown))
        for name, told, look in ARRIVED
    )
    drawn = plot(
        "arrivals",
        say("Messages reçus"),
        said(found, lambda g: say("{n} refus", n=of(g.declined, g.total))),
        shown,
        by,
        series,
        lambda value: number(value) if value else "",
        axis=axis_of(most([g.total for g in shown]), whole=True),
    )
    return view(
        "arrivals",
        drawn,
        say("À leur arrivée : un brouillon, un refus motivé, écartés sans brouillon."),
        (*(say(told) for _, told, _ in ARRIVED), say("reçus")),
        every,
        whole(found),
        by,
        lambda g: [*(of(getattr(g, name), g.total) for name, _, _ in ARRIVED), number(g.total)],
        (*(name for name, _, _ in ARRIVED), "total"),
    )


def delays(found: Sequence[Delays], by: Grouping, within: Weeks = ANY) -> View:
    """How long correspondents waited."""
    every, shown = groups(Delays, found, by, within)
    longest = most([g.median or 0 for g in shown], [g.p90 for g in shown])
    unit, told = next((u, t) for u, t in UNITS if longest >= 2 * u or u == 60)
    values = tuple((group.median or 0) / unit for group in shown)
    marks = tuple(None if g.p90 is None else g.p90 / unit for g in shown)
    drawn = plot(
        "delays",
        say("Délai de réponse"),
        said(found, lambda g: say("{time} en médiane", time=lasting(g.median))),
        shown,
        by,
        (Series(f"{say('médiane')} ({say(told)})", 1, values),),
        lambda value: number(value, 0 if value >= 10 else 1) if value else "",
        axis=axis_of(most(values, marks)),
        marks=marks,
    )
    return view(
        "delays",
        drawn,
        say(
            "De l'arrivée du message à l'envoi de la réponse ; neuf sur dix restent sous le trait."
        ),
        (say("médiane"), say("90 % sous"), say("réponses")),
        every,
        whole(found),
        by,
        lambda g: [lasting(g.median), lasting(g.p90), number(g.count)],
        ("median", "p90", "count"),
    )


def reasons(found: Sequence[Reason]) -> View:
    """Why drafts were changed or rejected, refused, or e-mails skipped."""
    told = [(kind, name, names, look) for kind, name, names, look in KINDS]
    ordered = [(r, k) for k in told for r in found if r.kind == k[0]]
    shown = ordered[:BARS]
    labels = tuple(say(k[2].get(r.reason, r.reason or "–")) for r, k in ordered)
    series = tuple(
        Series(say(name), look, tuple(float(r.count if r.kind == kind else 0) for r, _ in shown))
        for kind, name, _, look in told
    )
    drawn = Plot(
        ident="reasons",
        title=say("Motifs"),
        described=" ; ".join(
            f"{label} : {r.count}" for label, (r, _) in zip(labels, shown, strict=False)
        ),
        labels=labels[:BARS],
        series=series,
        written=tuple(tuple(number(v) if v else "" for v in each.values) for each in series),
        upright=False,
        axis=axis_of(most([r.count for r, _ in shown]), whole=True),
    )
    return View(
        name="reasons",
        title=drawn.title,
        note=say("Donnés par les agents, par la machine qui refuse, ou pour un message écarté."),
        svg=svg(drawn),
        head=(say("Motif"), say("Où"), say("Nombre")),
        rows=tuple(
            (label, say(k[1]), number(r.count))
            for label, (r, k) in zip(labels, ordered, strict=True)
        ),
        total=None,
        csv=tuple((r.kind, r.reason, r.count) for r, _ in ordered),
        csv_head=("kind", "reason", "count"),
    )
