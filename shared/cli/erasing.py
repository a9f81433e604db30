"""``sourcier erase``: e-mails to be forgotten."""

from __future__ import annotations

import asyncio
from email.utils import getaddresses
from hashlib import sha256
from typing import Annotated
from uuid import UUID, uuid4

import typer

from shared.cli.client import connected
from shared.cli.problem import Problem
from shared.cli.where import Data, Where, locate
from shared.clock import utcnow
from shared.document_events import MailErased, MailErasedData


def erase(
    mails: Annotated[
        list[UUID] | None, typer.Argument(help="Ids of the e-mails, as the desk's addresses have.")
    ] = None,
    sender: Annotated[
        str | None, typer.Option(help="An address: all e-mails that came from it until now.")
    ] = None,
    data: Data = None,
) -> None:
    """Have e-mails forgotten, as their sender may demand. It cannot be undone.

    The desk forgets the words of the e-mails, of their drafts and of their replies; counts and the
    audit stay, and later exports leave them out. Ingest deletes the raw messages. Not erased by it:
    datasets made before, what producers left under `inbox/`, and events in the broker's streams,
    which end by age. The audit page of the desk has an entry for each e-mail that was erased: none
    says that there was none, look at the address again.

    Example: `sourcier erase --sender jeanne@mairie.example`
    """
    if not mails and sender is None:
        raise Problem("say what to erase: ids of e-mails, or --sender ADDRESS", 2)
    hashed = None if sender is None else sha256(_address(sender).lower().encode()).hexdigest()
    asyncio.run(
        _say(locate(data), MailErasedData(mail_ids=tuple(mails or ()), sender_sha256=hashed))
    )
    typer.echo("mail.erased is said: the services forget them as soon as they hear it")
    typer.echo("to check: the desk's audit page gets an entry for each e-mail erased, none if none")


def _address(sender: str) -> str:
    """The bare address, also of ``Jeanne <jeanne@x>``: any other would silently name nobody."""
    found = getaddresses([sender.strip()])
    address = found[0][1] if len(found) == 1 else ""
    name, at, domain = address.rpartition("@")
    if not (name and at and domain) or any(c.isspace() for c in address):
        raise Problem(f"--sender {sender!r} is no address: give one such as jeanne@x.example", 2)
    return address


async def _say(where: Where, data: MailErasedData) -> None:
    event = MailErased.make(source="cli", subject="erasure", time=utcnow(), data=data, id=uuid4())
    async with connected(where.settings) as client:
        await client.say(event)
