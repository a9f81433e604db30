"""``sourcier erase``: e-mails to be forgotten."""

from __future__ import annotations

import asyncio
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
    which end by age.

    Example: `sourcier erase --sender jeanne@mairie.example`
    """
    if not mails and not sender:
        raise Problem("say what to erase: ids of e-mails, or --sender ADDRESS", 2)
    hashed = sha256(sender.strip().lower().encode()).hexdigest() if sender else None
    asyncio.run(
        _say(locate(data), MailErasedData(mail_ids=tuple(mails or ()), sender_sha256=hashed))
    )
    typer.echo("mail.erased is said: the services forget them as soon as they hear it")


async def _say(where: Where, data: MailErasedData) -> None:
    event = MailErased.make(source="cli", subject="erasure", time=utcnow(), data=data, id=uuid4())
    async with connected(where.settings) as client:
        await client.say(event)
