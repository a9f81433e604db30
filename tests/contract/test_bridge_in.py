"""The server for the mail system beside us, spoken to as that would: smtplib, by SMTP and LMTP."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from deploy.local.process import free_ports
from services.mail.adapters.smtp_in import bind
from services.mail.service import Intake
from shared.bridge import Listen
from shared.delivery import Unavailable
from shared.envelope import INLINE_LIMIT, Event
from shared.events import MailReceived
from shared.identity import mail_id
from shared.objects import MemoryObjects
from shared.settings import Misconfigured

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADDRESSES = {"guichet@ville.example": "default", "etat-civil@ville.example": "civil"}
RAW = b"From: a@b.example\r\nMessage-ID: <1@b.example>\r\n\r\n.Bonjour\r\n" + b"x" * 5000 + b"\r\n"
FROM = "a@b.example"


class Place:
    """The running servers, with what reached the bus."""

    def __init__(self) -> None:
        self.said: list[MailReceived] = []
        self.away: set[str] = set()
        self.addresses = dict(ADDRESSES)
        self.objects = MemoryObjects()
        self.listen = Listen(smtp=free_ports(1)[0], lmtp=free_ports(1)[0])

    async def say(self, event: Event) -> None:
        assert isinstance(event, MailReceived)
        if event.data.mailbox in self.away:
            raise Unavailable("bus away")
        self.said.append(event)

    async def smtp(self, raw: bytes, *to: str, sender: str = FROM) -> str:
        """What the server answers, in the end."""
        return await asyncio.to_thread(self._smtp, raw, to, sender)

    def _smtp(self, raw: bytes, to: tuple[str, ...], sender: str) -> str:
        with smtplib.SMTP("127.0.0.1", self.listen.smtp or 0, timeout=10) as client:
            try:
                client.sendmail(sender, to, raw)
            except smtplib.SMTPRecipientsRefused as error:
                return str(next(iter(error.recipients.values())))
            except smtplib.SMTPResponseException as error:
                return f"{error.smtp_code} {error.smtp_error!r}"
        return "taken"

    async def lmtp(self, raw: bytes, *to: str) -> list[int]:
        """The answer for each recipient."""
        return await asyncio.to_thread(self._lmtp, raw, to)

    def _lmtp(self, raw: bytes, to: tuple[str, ...]) -> list[int]:
        with smtplib.LMTP("127.0.0.1", self.listen.lmtp or 0, timeout=10) as client:
            client.ehlo()
            client.mail(FROM)
            for address in to:
                client.rcpt(address)
            first, _ = client.data(raw)
            return [first, *(client.getreply()[0] for _ in to[1:])]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    made = Place()
    intake = Intake(made.objects, made.say, lambda: NOW, 1_000_000)
    servers = await bind(made.listen, intake, made.addresses)
    for server in servers:
        await server.start_serving()
    yield made
    for server in servers:
        server.close()


async def test_taken_byte_for_byte_with_its_envelope(place: Place) -> None:
    assert await place.smtp(RAW, "Guichet@ville.example") == "taken"
    (event,) = place.said
    assert event.data.content == RAW
    assert event.data.envelope is not None
    assert event.data.envelope.mail_from == FROM
    assert event.data.envelope.rcpt_to == ("Guichet@ville.example",)
    assert event.subject == str(mail_id("default", RAW))


async def test_a_bounce_is_seen_as_one(place: Place) -> None:
    assert await place.smtp(RAW, "guichet@ville.example", sender="") == "taken"
    (event,) = place.said
    assert event.data.envelope is not None
    assert event.data.envelope.mail_from == ""


async def test_the_same_e_mail_is_the_same_event(place: Place) -> None:
    for _ in range(2):
        await place.smtp(RAW, "guichet@ville.example")
    first, again = place.said
    assert first.id == again.id


async def test_two_mailboxes_get_an_event_each(place: Place) -> None:
    assert await place.smtp(RAW, *ADDRESSES) == "taken"
    assert [event.data.mailbox for event in place.said] == ["default", "civil"]


async def test_an_unknown_address_is_550(place: Place) -> None:
    assert "550" in await place.smtp(RAW, "nobody@ville.example")
    assert place.said == []


async def test_an_absent_bus_is_451_even_for_one_of_two(place: Place) -> None:
    place.away = {"civil"}
    assert (await place.smtp(RAW, *ADDRESSES)).startswith("451")
    place.away = set()
    assert await place.smtp(RAW, *ADDRESSES) == "taken"


async def test_too_large_is_552(place: Place) -> None:
    assert (await place.smtp(RAW * 300, "guichet@ville.example")).startswith("552")
    assert place.said == []


async def test_a_long_line_is_taken(place: Place) -> None:
    raw = b"Subject: x\r\n\r\n" + b"y" * 100_000 + b"\r\n"
    assert await place.smtp(raw, "guichet@ville.example") == "taken"
    assert place.said[0].data.content == raw


async def test_a_large_body_goes_to_the_store(place: Place) -> None:
    raw = b"Subject: x\r\n\r\n" + b"line\r\n" * (INLINE_LIMIT // 6 + 1)
    assert await place.smtp(raw, "guichet@ville.example") == "taken"
    (event,) = place.said
    assert event.data.key is not None
    assert event.data.key.startswith("inbox/mail/")
    assert place.objects.data[event.data.key] == raw


async def test_lmtp_answers_for_each_recipient(place: Place) -> None:
    place.away = {"civil"}
    assert await place.lmtp(RAW, *ADDRESSES) == [250, 451]
    assert [event.data.mailbox for event in place.said] == ["default"]


async def test_an_empty_e_mail_is_refused(place: Place) -> None:
    assert (await place.smtp(b"\r\n", "guichet@ville.example")).startswith("554")


async def test_a_taken_port_is_told_in_words(place: Place) -> None:
    intake = Intake(place.objects, place.say, lambda: NOW, 1000)
    with pytest.raises(Misconfigured, match=str(place.listen.smtp)):
        await bind(place.listen, intake, ADDRESSES)


def test_beyond_loopback_is_refused() -> None:
    with pytest.raises(ValueError, match="loopback"):
        Listen(host="0.0.0.0", smtp=2525)  # noqa: S104 - refused, that is the test
