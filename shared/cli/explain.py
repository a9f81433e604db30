"""``sourcier mails``: how e-mails are read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.where import Data, configured, data_folder, running_state

app = typer.Typer(help="How e-mails are read.", no_args_is_help=True)


@app.callback()
def mails() -> None:
    """How e-mails are read."""


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="An e-mail (.eml).")],
    mailbox: Annotated[str, typer.Option(help="The mailbox it would arrive in.")] = "default",
    data: Data = None,
) -> None:
    """Say how ingest reads an e-mail: headers, parts, what is left out of its text, questions,
    thread, category, and whether it gets a draft. Nothing is sent, stored or remembered.

    Thread and category are asked of the running stack; without one the rest is told.

    Example: `sourcier mails explain question.eml --mailbox default`
    """
    stack = running_state(data_folder(data))
    if stack:
        os.environ.update(stack["environment"])
        os.environ.setdefault("SOURCIER_INGEST_URL", str(stack["services"]["ingest"]["url"]))
    configured()  # a wrong setting is told in words
    tool = [sys.executable, "-m", "services.ingest.explain", str(file), "--mailbox", mailbox]
    raise typer.Exit(subprocess.run(tool, check=False).returncode)  # noqa: S603 - our own command
