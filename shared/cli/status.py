"""``sourcier status``: services, streams, lag, dead letters, the index."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer
from rich.console import Console

from shared.cli.client import connected
from shared.cli.plain import as_json as written
from shared.cli.plain import line
from shared.cli.problem import Problem
from shared.cli.render import table
from shared.cli.web import fetch, readiness
from shared.cli.where import Data, Where, locate

MIB = 1024 * 1024
FULL = 0.8
"""Share of a stream's bytes from which we warn: a full stream takes nothing more."""


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: Data = None,
) -> None:
    """Show how the stack is: services, streams, lag, dead letters, the index.

    Exits 1 when a service is not ready.

    Example: `sourcier status --json`
    """
    where = locate(data)
    found = _status(where)
    if as_json:
        typer.echo(written(found))
    else:
        _print(found)
    if not all(service["ready"] for service in found["services"]):
        raise typer.Exit(1)


def _status(where: Where) -> dict[str, Any]:
    async def figures() -> dict[str, Any]:
        async with connected(where.settings) as client:
            return await client.figures()

    found = asyncio.run(figures())
    dead = next(s["messages"] for s in found["streams"] if s["name"] == "DEAD")
    services = [_service(name, row) for name, row in where.services.items()]
    told = {"services": services, **found, "dead_letters": dead} | {
        "index": _asked(where, "retrieve", "/v1/index"),
        "feedback": _asked(where, "feedback", "/v1/figures"),
    }
    return told | {"warnings": _warnings(told)}


def _warnings(found: dict[str, Any]) -> list[str]:
    """What an operator should act on before, or because, something is lost."""
    told = []
    for stream in found["streams"]:
        most = stream["max_bytes"]
        if most > 0 and stream["bytes"] > FULL * most:
            told.append(
                f"stream {stream['name']} is {stream['bytes'] / most:.0%} full; "
                "see which consumer waits, or set a larger streams.max_bytes"
            )
    if refused := (found["feedback"] or {}).get("refused"):
        told.append(f"{refused} events of feedback were refused by the broker; see its log")
    if unmatched := (found["feedback"] or {}).get("unmatched"):
        told.append(f"{unmatched} replies are about e-mails that nobody handed in; kept 30 days")
    return told


def _service(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """What the supervisor knows, and what the service itself says."""
    said = readiness(row["url"])
    problems = said.get("problems") or {}
    told = "; ".join(f"{need}: {why}" for need, why in problems.items())
    if not told and not said.get("ready"):
        told = str(said.get("state") or row["problem"] or "does not answer")
    state = "ready" if said.get("ready") else row["state"]
    return {"name": name, "ready": bool(said.get("ready")), "state": state} | {
        "problem": told,
        "restarts": row["restarts"],
        "pid": row["pid"],
        "url": row["url"],
        "log": row["log"],
    }


def _asked(where: Where, service: str, path: str) -> Any:
    """An API's answer; None when it cannot be had, which the services' table explains."""
    try:
        token = where.token() if service == "feedback" else None
        return fetch("GET", where.url(service) + path, 5, token=token)
    except Problem:
        return None


def _print(found: dict[str, Any]) -> None:
    console = Console()
    services = [
        [s["name"], s["state"], s["problem"], str(s["restarts"]), s["url"]]
        for s in found["services"]
    ]
    if services:
        columns = ["service", "state", "problem", "restarts#", "address"]
        console.print(table("Services", columns, services))
    streams = [
        [s["name"], str(s["messages"]), f"{s['bytes'] / MIB:.1f}", f"{s['max_bytes'] / MIB:.0f}"]
        for s in found["streams"]
    ]
    console.print(table("Streams", ["stream", "messages#", "MiB#", "limit MiB#"], streams))
    consumers = [
        [c["name"], str(c["waiting"]), str(c["in_hand"]), str(c["redelivered"])]
        for c in found["consumers"]
    ]
    columns = ["consumer", "waiting#", "in hand#", "redelivered#"]
    console.print(table("Lag", columns, consumers))
    _print_index(console, found)
    for warning in found["warnings"]:
        console.print(line(warning, "yellow"), soft_wrap=True)
    if found["dead_letters"]:
        console.print(f"[red]{found['dead_letters']} dead letters[/]: sourcier dead-letters list")


def _print_index(console: Console, found: dict[str, Any]) -> None:
    for each in (found["index"] or {}).get("embeddings", []):
        serving = "serving" if each["embedding"] == found["index"]["serving"] else "filling"
        told = f"{each['documents']} documents, {each['passages']} passages"
        console.print(line(f"index {each['embedding']} ({serving}): {told}"))
    outcomes = (found["feedback"] or {}).get("outcomes") or {}
    if outcomes:
        told = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
        console.print(line(f"e-mails: {told}"))
