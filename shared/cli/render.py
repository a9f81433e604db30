"""Outcomes and drafts for a person's eyes."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from shared.cli.outcomes import Outcome

COLOURS = {"draft": "green", "declined": "yellow", "skipped": "blue", "dead": "red", "none": "red"}


def panel(outcome: Outcome) -> Panel:
    """One e-mail's outcome: the draft with its sources, or the reason why there is none."""
    kind = str(outcome["outcome"])
    colour = COLOURS[kind]
    seconds = outcome["timings"].get("total")
    return Panel(
        Group(*_draft(outcome)) if kind == "draft" else Group(*_reason(outcome)),
        title=f"[{colour}]{kind}[/]  {outcome.get('file', '')}",
        title_align="left",
        subtitle=None if seconds is None else f"{seconds:.2f} s",
        subtitle_align="right",
        border_style=colour,
    )


def _draft(outcome: Outcome) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(outcome["text"])]
    if outcome["sources"]:
        lines += [Text("\nSources", style="bold"), *(_source(s) for s in outcome["sources"])]
    for question in outcome.get("unanswered", []):
        lines.append(Text(f"Sans réponse dans les documents : {question}", style="yellow"))
    return lines


def _source(source: dict[str, Any]) -> Text:
    place = f", p. {source['page']}" if source["page"] else ""
    heading = f" — {source['heading']}" if source["heading"] else ""
    line = Text.assemble((f"[{source['number']}] ", "bold cyan"), source["title"], place, heading)
    if source["url"]:
        line.append(f"\n    {source['url']}", style="dim")
    return line


def _reason(outcome: Outcome) -> list[RenderableType]:
    lines = [Text.assemble((f"{outcome['reason']}: ", "bold"), outcome["detail"])]
    for passage in outcome["passages"][:3]:
        lines.append(Text(f"  nearest: {passage['title']} — {passage['heading']}", style="dim"))
    return list(lines)


def table(title: str, columns: list[str], rows: list[list[str]]) -> Table:
    """A table; columns whose name ends in ``#`` are right-aligned numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", expand=False)
    for column in columns:
        number = column.endswith("#")
        made.add_column(column.rstrip("#"), justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
