"""Kills of the bridge and of its servers: no reply leaves twice, no e-mail is lost or doubled.

The suite runs the short versions; `make chaos` the long ones.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from services.mail.composing import message_id
from shared.clock import utcnow
from shared.events import MailReceived, ReplyApproved, ReplyDoubtful, ReplySent
from shared.settings import Objects
from tests import samples
from tests.contract.bridge_process import World, world
from tests.contract.bridge_servers import PASSWORD, Dovecot, MailServer

pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(1800)]
LONG = pytest.mark.chaos
LOCAL = {"host": "127.0.0.1", "security": "none"}


class Killer:
    """Kills the bridge while the mail server has an e-mail in hand, and starts it again."""

    def __init__(self, outside: World, kills: int, seed: int) -> None:
        self._outside = outside
        self._kills = kills
        self._chance = random.Random(seed)  # noqa: S311 - spreads kills
        self._busy = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def done(self) -> bool:
        return self._outside.bridge.kills >= self._kills and not self._busy

    async def hook(self, phase: str) -> None:
        """At a random moment near RCPT, within DATA, or just after the content was taken."""
        alive = self._outside.bridge.kills < self._kills and not self._busy
        if alive and self._chance.random() < 0.5:
            self._busy = True
            task = asyncio.create_task(self._kill(self._chance.uniform(0, 0.02)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.sleep(self._chance.uniform(0, 0.01))

    async def _kill(self, after: float) -> None:
        await asyncio.sleep(after)
        await asyncio.to_thread(self._outside.bridge.kill)
        await asyncio.to_thread(self._outside.bridge.start)
        self._busy = False


@pytest.mark.parametrize("kills", [20, pytest.param(300, marks=LONG)])
async def test_no_reply_leaves_twice_and_each_ambiguous_one_is_flagged(
    kills: int, tmp_path: Path, postgres_dsn: str, s3: Objects
) -> None:
    smtp = MailServer()
    await smtp.start()
    sender = {"sender": "Guichet <guichet@ville.example>", "port": smtp.port}
    bridge = {"outgoing": {"default": LOCAL | sender}}
    async with world(tmp_path, postgres_dsn, s3, bridge) as outside:
        await asyncio.to_thread(outside.bridge.start)
        await _sending(outside)
        killer = Killer(outside, kills, seed=kills)
        smtp.hook = killer.hook
        said: list[UUID] = []
        while not killer.done:
            while await _undecided(outside) < 8:
                said.append(await _approve(outside))
            await asyncio.sleep(0.1)
        approved = await outside.count("DRAFT", "reply.approved.>")
        await outside.until("DRAFT", "reply.*.v1.default", 2 * approved, 120)
        outcomes = await outside.heard("DRAFT", "reply.*.v1.default")
        assert await outside.heard("DEAD", "dead.>") == []
    await smtp.stop()

    sent = Counter(e.data.reply_id for e in outcomes if isinstance(e, ReplySent))
    doubtful = Counter(e.data.reply_id for e in outcomes if isinstance(e, ReplyDoubtful))
    taken = Counter(identity for identity, _ in smtp.taken)
    there = [reply for reply in doubtful if taken[message_id(reply, "ville.example")]]
    figures = f"{kills} kills, {len(said)} replies: {len(sent)} sent, {len(doubtful)} doubtful"
    sys.stderr.write(f"{figures}, of which {len(there)} had arrived\n")
    assert max(taken.values()) == 1
    for reply in said:
        assert (sent[reply] > 0) + (doubtful[reply] > 0) == 1, reply
        if sent[reply]:
            assert taken[message_id(reply, "ville.example")] == 1
    assert doubtful, "no kill hit the moment that this is about"


async def _sending(outside: World) -> None:
    """Wait until the bridge has sent one: approved before its start, it would be left alone."""
    while not await outside.heard("DRAFT", "reply.sent.>"):
        for _ in range(100):
            text = outside.bridge.log.read_text() if outside.bridge.log.exists() else ""
            if "running" in text:
                break
            await asyncio.sleep(0.1)
        await _approve(outside)
        await outside.until("DRAFT", "reply.sent.>", 1, 20)


async def _undecided(outside: World) -> int:
    """Replies of which nothing was said yet: each has one event more in the end."""
    approved = await outside.count("DRAFT", "reply.approved.>")
    return 2 * approved - await outside.count("DRAFT", "reply.*.v1.default")


async def _approve(outside: World) -> UUID:
    (event,) = (e for e in samples.events() if isinstance(e, ReplyApproved))
    reply = uuid4()
    data = event.data.model_copy(update={"reply_id": reply})
    await outside.say(event.model_copy(update={"id": uuid4(), "time": utcnow(), "data": data}))
    return reply


@pytest.mark.parametrize(
    ("mails", "kills", "outages"), [(40, 3, 1), pytest.param(500, 20, 5, marks=LONG)]
)
async def test_every_e_mail_is_on_the_bus_exactly_once(
    mails: int, kills: int, outages: int, tmp_path: Path, postgres_dsn: str, s3: Objects
) -> None:
    chance = random.Random(mails)  # noqa: S311 - spreads kills
    dovecot = await asyncio.to_thread(Dovecot)
    await asyncio.to_thread(dovecot.start)
    account = {"port": dovecot.port, "user": "guichet", "password": PASSWORD, "backlog": True}
    raws = [
        f"From: a@b.example\r\nMessage-ID: <{n}@b.example>\r\n\r\nBonjour {n}\r\n".encode()
        for n in range(mails)
    ]
    events = ["kill"] * kills + ["outage"] * outages
    chance.shuffle(events)
    step = mails // (len(events) + 1)
    try:
        async with world(
            tmp_path, postgres_dsn, s3, {"incoming": {"default": LOCAL | account}}
        ) as outside:
            await asyncio.to_thread(outside.bridge.start)
            for at, event in enumerate(events):
                arriving = raws[at * step : (at + 1) * step]
                await asyncio.to_thread(dovecot.deliver, "guichet", *arriving)
                await asyncio.sleep(chance.uniform(0, 1.5))
                if event == "kill":
                    await asyncio.to_thread(outside.bridge.kill)
                    await asyncio.to_thread(outside.bridge.start)
                else:
                    await asyncio.to_thread(dovecot.kill)
                    await asyncio.to_thread(dovecot.start)
            await asyncio.to_thread(dovecot.deliver, "guichet", *raws[len(events) * step :])
            await outside.until("MAIL", "mail.received.>", mails, 120)
            await asyncio.sleep(2)  # what would come twice comes now
            received = await outside.heard("MAIL", "mail.received.>")
            flags = await asyncio.to_thread(dovecot.flags, "guichet")
    finally:
        await asyncio.to_thread(dovecot.close)
    bodies = Counter(e.data.content for e in received if isinstance(e, MailReceived))
    assert bodies == Counter(raws)
    assert flags == [("$Sourcier",)] * mails
