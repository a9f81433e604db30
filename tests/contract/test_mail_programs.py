"""The lines of docs/mail.md for Postfix and Dovecot Sieve, in the real programs."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator

import pytest

from deploy.local.nats import NatsServer
from tests.contract.mail_programs import Delivery, Postfix, Sourcier
from tests.contract.test_bridge_in import Place, place
from tests.contract.test_bridge_pipe import held, server

__all__ = ["place", "server"]
RAW = b"From: a@b.example\r\nMessage-ID: <%d@b.example>\r\n\r\nBonjour\r\n.\r\n"


@pytest.fixture
def sourcier(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sourcier]:
    boxes = {"default": {}, "guichet": {}}
    monkeypatch.setenv("SOURCIER_MAILBOXES", json.dumps(boxes))
    made = Sourcier()
    yield made
    made.close()


def handed_in(server: NatsServer) -> list[tuple[str, bytes]]:
    """Mailbox and content of what is on the bus."""
    found = (event["data"] for event in asyncio.run(held(server.url)))
    return [(data["mailbox"], base64.b64decode(data["content"])) for data in found]


async def test_postfix_pipes_keeps_returns_and_delivers_by_lmtp(
    server: NatsServer, sourcier: Sourcier, place: Place
) -> None:
    place.addresses["direct@ville.example"] = "default"
    postfix = await asyncio.to_thread(Postfix, sourcier, place.listen.lmtp or 0)
    try:
        guichet, absent = "guichet@ville.example", "absent@ville.example"
        await asyncio.to_thread(postfix.send, RAW % 1, guichet, absent)
        await asyncio.to_thread(postfix.logged, rf"to=<{absent}>.*status=bounced")
        await asyncio.to_thread(postfix.logged, rf"to=<{guichet}>.*status=sent")
        server.stop()
        await asyncio.to_thread(postfix.send, RAW % 2, guichet)
        await asyncio.to_thread(postfix.logged, rf"to=<{guichet}>.*status=deferred")
        server.start()
        await asyncio.to_thread(postfix.send, RAW % 3, "direct@ville.example")
        await asyncio.to_thread(postfix.logged, "to=<direct@.*status=sent")
        await asyncio.to_thread(postfix.logged, rf"(?s)=deferred.*to=<{guichet}>[^\n]*=sent")
    finally:
        await asyncio.to_thread(postfix.close)
    piped = await asyncio.to_thread(handed_in, server)
    assert [box for box, _ in piped] == ["guichet", "guichet"]
    for number, (_, raw) in enumerate(piped, 1):
        assert raw.startswith(b"Return-Path: <maire@commune.example>\n")
        assert (b"<%d@b.example>" % number) in raw
        assert raw.endswith(b"\n\nBonjour\n.\n")
    (event,) = place.said
    assert event.data.envelope
    assert event.data.envelope.mail_from == "maire@commune.example"


def test_sieve_pipes_a_copy_and_keeps_the_mail(server: NatsServer, sourcier: Sourcier) -> None:
    dovecot = Delivery(sourcier)
    try:
        assert dovecot.deliver(RAW % 1) == 0
        assert handed_in(server) == [("default", RAW % 1)]
        server.stop()
        assert dovecot.deliver(RAW % 2) == 0
        assert "non-zero exit code 75" in dovecot.log()
        assert dovecot.stored() == 2
    finally:
        dovecot.close()
