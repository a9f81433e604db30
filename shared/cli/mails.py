"""``sourcier send``: hand e-mails in, and see what becomes of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from shared.cli.client import connected
from shared.cli.plain import as_json as written
from shared.cli.problem import Problem
from shared.cli.render import panel
from shared.cli.sending import Letter, Post
from shared.cli.where import Data, Where, locate
from shared.envelope import Slug

FAILED = {"dead", "none"}


def send(
    files: Annotated[list[Path] | None, typer.Argument(help="E-mails (.eml) to hand in.")] = None,
    mailbox: Annotated[str, typer.Option(help="The mailbox they arrive in.")] = "default",
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read one e-mail from standard input.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for each outcome and print it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per e-mail.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each outcome.")] = 120.0,
    data: Data = None,
) -> None:
    """Hand e-mails in as `mail.received` events.

    With `--wait`, prints each outcome as it arrives: the draft with its sources, or why there is
    none. Exits 1 when one was dead-lettered or got no outcome in time.

    With `--stdin` it is a pipe for mail systems, whose exit status they understand (sysexits.h):
    75 try again later, 67 no such mailbox, 65 an e-mail that cannot be taken.

    Example: `sourcier send question.eml --mailbox default --wait`
    """
    if stdin and not (files or wait):
        _pipe(mailbox, data, as_json)
        return
    letters = _letters(files or [], stdin)
    where = locate(data)
    _known(mailbox, where)
    work = _follow if wait else _post
    if not asyncio.run(work(where, mailbox, letters, timeout, as_json)):
        raise typer.Exit(1)


def _pipe(mailbox: str, data: Path | None, as_json: bool) -> None:
    """Take one e-mail from a mail system: what is not the e-mail's fault leaves it in its queue."""
    raw = sys.stdin.buffer.read()
    try:
        where = locate(data)
        _fits(raw, where)
        try:
            _known(mailbox, where)
        except Problem as problem:
            raise Problem(str(problem), os.EX_NOUSER) from problem
        asyncio.run(_post(where, mailbox, [Letter("-", raw)], 0, as_json, once=True))
    except Problem as problem:
        known = problem.status in (os.EX_NOUSER, os.EX_DATAERR)
        raise Problem(str(problem), problem.status if known else os.EX_TEMPFAIL) from problem
    except Exception as error:
        # Status 1 would make the mail system bounce an e-mail for a fault of ours.
        raise Problem(f"not handed in: {error!r}", os.EX_TEMPFAIL) from error


def _fits(raw: bytes, where: Where) -> None:
    most = where.settings.ingest.mail_max_bytes
    if not raw.strip():
        raise Problem("standard input is empty: no e-mail", os.EX_DATAERR)
    if len(raw) > most:
        told = f"the e-mail has {len(raw)} bytes, ingest.mail_max_bytes allows {most}"
        raise Problem(told, os.EX_DATAERR)


async def _post(
    where: Where,
    mailbox: str,
    letters: Sequence[Letter],
    timeout: float,
    as_json: bool,
    once: bool = False,
) -> bool:
    async with connected(where.settings) as client:
        post = Post(client, where.store(), mailbox, timeout, once)
        for letter in letters:
            posted = await post.hand_in(letter)
            told = {"mail_id": str(posted.mail), "file": letter.name}
            typer.echo(written(told) if as_json else posted.mail)
    return True


async def _follow(
    where: Where, mailbox: str, letters: Sequence[Letter], timeout: float, as_json: bool
) -> bool:
    console, fine = Console(), True
    async with connected(where.settings) as client:
        post = Post(client, where.store(), mailbox, timeout)
        async for outcome in post.follow(letters):
            fine = fine and outcome["outcome"] not in FAILED
            if as_json:
                typer.echo(written(outcome))
            else:
                console.print(panel(outcome))
    return fine


def _letters(files: Sequence[Path], stdin: bool) -> list[Letter]:
    if stdin == bool(files):
        raise Problem("name e-mail files, or give --stdin", 2)
    if stdin:
        return [Letter("-", sys.stdin.buffer.read())]
    return [Letter(str(path), read(path)) for path in files]


def read(path: Path) -> bytes:
    """The bytes of a file. Raises ``Problem``."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}", 2) from error


def _known(mailbox: str, where: Where) -> None:
    try:
        TypeAdapter(Slug).validate_python(mailbox)
    except ValidationError as error:
        raise Problem(f"{mailbox!r} is no mailbox name: use a-z, 0-9 and -", 2) from error
    known = where.settings.mailboxes
    if mailbox not in known:
        names = ", ".join(sorted(known))
        raise Problem(f"no mailbox {mailbox!r} in sourcier.toml; there is: {names}", 2)
