"""``sourcier drafts``: what waits for an agent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.text import Text

from shared.cli.outcomes import outcome_of
from shared.cli.plain import as_json as written
from shared.cli.plain import line
from shared.cli.problem import Problem
from shared.cli.redrafting import ask, ask_and_wait
from shared.cli.render import panel, table
from shared.cli.web import feedback
from shared.cli.where import Data, Where, locate
from shared.envelope import Event
from shared.events import DraftDeclined, DraftDeclinedData, DraftReady, DraftReadyData

app = typer.Typer(invoke_without_command=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def drafts(
    context: typer.Context,
    status: Annotated[
        str | None, typer.Option(help="waiting, approved, edited, rejected, unused or withdrawn.")
    ] = None,
    mailbox: Annotated[str | None, typer.Option(help="Only this mailbox.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Drafts at most.")] = 50,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """List drafts, newest first.

    Example: `sourcier drafts --status waiting`, then `sourcier drafts show ID`
    """
    if context.invoked_subcommand:
        return
    asked = (locate(data), "GET", "/v1/drafts")
    found = feedback(*asked, status=status, mailbox=mailbox, limit=limit)
    if as_json:
        typer.echo(written(found))
        return
    rows = [
        [
            d["draft_id"][:8],
            d["status"],
            d["outcome"],
            d["engine"],
            str(d["request_id"] or ""),
            d["mailbox"],
            d["subject"],
            d["excerpt"][:80],
        ]
        for d in found
    ]
    columns = ["id", "status", "outcome", "engine", "request#", "mailbox", "subject", "begins"]
    Console().print(table(f"{len(rows)} drafts", columns, rows))


@app.command()
def show(
    draft: Annotated[str, typer.Argument(help="Id of the draft, or its first characters.")],
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show a draft in full, with its numbered sources.

    Example: `sourcier drafts show 3f2a9c1e`
    """
    where = locate(data)
    found = feedback(where, "GET", f"/v1/drafts/{_full(draft, where)}")
    if as_json:
        typer.echo(written(found))
        return
    console = Console()
    mail = (found["ready"] or found["declined"])["mail"]
    state = f" · {found['status']} {found['status_detail']}"
    console.print(Text.assemble(line(mail["subject"], "bold"), line(state)))
    console.print(panel(_outcome(found)))


@app.command()
def regenerate(
    draft: Annotated[str, typer.Argument(help="Id of the draft, or its first characters.")],
    instruction: Annotated[str, typer.Option(help="What the new draft should heed.")] = "",
    engine: Annotated[
        str | None, typer.Option(help="extractive or openai. Default: the configured one.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the draft and show it.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait at most.")] = 300,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Ask for another draft of the same e-mail; the one there is stays.

    With `--wait`, prints the draft or why there is none. Exits 1 when it was dead-lettered or did
    not come in time.

    Example: `sourcier drafts regenerate 3f2a9c1e --instruction "Plus court." --wait`
    """
    where = locate(data)
    whole = _full(draft, where)
    wish = {"instruction": instruction} | ({"engine": engine} if engine else {})
    if not wait:
        asked = ask(where, whole, wish)
        told = f"draft {asked['request_id']} of e-mail {asked['mail_id']} was asked for"
        typer.echo(written(asked) if as_json else f"{told}; see `sourcier drafts`")
        return
    outcome = asyncio.run(ask_and_wait(where, whole, wish, timeout))
    if as_json:
        typer.echo(written(outcome))
    else:
        Console().print(panel(outcome))
    if outcome["outcome"] == "dead":
        raise typer.Exit(1)


def _full(draft: str, where: Where) -> str:
    """The whole id; a beginning will do when it is the beginning of one of the last 500."""
    with suppress(ValueError):
        return str(UUID(draft))
    known = [d["draft_id"] for d in feedback(where, "GET", "/v1/drafts", limit=500)]
    found = [each for each in known if each.startswith(draft.lower())]
    if len(found) == 1:
        return str(found[0])
    raise Problem(f"{len(found)} drafts begin with {draft!r}; see `sourcier drafts`", 2)


def _outcome(stored: dict[str, Any]) -> dict[str, Any]:
    """The stored draft as ``send --wait`` would have told it."""
    event: Event
    if stored["ready"]:
        event = DraftReady.model_construct(data=DraftReadyData.model_validate(stored["ready"]))
    else:
        declined = DraftDeclinedData.model_validate(stored["declined"])
        event = DraftDeclined.model_construct(data=declined)
    return outcome_of(event)
