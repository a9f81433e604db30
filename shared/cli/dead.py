"""``sourcier dead-letters``: what stages gave up on, and handing it in again."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.console import Console

from shared.cli.client import BusClient, Heard, connected, event_type, fresh_id
from shared.cli.plain import as_json as written
from shared.cli.problem import Problem
from shared.cli.render import table
from shared.cli.where import Data, locate
from shared.delivery import Invalid
from shared.document_events import MessageDead, MessageDeadData
from shared.registry import decode
from shared.topology import DEAD

app = typer.Typer(help="See what was given up, and hand it in again.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: Json = False, data: Data = None) -> None:
    """List dead letters, oldest first.

    Example: `sourcier dead-letters list`
    """
    found = [_line(heard) for heard in asyncio.run(_all(data))]
    if as_json:
        for line in found:
            typer.echo(written(line))
        return
    rows = [[str(d["number"]), d["stage"], d["subject"], d["error"], d["reason"]] for d in found]
    columns = ["number#", "stage", "subject", "error", "reason"]
    Console().print(table(f"{len(rows)} dead letters", columns, rows))


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="Its number in the list.")], data: Data = None
) -> None:
    """Print one dead letter as JSON, its payload as it came.

    Example: `sourcier dead-letters show 12`
    """
    where = locate(data)

    async def read() -> Heard:
        async with connected(where.settings) as client:
            return await client.message(DEAD.name, number)

    heard = asyncio.run(read())
    payload = _letter(heard).payload.decode(errors="replace")
    shown = _line(heard) | {"payload": _parsed(payload)}
    typer.echo(written(shown, indent=2))


@app.command()
def replay(
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers in the list.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    data: Data = None,
) -> None:
    """Publish dead letters again as they came, once what ailed them is mended.

    Every consumer of the subject hears the message again; effects happen once all the same.
    The dead letter is deleted when the broker has confirmed the new message.

    Example: `sourcier dead-letters replay 12`, or `sourcier dead-letters replay --all`
    """
    if everything == bool(numbers):
        raise Problem("give the numbers to replay, or --all", 2)
    where = locate(data)

    async def work() -> int:
        async with connected(where.settings) as client:
            if everything:
                letters = await client.messages(DEAD.name)
            else:
                letters = [await client.message(DEAD.name, number) for number in numbers or []]
            for heard in letters:
                await _replay(client, heard)
            return len(letters)

    typer.echo(f"{asyncio.run(work())} replayed; follow them with `sourcier status`")


async def _replay(client: BusClient, heard: Heard) -> None:
    letter = _letter(heard)
    await client.publish(letter.original_subject, letter.payload, fresh_id(), letter.stream)
    await client.forget(DEAD.name, heard.sequence)


async def _all(data: Any) -> list[Heard]:
    async with connected(locate(data).settings) as client:
        return await client.messages(DEAD.name)


def _letter(heard: Heard) -> MessageDeadData:
    try:
        event = decode(heard.body)
    except Invalid as error:
        raise Problem(f"dead letter {heard.sequence} cannot be read: {error}") from error
    if not isinstance(event, MessageDead):
        raise Problem(f"message {heard.sequence} of {DEAD.name} is no dead letter: {event.type}")
    return event.data


def _line(heard: Heard) -> dict[str, Any]:
    letter = _letter(heard)
    return {
        "number": heard.sequence,
        "stage": letter.stage,
        "subject": letter.original_subject,
        "type": event_type(letter.payload),
        "attempt": letter.attempt,
        "error": letter.error,
        "reason": letter.reason,
    }


def _parsed(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload
