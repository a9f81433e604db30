"""Progress bars of long steps, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from shared.objects import Progress as Advance

Watch = Callable[[str, int], Advance]
"""Begins a step by its label and its size in bytes; what it returns is told of each advance."""


@contextmanager
def bars(console: Console) -> Iterator[Watch]:
    """One bar for each step; safe to use from threads. A quiet console shows none."""
    columns = (
        TextColumn("{task.description:>24}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=console.quiet) as shown:

        def watch(label: str, size: int) -> Advance:
            task = shown.add_task(label, total=size)
            return lambda count: shown.advance(task, count)

        yield watch
