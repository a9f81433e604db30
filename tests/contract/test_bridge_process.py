"""The bridge as a process among real servers: both ways, and an orderly end."""

from __future__ import annotations

import asyncio
import smtplib
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

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


def approved(**changes: object) -> ReplyApproved:
    (event,) = (e for e in samples.events() if isinstance(e, ReplyApproved))
    data = event.data.model_copy(update={"reply_id": uuid4()})
    return event.model_copy(update={"id": uuid4(), "time": utcnow(), "data": data} | changes)


async def test_both_ways(tmp_path: Path, postgres_dsn: str, s3: Objects) -> None:
    smtp, dovecot, port = MailServer(), await asyncio.to_thread(Dovecot), free_ports(1)[0]
    await smtp.start()
    await asyncio.to_thread(dovecot.start)
    local = {"host": "127.0.0.1", "security": "none"}
    imap = local | {"port": dovecot.port, "user": "guichet", "password": PASSWORD}
    bridge = {
        "incoming": {"default": imap | {"backlog": True}},
        "outgoing": {"default": local | {"port": smtp.port, "sender": f"Guichet <{ADDRESS}>"}},
        "listen": {"smtp": port},
    }
    try:
        await asyncio.to_thread(dovecot.deliver, "guichet", RAW % 1)
        async with world(tmp_path, postgres_dsn, s3, bridge, (ADDRESS,)) as outside:
            early = approved(time=utcnow() - timedelta(hours=1))
            await outside.say(early)
            await asyncio.to_thread(outside.bridge.start)
            await outside.until("MAIL", "mail.received.>", 1, 30)
            reply = approved()
            await outside.say(reply)
            await asyncio.to_thread(_send, port)
            received = await outside.until("MAIL", "mail.received.>", 2, 20)
            (sent,) = await outside.until("DRAFT", "reply.sent.>", 1, 20)
            (doubtful,) = await outside.until("DRAFT", "reply.doubtful.>", 1, 20)
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
