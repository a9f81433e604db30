"""``sourcier doctor``: looks at everything that the stack needs, and says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.cli import doctor_machine as machine
from shared.cli import doctor_servers as servers
from shared.cli import doctor_stores as stores
from shared.cli.findings import Finding, as_data, problem, show, skipped
from shared.cli.plain import as_json as written
from shared.cli.problem import Problem
from shared.cli.where import Data, Where, data_folder, locate, running_state
from shared.settings import Settings

ADDRESSES = {"nats", "postgres", "objects"}
"""Sections that, once set, say where servers are without `sourcier up`."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: Data = None,
) -> None:
    """Check settings, packages, disk, files, models, servers, their clocks, and the services.

    Looks at the stack that runs in the data folder, else at the servers that are configured.
    Each line is ok, problem (with what to do) or skipped (with why). Exits 1 with a problem.

    Example: `sourcier doctor --json`
    """
    console = Console(highlight=False)
    findings = asyncio.run(_told(data, None if as_json else console))
    if as_json:
        typer.echo(written(as_data(findings), indent=2))
    problems = sum(each.state == "problem" for each in findings)
    if not as_json:
        console.print(f"\nproblems: {problems}" if problems else "\nno problem")
    if problems:
        raise typer.Exit(1)


async def _told(data: Path | None, console: Console | None) -> list[Finding]:
    """Everything; shown as it is found, as some answers take seconds."""
    found = []
    async for finding in _all(data):
        found.append(finding)
        if console:
            show(finding, console)
    return found


async def _all(data: Path | None) -> AsyncIterator[Finding]:
    config, found = machine.settings()
    for finding in (*found, *machine.packages()):
        yield finding
    if config is None:
        yield skipped("servers", "the settings must be right first")
        return
    folder = data_folder(data)
    where = _where(data, config)
    config = where.settings if where else config
    here = where is None or where.data is not None
    room = machine.disk(config, folder if here else None)
    for part in (room, machine.files(config), machine.models(config, here)):
        for finding in part:
            yield finding
    if where is None:
        option = "" if data is None else f" --data {data}"
        advice = f"sourcier up{option}, or set SOURCIER_NATS__URL and the others (docs/operate.md)"
        yield problem("stack", f"none runs in {folder}", advice)
        return
    async for finding in _servers(config, where):
        yield finding


def _where(data: Path | None, config: Settings) -> Where | None:
    """The running stack, or the configured servers; None when there is neither."""
    if running_state(data_folder(data)):
        try:
            return locate(data)
        except Problem:
            return None  # it has just stopped
    return Where(config) if data is None and ADDRESSES & config.model_fields_set else None


async def _servers(config: Settings, where: Where) -> AsyncIterator[Finding]:
    for findings in (
        servers.broker(config),
        stores.database(config, where.data),
        stores.objects(config.objects),
        servers.index(config.retrieval, where),
        servers.model(config),
        servers.services(where),
        servers.accounts(config.bridge),
        servers.traces(),
    ):
        async for finding in findings:
            yield finding
