"""``sourcier up``, ``down``, ``topology`` and ``index``."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from shared import admin, settings
from shared.cli.accounts import way_in
from shared.cli.client import connected
from shared.cli.models import ensure
from shared.cli.plain import line
from shared.cli.problem import Problem
from shared.cli.scaling import scaled
from shared.cli.web import fetch
from shared.cli.where import Data, configured, data_folder, locate, running_state
from shared.queries import EmbedAnswer, EmbedQuery

topology = typer.Typer(help="The broker's streams and consumers.", no_args_is_help=True)
index = typer.Typer(help="The search index.", no_args_is_help=True)
UP_WITHIN = 300.0
DOWN_WITHIN = 90.0


def up(
    data: Data = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is running.")] = False,
    scale: Annotated[
        list[str] | None,
        typer.Option("--scale", metavar="NAME=N", help="Several processes of a service."),
    ] = None,
) -> None:
    """Start the whole stack on this machine: servers from wheels, and the services.

    Stays in the foreground until Ctrl-C, which drains: services finish what they have in hand.
    Logs are in the data folder, in logs/.

    Example: `sourcier up --data .sourcier --detach`, or `sourcier up --scale embed=2`
    """
    folder = data_folder(data)
    scaled(scale or (), configured())
    ensure(configured().embedding.model)
    command = [sys.executable, "-m", "deploy.local.supervisor", "--data", str(folder)]
    command += [word for each in scale or () for word in ("--scale", each)]
    if not detach:
        os.execv(sys.executable, command)  # noqa: S606 - ourselves, no shell
    if running_state(folder):
        raise Problem(f"a stack is already running in {folder}; stop it with `sourcier down`")
    _detached(folder, command)
    typer.echo(f"running in {folder}; stop it with `sourcier down`")
    typer.echo(f"the desk: {way_in(locate(folder))}")


def _detached(folder: Path, command: list[str]) -> None:
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    log = folder / "logs" / "supervisor.log"
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + UP_WITHIN
    while (state := running_state(folder) or {}).get("state") != "running":
        if process.poll() is not None:
            raise Problem(f"the stack did not start; its log: {log}")
        for name, row in state.get("services", {}).items():
            if row["state"] == "crash loop":
                raise Problem(f"{name} keeps ending, the rest is up; its log: {row['log']}")
        if time.monotonic() > deadline:
            raise Problem(f"not running after {UP_WITHIN:.0f} s; see `sourcier status` and {log}")
        time.sleep(0.2)


def down(data: Data = None) -> None:
    """Stop the stack: services finish what they have in hand, then the servers stop.

    Example: `sourcier down`
    """
    folder = data_folder(data)
    state = running_state(folder)
    if state is None:
        raise Problem(f"no stack is running in {folder}")
    os.kill(state["pid"], signal.SIGTERM)
    deadline = time.monotonic() + DOWN_WITHIN
    while running_state(folder):
        if time.monotonic() > deadline:
            raise Problem(f"still stopping after {DOWN_WITHIN:.0f} s; see {folder / 'logs'}")
        time.sleep(0.1)
    typer.echo("stopped")


@topology.command()
def apply(data: Data = None) -> None:
    """Make the broker's streams and consumers as the topology says.

    Example: `sourcier topology apply`
    """
    for change in _topology(data, admin.apply):
        typer.echo(line(change).plain)
    typer.echo("the broker is as the topology says")


@topology.command()
def check(data: Data = None) -> None:
    """Print how the broker differs from the topology; exits 1 when it does.

    Example: `sourcier topology check`
    """
    found = _topology(data, admin.check)
    for difference in found:
        typer.echo(line(difference).plain)
    if found:
        raise typer.Exit(1)
    typer.echo("the broker is as the topology says")


@index.command()
def rebuild(data: Data = None) -> None:
    """Fill the index again from ingest's catalogue, while the present one serves.

    Example: `sourcier index rebuild`
    """
    where = locate(data)

    async def embedding() -> str:
        async with connected(where.settings) as client:
            query = EmbedQuery(texts=("index",), sparse=False)
            return (await client.ask(query, EmbedAnswer, 30)).embedding

    url = f"{where.url('ingest')}/v1/index/rebuild"
    answer = fetch("POST", url, 600, embedding=asyncio.run(embedding()))
    typer.echo(f"{answer['count']} documents on their way; follow them with `sourcier status`")


def _topology(
    data: Path | None, work: Callable[[settings.Settings], Awaitable[list[str]]]
) -> list[str]:
    where = locate(data)

    async def run() -> list[str]:
        async with connected(where.settings):  # says in words when there is no broker
            return await work(where.settings)

    return asyncio.run(run())
