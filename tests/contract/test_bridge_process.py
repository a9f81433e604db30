"""The bridge as a process among real servers: both ways, and an orderly end."""

from __future__ import annotations

import asyncio
import re
import smtplib
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.process import free_ports
from services.mail.app import addresses, check
from shared.bridge import Bridge
from shared.clock import utcnow
from shared.events import MailReceived, ReplyApproved, ReplyDoubtful, ReplySent
from shared.settings import Mailbox, Misconfigured, Objects
from tests import samples
from tests.contract.bridge_process import world
from tests.contract.bridge_servers import PASSWORD, Dovecot, MailServer

ADDRESS = "guichet@ville.example"
RAW = b"From: a@b.example\r\nMessage-ID: <%d@b.example>\r\n\r\nBonjour\r\n"


def approved(mailbox: str = "default", **changes: object) -> ReplyApproved:
    (event,) = (e for e in samples.events() if isinstance(e, ReplyApproved))
    data = event.data.model_copy(update={"reply_id": uuid4(), "mailbox": mailbox})
    return event.model_copy(update={"id": uuid4(), "time": utcnow(), "data": data} | changes)


async def test_both_ways(tmp_path: Path, postgres_dsn: str, s3: Objects) -> None:
    smtp, dovecot = MailServer(), await asyncio.to_thread(Dovecot)
    port, nobody = free_ports(2)
    await smtp.start()
    await asyncio.to_thread(dovecot.start)
    local = {"host": "127.0.0.1", "security": "none"}
    imap = local | {"port": dovecot.port, "user": "guichet", "password": PASSWORD}
    out = local | {"port": smtp.port, "sender": f"Guichet <{ADDRESS}>"}
    away = {"port": nobody}
    bridge = {
        "incoming": {"away": imap | away, "default": imap | {"backlog": True}},
        "outgoing": {"away": out | away, "default": out},
        "listen": {"smtp": port},
    }
    try:
        await asyncio.to_thread(dovecot.deliver, "guichet", RAW % 1)
        async with world(tmp_path, postgres_dsn, s3, bridge, (ADDRESS,)) as outside:
            early = approved(time=utcnow() - timedelta(hours=1))
            await outside.say(early)
            await asyncio.to_thread(outside.bridge.start)
            await outside.until("MAIL", "mail.received.>", 1, 30)
            await outside.say(approved("away"))
            await asyncio.sleep(1)  # it is in hand, and finds nobody
            reply = approved()
            await outside.say(reply)
            await asyncio.to_thread(_send, port)
            received = await outside.until("MAIL", "mail.received.>", 2, 20)
            (sent,) = await outside.until("DRAFT", "reply.sent.>", 1, 90)
            (doubtful,) = await outside.until("DRAFT", "reply.doubtful.>", 1, 20)
            told = await asyncio.to_thread(told_of, outside.url)
            assert await asyncio.to_thread(outside.bridge.stop) == 0
    finally:
        await smtp.stop()
        await asyncio.to_thread(dovecot.close)
    bodies = {e.data.content for e in received if isinstance(e, MailReceived)}
    assert bodies == {RAW % 1, RAW % 2}
    assert isinstance(sent, ReplySent)
    assert [identity for identity, _ in smtp.taken] == [sent.data.message_id]
    assert sent.data.reply_id == reply.data.reply_id
    assert isinstance(doubtful, ReplyDoubtful)
    assert doubtful.data.reply_id == early.data.reply_id
    assert told == {
        "ready": True,
        "problems": {"bridge.incoming.away": str(nobody), "bridge.outgoing.away": str(nobody)},
        "incoming": {"away": 0.0, "default": 1.0},
        "outgoing": {"away": 0.0, "default": 1.0},
    }


def told_of(url: str) -> dict[str, Any]:
    """What operators see of the mail servers; of each reason the port that it names."""
    ready = httpx.get(f"{url}/readyz").json()
    reasons = {name: re.findall(r":(\d+)", why)[0] for name, why in ready["problems"].items()}
    found: dict[str, Any] = {"ready": ready["ready"], "problems": reasons}
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics").text):
        for sample in family.samples if family.name == "sourcier_mailbox_up" else ():
            found.setdefault(sample.labels["way"], {})[sample.labels["mailbox"]] = sample.value
    return found


def _send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.sendmail("a@b.example", [ADDRESS], RAW % 2)


@pytest.mark.parametrize(
    ("bridge", "words"),
    [
        ({"outgoing": {"absent": {"host": "x", "sender": ADDRESS}}}, "absent"),
        ({"outgoing": {"default": {"host": "x", "sender": "Guichet"}}}, "sender"),
        ({"listen": {"lmtp": 2525}}, "addresses"),
    ],
)
def test_a_wrong_configuration_is_refused_in_words(bridge: dict[str, object], words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        check(Bridge.model_validate(bridge), {"default": Mailbox()})


def test_an_address_has_one_mailbox() -> None:
    boxes = {name: Mailbox(addresses=(ADDRESS,)) for name in ("default", "other")}
    with pytest.raises(Misconfigured, match=f"{ADDRESS} is an address of default and of other"):
        addresses(boxes)
