"""Replies against a real SMTP server and a real Dovecot: what each answer comes to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from services.mail.adapters.drafts import DraftsMailer
from services.mail.adapters.smtp_out import SmtpMailer
from services.mail.composing import Letter
from services.mail.service import Ambiguous, PutOff, Refused
from shared.bridge import Outgoing
from shared.delivery import Unavailable
from tests.contract.bridge_servers import (
    PASSWORD,
    Dovecot,
    MailServer,
    authenticate,
    certificate,
)

SENDER = "Guichet <guichet@ville.example>"
LETTER = Letter(
    "<1.sourcier@ville.example>",
    "guichet@ville.example",
    ("maire@commune.example",),
    b"Message-ID: <1.sourcier@ville.example>\r\nSubject: x\r\n\r\n.Bonjour\r\n..\r\n",
)


class Steps:
    """Counts the intentions; may fail."""

    def __init__(self) -> None:
        self.taken = 0
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.taken += 1
        if self.error:
            raise self.error


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    running = MailServer()
    await running.start()
    yield running
    await running.stop()


def mailer(server: MailServer, **changes: object) -> SmtpMailer:
    usual: dict[str, object] = {"host": "127.0.0.1", "port": server.port, "security": "none"}
    usual |= {"sender": SENDER, "timeout": 10}
    return SmtpMailer(Outgoing(**(usual | changes)))  # type: ignore[arg-type]  # a test's own mix


async def test_taken_byte_for_byte(server: MailServer) -> None:
    steps = Steps()
    assert await mailer(server).send(LETTER, steps) == "sent"
    assert server.taken == [(LETTER.message_id, LETTER.content)]
    assert steps.taken == 1


@pytest.mark.parametrize(("answer", "error"), [("550 no", Refused), ("450 later", PutOff)])
async def test_the_recipient_is_refused_or_put_off(
    server: MailServer, answer: str, error: type[Exception]
) -> None:
    steps, server.rcpt_answer = Steps(), answer
    with pytest.raises(error, match=answer[4:]):
        await mailer(server).send(LETTER, steps)
    assert steps.taken == 0


@pytest.mark.parametrize(
    ("answer", "error"), [("554 spam", Refused), ("451 later", PutOff), ("299 what?", None)]
)
async def test_the_content_is_refused_or_put_off(
    server: MailServer, answer: str, error: type[Exception] | None
) -> None:
    async def hook(phase: str) -> str | None:
        return answer if phase == "DATA" else None

    server.hook, steps = hook, Steps()
    with pytest.raises(error or Ambiguous):
        await mailer(server).send(LETTER, steps)
    assert steps.taken == 1
    assert server.taken == []


async def test_no_answer_to_the_content_is_ambiguous(server: MailServer) -> None:
    async def hook(phase: str) -> str | None:
        if phase == "DATA":
            await asyncio.sleep(5)
        return None

    server.hook = hook
    with pytest.raises(Ambiguous):
        await mailer(server, timeout=0.3).send(LETTER, Steps())


async def test_without_the_intention_nothing_leaves(server: MailServer) -> None:
    steps = Steps()
    steps.error = Unavailable("database away")
    with pytest.raises(Unavailable, match="database away"):
        await mailer(server).send(LETTER, steps)
    await asyncio.sleep(0.1)
    assert server.taken == []


async def test_nobody_listens(server: MailServer) -> None:
    await server.stop()
    with pytest.raises(Unavailable, match=str(server.port)):
        await mailer(server).send(LETTER, Steps())


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    return certificate(tmp_path)


def context(ca_file: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(ca_file, ca_file.with_name("key.pem"))
    return made


async def test_tls_with_password_and_with_starttls(ca_file: Path) -> None:
    options = {"authenticator": authenticate, "auth_required": True}
    login = {"user": "guichet", "password": SecretStr(PASSWORD), "ca_file": ca_file}
    implicit = MailServer(auth_require_tls=False, **options)
    await implicit.start(context(ca_file))
    assert await mailer(implicit, security="tls", **login).send(LETTER, Steps()) == "sent"
    await implicit.stop()

    later = MailServer(tls_context=context(ca_file), require_starttls=True, **options)
    await later.start()
    assert await mailer(later, security="starttls", **login).send(LETTER, Steps()) == "sent"
    with pytest.raises(Unavailable):  # it does not fall back to clear text
        await mailer(later, security="none").send(LETTER, Steps())
    wrong = login | {"password": SecretStr("no")}
    with pytest.raises(Unavailable, match="refuses our login"):
        await mailer(later, security="starttls", **wrong).send(LETTER, Steps())
    await later.stop()


async def test_an_unknown_certificate_is_refused(ca_file: Path) -> None:
    server = MailServer()
    await server.start(context(ca_file))
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        await mailer(server, security="tls").send(LETTER, Steps())
    await server.stop()


async def test_oauth(ca_file: Path, tmp_path: Path) -> None:
    server = MailServer(
        authenticator=authenticate, auth_required=True, auth_require_tls=False
    )  # fmt: skip
    await server.start(context(ca_file))
    token = tmp_path / "token"
    token.write_text("token-1\n")
    out = mailer(server, security="tls", ca_file=ca_file, user="guichet", token_file=token)
    assert await out.send(LETTER, Steps()) == "sent"
    token.write_text("")
    with pytest.raises(Unavailable, match="is empty"):
        await out.send(LETTER, Steps())
    await server.stop()


def test_clear_text_beyond_loopback_is_refused_in_words() -> None:
    with pytest.raises(ValidationError, match=r"in clear to smtp\.example"):
        Outgoing(host="smtp.example", security="none", sender=SENDER)


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    running = Dovecot()
    running.start()
    yield running
    running.close()


async def test_append_leaves_one_draft_however_often(dovecot: Dovecot) -> None:
    config = Outgoing(
        host="127.0.0.1",
        port=dovecot.tls_port,
        ca_file=dovecot.ca_file,
        user="agent@ville.example",
        password=SecretStr(PASSWORD),
        mode="append",
        sender=SENDER,
    )
    steps = Steps()
    for _ in range(2):
        assert await DraftsMailer(config).send(LETTER, steps) == "drafted"
    assert dovecot.flags("agent@ville.example", "Drafts") == [("\\Draft",)]
    assert steps.taken == 0
    absent = config.model_copy(update={"folder": "Absent"})
    with pytest.raises(Unavailable, match="Absent"):
        await DraftsMailer(absent).send(LETTER, steps)
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        await DraftsMailer(config.model_copy(update={"ca_file": None})).send(LETTER, steps)
