"""``sourcier accounts``: who may use the desk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from shared.cli.plain import as_json as written
from shared.cli.plain import line
from shared.cli.problem import Problem
from shared.cli.render import table
from shared.cli.web import feedback
from shared.cli.where import (
    FIRST_ACCOUNT,
    Data,
    Where,
    accounts_file,
    configured,
    data_folder,
    locate,
    running_state,
)

app = typer.Typer(
    help="Who may use the desk: their roles, mailboxes, passwords, links and API tokens.",
    no_args_is_help=True,
)
ROLES = ("agent", "curator", "data", "admin")
Name = Annotated[str, typer.Argument(help="Name of the account.")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="agent (drafts), curator (documents), data (datasets) or admin."),
]
Mailboxes = Annotated[
    list[str] | None, typer.Option("--mailbox", help="A mailbox that it works on; repeatable.")
]
EveryMailbox = Annotated[
    bool, typer.Option("--every-mailbox", help="It works on all mailboxes. An admin does anyway.")
]
Display = Annotated[str | None, typer.Option(help="Name that people read.")]
NoPassword = Annotated[
    bool, typer.Option("--no-password", help="It enters by `sourcier accounts link` only.")
]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


@app.command("list")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data: Data = None,
) -> None:
    """List the accounts, without their secrets.

    Example: `sourcier accounts list`
    """
    found = json.loads(_tool(data, "list"))
    if as_json:
        typer.echo(written(found))
        return
    rows = [
        [
            each["name"],
            each["display"],
            ", ".join(each["roles"]),
            "all" if each["mailboxes"] is None else ", ".join(each["mailboxes"]),
            "yes" if each["password"] else "link only",
            ", ".join(each["tokens"]),
        ]
        for each in found
    ]
    columns = ["name", "display", "roles", "mailboxes", "password", "tokens"]
    Console().print(table(f"{len(rows)} accounts", columns, rows))


@app.command()
def add(
    name: Name,
    role: Roles = None,
    mailbox: Mailboxes = None,
    every_mailbox: EveryMailbox = False,
    display: Display = None,
    no_password: NoPassword = False,
    password_stdin: FromInput = False,
    data: Data = None,
) -> None:
    """Make an account. It is taken at once, also by a running stack.

    Without `--no-password` or `--password-stdin` the password is asked for.

    Example: `sourcier accounts add jeanne --role agent --mailbox default`
    """
    words = _words(role, mailbox, every_mailbox, display)
    given = None if no_password else _password(password_stdin)
    words += ["--no-password"] if no_password else []
    typer.echo(_tool(data, "add", name, *words, given=given))


@app.command()
def change(
    name: Name,
    role: Roles = None,
    mailbox: Mailboxes = None,
    every_mailbox: EveryMailbox = False,
    display: Display = None,
    data: Data = None,
) -> None:
    """Give an account other roles, mailboxes or another display name; what is not named stays.

    Example: `sourcier accounts change jeanne --role agent --role curator`
    """
    typer.echo(_tool(data, "change", name, *_words(role, mailbox, every_mailbox, display)))


@app.command()
def password(
    name: Name,
    no_password: NoPassword = False,
    password_stdin: FromInput = False,
    data: Data = None,
) -> None:
    """Give an account another password; its sessions end.

    Example: `sourcier accounts password jeanne`
    """
    given = None if no_password else _password(password_stdin)
    words = ["--no-password"] if no_password else []
    typer.echo(_tool(data, "password", name, *words, given=given))


@app.command()
def token(
    name: Name,
    called: Annotated[str, typer.Option("--name", help="What the token is for.")] = "api",
    revoke: Annotated[bool, typer.Option("--revoke", help="End the token instead.")] = False,
    data: Data = None,
) -> None:
    """Make an API token, with which a program acts as the account. It is shown this once.

    Programs send it as `Authorization: Bearer …`.

    Example: `sourcier accounts token crm --name crm > crm.token`
    """
    words = ["--token", called, *(["--revoke"] if revoke else [])]
    typer.echo(_tool(data, "token", name, *words))


@app.command()
def link(name: Name, data: Data = None) -> None:
    """Make a link by which its holder enters as the account, once, within 15 minutes.

    Its address is under `desk.public_url` when that is set.

    Example: `sourcier accounts link jeanne`
    """
    where = locate(data)
    made = entry(where, name)
    place = urlsplit(made)
    path = f"{place.path}?{place.query}"
    if public := where.settings.desk.public_url:
        typer.echo(f"{public.rstrip('/')}{path}")
    elif _only_inside(place.hostname or ""):
        typer.echo(path)
        told = "open this path at the address where the desk is published; desk.public_url names it"
        typer.echo(told, err=True)
    else:
        typer.echo(made)


def _only_inside(host: str) -> bool:
    """Whether ``host`` is a name that containers have for each other."""
    return host != "localhost" and "." not in host and ":" not in host


@app.command()
def remove(name: Name, data: Data = None) -> None:
    """Remove an account: its sessions and tokens end at once.

    Example: `sourcier accounts remove jeanne`
    """
    typer.echo(_tool(data, "remove", name))


def entry(where: Where, name: str = FIRST_ACCOUNT) -> str:
    """The address of a one-time link for an account. Raises ``Problem``."""
    made = feedback(where, "POST", "/v1/login-links", body={"account": name})
    return f"{where.url('feedback')}{made['path']}"


def way_in(where: Where) -> str:
    """Where a person enters the desk now, for the first account once without a password."""
    try:
        return f"{entry(where)} (opens once)"
    except Problem:  # there is no such account, or feedback does not answer
        return where.url("feedback")


def _words(
    role: list[str] | None, mailbox: list[str] | None, every_mailbox: bool, display: str | None
) -> list[str]:
    unknown = set(role or ()) - set(ROLES)
    if unknown:
        raise Problem(f"no role {', '.join(sorted(unknown))}: take one of {', '.join(ROLES)}", 2)
    for each in sorted(set(mailbox or ()) - set(configured().mailboxes)):
        known = ", ".join(sorted(configured().mailboxes))
        raise Problem(f"no mailbox {each!r} is configured (there are: {known})", 2)
    words = [word for each in role or () for word in ("--role", each)]
    words += [word for each in mailbox or () for word in ("--mailbox", each)]
    words += ["--every-mailbox"] if every_mailbox else []
    return words + (["--display", display] if display is not None else [])


def _password(from_input: bool) -> str:
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Problem("there is no terminal to ask at: use --password-stdin or --no-password", 2)
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _file(data: Path | None) -> Path:
    stack = running_state(data_folder(data))
    if stack:
        os.environ.update(stack["environment"])
    return accounts_file(data_folder(data))


def _tool(data: Path | None, *words: str, given: str | None = None) -> str:
    """What the tool prints. Raises ``Problem`` with what it says when it fails."""
    tool = [sys.executable, "-m", "services.feedback.accounts_tool", "--file", str(_file(data))]
    done = subprocess.run(  # noqa: S603 - our own command
        [*tool, *words],
        input=f"{given or ''}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Problem(line(done.stderr.strip()).plain)
    return done.stdout.strip()
