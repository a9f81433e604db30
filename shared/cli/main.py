"""``sourcier``: the operator's command. Publishes events, reads over the bus and HTTP."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.text import Text

from shared.cli import (
    accounts,
    config,
    dead,
    doctor,
    documents,
    drafts,
    erasing,
    explain,
    exporting,
    mails,
    models,
    operate,
    serve,
    status,
)
from shared.cli.plain import lines
from shared.cli.problem import Problem

app = typer.Typer(
    name="sourcier",
    help="Drafts sourced replies to incoming e-mail, on infrastructure its owner controls.\n\n"
    "Begin with `sourcier up`, then `sourcier add FOLDER` and `sourcier send MAIL.eml --wait`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command()(operate.up)
app.command()(operate.down)
app.command()(serve.serve)
app.command()(status.status)
app.command()(doctor.doctor)
app.command()(documents.add)
app.command()(documents.remove)
app.command()(documents.search)
app.command()(mails.send)
app.command()(exporting.export)
app.command()(erasing.erase)
app.add_typer(explain.app, name="mails")
app.add_typer(drafts.app, name="drafts")
app.add_typer(accounts.app, name="accounts")
app.add_typer(dead.app, name="dead-letters")
app.add_typer(operate.topology, name="topology")
app.add_typer(operate.index, name="index")
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")


def main() -> None:
    """Entry point of the ``sourcier`` program: failures in words, with an exit status."""
    try:
        app()
    except Problem as problem:
        told = Text.assemble(("sourcier: ", "red"), lines(problem))
        Console(stderr=True).print(told, soft_wrap=True)
        sys.exit(problem.status)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
