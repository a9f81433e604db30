"""Composition root of the bridge: its accounts, PostgreSQL, the use cases, its servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.mail.adapters.drafts import DraftsMailer
from services.mail.adapters.imap import ImapFolder
from services.mail.adapters.postgres import PostgresPlaces, PostgresSends
from services.mail.adapters.smtp_in import bind
from services.mail.adapters.smtp_out import SmtpMailer
from services.mail.adapters.watching import Mailboxes, Server, Watched
from services.mail.collecting import Collector
from services.mail.handlers import register
from services.mail.headers import Unsendable
from services.mail.headers import sender as parsed
from services.mail.service import Intake, Replies
from shared.bridge import Bridge, Outgoing
from shared.bus import Bus
from shared.clock import utcnow
from shared.objects import S3Objects
from shared.postgres import open_pool
from shared.runtime import Parts, run
from shared.settings import Mailbox, Misconfigured, Settings


@asynccontextmanager
async def build(settings: Settings, bus: Bus) -> AsyncIterator[Parts]:
    """Everything that the bridge needs, until it stops."""
    config = settings.bridge
    check(config, settings.mailboxes)
    boxes = Mailboxes()
    mailers = watched(config, boxes)
    objects = S3Objects(settings.objects)
    pool = await open_pool(settings.postgres, "mail")
    locks = await open_pool(settings.postgres, "mail")
    sends, places = PostgresSends(pool, locks), PostgresPlaces(pool)
    replies = Replies(mailers, sends, utcnow)
    if config.outgoing:
        register(bus, replies)
    limit, known = settings.ingest.mail_max_bytes, addresses(settings.mailboxes)
    intake = Intake(objects, bus.say, utcnow, limit)
    servers = await bind(config.listen, intake, known) if config.listen else []
    collectors = [
        Collector(box, ImapFolder(account), places, intake.take, limit, boxes.incoming(box))
        for box, account in config.incoming.items()
    ]

    async def database() -> None:
        await sends.ready()
        await replies.begin()

    work = [_read(bus, servers, collectors), *(each.watch() for each in mailers.values())]
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield Parts(needs={"database": database, "objects": objects.ready}, troubles=boxes.troubles)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in servers:
            server.close()
        await pool.close()
        await locks.close()


def check(config: Bridge, mailboxes: dict[str, Mailbox]) -> None:
    """Raises Misconfigured, with what to write where."""
    unknown = sorted({*config.incoming, *config.outgoing} - set(mailboxes))
    if unknown:
        raise Misconfigured(
            f"[bridge] names {', '.join(unknown)}, which [mailboxes] does not: there is"
            f" {', '.join(sorted(mailboxes))}"
        )
    for box, outgoing in config.outgoing.items():
        try:
            parsed(outgoing.sender)
        except Unsendable as error:
            raise Misconfigured(f"[bridge.outgoing.{box}] sender: {error}") from error
    if config.listen and not addresses(mailboxes):
        raise Misconfigured("[bridge.listen] needs addresses in [mailboxes.*]: it knows none")


def addresses(mailboxes: dict[str, Mailbox]) -> dict[str, str]:
    """The mailbox of each configured address, in lower case. Raises Misconfigured."""
    found: dict[str, str] = {}
    for box, mailbox in mailboxes.items():
        for address in map(str.lower, mailbox.addresses):
            if found.setdefault(address, box) != box:
                raise Misconfigured(f"{address} is an address of {found[address]} and of {box}")
    return found


def watched(config: Bridge, boxes: Mailboxes) -> dict[str, Watched]:
    """Where replies go, by mailbox. Raises Misconfigured when a key cannot sign."""
    return {box: Watched(mailer(out), boxes.outgoing(box)) for box, out in config.outgoing.items()}


def mailer(config: Outgoing) -> Server:
    """Where replies of one mailbox go. Raises Misconfigured when its key cannot sign."""
    return SmtpMailer(config) if config.mode == "send" else DraftsMailer(config)


async def _read(bus: Bus, servers: list[asyncio.Server], collectors: list[Collector]) -> None:
    """Begin once the broker is there: before, nothing could be confirmed."""
    while not await bus.broker.ping(timeout=1):  # noqa: ASYNC110 - its client has no event for it
        await asyncio.sleep(0.1)
    for server in servers:
        await server.start_serving()
    await asyncio.gather(*(each.run() for each in collectors))


if __name__ == "__main__":
    run("mail", build)
