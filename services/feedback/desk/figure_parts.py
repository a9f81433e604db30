"""What figures are made of: their plot and table, with values as words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar

from services.feedback.desk.words import LANG, marked, number, say, when
from services.feedback.figuring import Group, Grouping, lines, whole, with_quiet_weeks
from services.feedback.plotting import Plot, Series, steps, svg

BARS = 16
"""Groups that a plot of lying bars shows; its table has all."""
HEADS: dict[Grouping, str] = {
    "week": marked("Semaine du"),
    "mailbox": marked("Boîte"),
    "pipeline": marked("Version du pipeline"),
}
UNITS = ((86400, marked("jours")), (3600, marked("heures")), (60, marked("minutes")))
_SHORT = {
    "fr": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "en": "Jan Feb Mar Apr May June July Aug Sept Oct Nov Dec",
}
G = TypeVar("G", bound=Group)
Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """A figure as the page shows it; ``svg`` "" when there is nothing to draw.

    ``total`` is the table's last row, if it has one; ``csv`` holds the rows as plain values under
    ``csv_head``.
    """

    name: str
    title: str
    note: str
    svg: str
    head: Row
    rows: tuple[Row, ...]
    total: Row | None
    csv: tuple[tuple[object, ...], ...]
    csv_head: Row


Weeks = tuple[str, str]
ANY: Weeks = ("", "")


def groups(
    kind: type[G], found: Sequence[G], by: Grouping, within: Weeks
) -> tuple[list[G], list[G]]:
    """The lines of the table, and those of the plot, whose weeks are at least those ``within``."""
    every = lines(found)
    return every, with_quiet_weeks(kind, every, within) if by == "week" else every[:BARS]


def plot(
    name: str,
    title: str,
    described: str,
    shown: Sequence[Group],
    by: Grouping,
    series: tuple[Series, ...],
    write: Callable[[float], str],
    axis: tuple[tuple[float, str], ...],
    marks: tuple[float | None, ...] = (),
) -> Plot:
    """The plot of a figure; ``marks`` are 90th percentiles."""
    return Plot(
        ident=name,
        title=title,
        described=described,
        labels=tuple(short(group.label or "", by) for group in shown),
        series=series,
        written=tuple(tuple(map(write, each.values)) for each in series),
        upright=by == "week",
        axis=axis,
        marks=marks,
        mark_name=say("90 % sous ce trait") if marks else "",
    )


def view(
    name: str,
    drawn: Plot,
    note: str,
    head: Row,
    every: Sequence[G],
    total: G | None,
    by: Grouping,
    cells: Callable[[G], list[str]],
    names: tuple[str, ...],
) -> View:
    """The figure with its table: ``cells`` are a line's words, ``names`` its plain values."""
    return View(
        name=name,
        title=drawn.title,
        note=note,
        svg=svg(drawn),
        head=(say(HEADS[by]), *head),
        rows=tuple((long(group.label or "", by), *cells(group)) for group in every),
        total=(say("ensemble"), *cells(total)) if total else None,
        csv=tuple(
            (group.label or "", *(getattr(group, name) for name in names)) for group in every
        ),
        csv_head=(by, *names),
    )


def said(found: Sequence[G], told: Callable[[G], str]) -> str:
    """What the plot says in one sentence."""
    total = whole(found)
    count = len(found) - 1 if total else 0
    return say("{told} ; {n} lignes dans le tableau.", told=told(total), n=count) if total else ""


def short(label: str, by: Grouping) -> str:
    """A group's name under its bar."""
    if by != "week":
        return label or say("sans brouillon")
    day = date.fromisoformat(label)
    return f"{day.day} {_SHORT[LANG.get()].split()[day.month - 1]}"


def long(label: str, by: Grouping) -> str:
    """A group's name in its table."""
    if by != "week":
        return label or say("sans brouillon")
    # Noon is the same day wherever the reader is.
    noon = datetime.fromisoformat(label).replace(hour=12, tzinfo=UTC)
    return when(noon, time=False).removeprefix("le ")


def lasting(seconds: float | None) -> str:
    """« 2 h 05 », « 3 j 4 h »."""
    if seconds is None:
        return "–"
    minutes = round(seconds / 60)
    if minutes < 60:
        told = say("{n} min", n=minutes)
    elif minutes < 48 * 60:
        told = say("{hours} h {minutes:02d}", hours=minutes // 60, minutes=minutes % 60)
    else:
        told = say("{days} j {hours} h", days=minutes // 1440, hours=minutes % 1440 // 60)
    return told.replace(" ", "\N{NO-BREAK SPACE}")


def percent(share: float) -> str:
    """« 62 % »."""
    return say("{n} %", n=number(share)).replace(" ", "\N{NO-BREAK SPACE}")


def of(part: int, total: int) -> str:
    """« 12 (8 %) »."""
    return f"{number(part)}\N{NO-BREAK SPACE}({percent(100 * part / (total or 1))})"


def or_dash(value: float | None) -> str:
    """The value, rounded when it is large."""
    if value is None:
        return "–"
    return number(value, 0 if value >= 10 or value == round(value) else 1)


def most(*values: Iterable[float | None]) -> float:
    """The largest of all values that there are."""
    return max((value for each in values for value in each if value is not None), default=0.0)


def axis_of(largest: float, whole: bool = False) -> tuple[tuple[float, str], ...]:
    """Round values on the axis; ``whole`` for what is counted."""
    places = [value for value in steps(largest) if not (whole and value % 1)]
    digits = 0 if all(value == round(value) for value in places) else 1
    return tuple((value, number(value, digits)) for value in places)
