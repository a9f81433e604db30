"""How every benchmark ends: a table for people, one JSON line for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table


def report(name: str, figures: Mapping[str, object], aims: Mapping[str, str]) -> None:
    """Print ``figures`` beside what was aimed at, then all of it as one JSON line."""
    table = Table(title=name)
    for column in ("figure", "measured", "aim"):
        table.add_column(column)
    for key, value in figures.items():
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        table.add_row(key, shown, aims.get(key, ""))
    Console().print(table)
    print(json.dumps({"benchmark": name} | dict(figures), ensure_ascii=False, default=str))


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
