"""Outcomes and drafts for a person's eyes."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from shared.cli.outcomes import Outcome
from shared.cli.plain import line, lines

COLOURS = {"draft": "green", "declined": "yellow", "skipped": "blue", "dead": "red", "none": "red"}


def panel(outcome: Outcome) -> Panel:
    """One e-mail's outcome: the draft with its sources, or the reason why there is none."""
    kind = str(outcome["outcome"])
    colour = COLOURS[kind]
    seconds = outcome["timings"].get("total")
    return Panel(
        Group(*_draft(outcome)) if kind == "draft" else Group(*_reason(outcome)),
        title=Text.assemble((kind, colour), "  ", line(outcome.get("file", ""))),
        title_align="left",
        subtitle=None if seconds is None else f"{seconds:.2f} s",
        subtitle_align="right",
        border_style=colour,
    )


def _draft(outcome: Outcome) -> list[RenderableType]:
    parts: list[RenderableType] = [lines(outcome["text"])]
    if outcome["sources"]:
        parts += [Text("\nSources", style="bold"), *(_source(s) for s in outcome["sources"])]
    for question in outcome.get("unanswered", []):
        parts.append(line(f"Sans réponse dans les documents : {question}", "yellow"))
    return parts


def _source(source: dict[str, Any]) -> Text:
    place = f", p. {source['page']}" if source["page"] else ""
    heading = f" — {source['heading']}" if source["heading"] else ""
    told = line(f"{source['title']}{place}{heading}")
    told = Text.assemble((f"[{source['number']}] ", "bold cyan"), told)
    if source["url"]:
        told.append("\n    ").append(line(source["url"], "dim"))
    return told


def _reason(outcome: Outcome) -> list[RenderableType]:
    told = [Text.assemble(line(f"{outcome['reason']}: ", "bold"), lines(outcome["detail"]))]
    for passage in outcome["passages"][:3]:
        told.append(line(f"  nearest: {passage['title']} — {passage['heading']}", "dim"))
    return list(told)


def table(title: str | Text, columns: list[str], rows: list[list[str]]) -> Table:
    """A table; columns whose name ends in ``#`` are right-aligned numbers.

    Cells are shown as they stand: one line each, no markup.
    """
    made = Table(
        title=title if isinstance(title, Text) else line(title),
        title_justify="left",
        title_style="bold",
        expand=False,
    )
    for column in columns:
        number = column.endswith("#")
        made.add_column(column.rstrip("#"), justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*map(line, row))
    return made
