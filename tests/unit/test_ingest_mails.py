"""E-mails: accepted with their questions, or skipped with a reason; the same each time."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from uuid import uuid4

import pytest

from services.ingest.mail_service import MailIntake
from services.ingest.mime import MailLimits
from shared.delivery import Invalid
from shared.envelope import Event
from shared.events import MailAccepted, MailReceived, MailReceivedData, MailSkipped
from shared.objects import MemoryObjects, Missing
from shared.settings import Mailbox
from tests import samples
from tests.fakes.intake_memory import DirectReader, MemoryIntake, WordCounter

QUESTION = "Bonjour,\n\nLe programme finance-t-il l'étude préalable de notre école ?\n\nMerci"


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def intake(objects: MemoryObjects) -> MailIntake:
    return MailIntake(
        objects,
        DirectReader(WordCounter()),
        MemoryIntake(),
        lambda: samples.AT,
        mailboxes={"default": Mailbox(addresses=("aide@exemple.fr",), collections=("guides",))},
        limits=MailLimits(max_bytes=100_000, max_parts=50, max_depth=10),
        per_sender=3,
    )


def mail(body: str = QUESTION, message_id: str = "<1@exemple.org>", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = headers.pop("sender", "Mairie <mairie@exemple.org>")
    message["To"] = "aide@exemple.fr"
    message["Subject"] = "Étude préalable"
    message["Message-ID"] = message_id
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(body)
    return message


def received(raw: bytes | EmailMessage, mailbox: str = "default") -> MailReceived:
    data = raw.as_bytes() if isinstance(raw, EmailMessage) else raw
    return MailReceived.make(
        source="test",
        subject="x",
        time=samples.AT,
        data=MailReceivedData(mailbox=mailbox, content=base64.b64encode(data)),
        id=uuid4(),
    )


def reason(event: Event) -> str:
    assert isinstance(event, MailSkipped)
    assert event.data.detail
    return event.data.reason


async def test_accepted(intake: MailIntake, objects: MemoryObjects) -> None:
    event = received(mail())
    answer = await intake.take(event)
    assert isinstance(answer, MailAccepted)
    block = answer.data.mail
    assert "étude préalable" in block.questions[0]
    assert (block.sender.address, block.collections) == ("mairie@exemple.org", ("guides",))
    assert objects.data[block.raw_key] == event.data.content
    assert await intake.take(event) == answer


async def test_attachments_are_read_apart(intake: MailIntake, objects: MemoryObjects) -> None:
    message = mail()
    message.add_attachment(b"Plan de financement", "text", "plain", filename="plan.txt")
    message.add_attachment(b"\x89PNG\r\n", "image", "png", filename="logo.png")
    answer = await intake.take(received(message))
    assert isinstance(answer, MailAccepted)
    read, image = answer.data.mail.attachments
    assert (read.state, image.state) == ("read", "unreadable")
    assert objects.data[read.text_key or ""] == b"Plan de financement"
    assert "financement" not in " ".join(answer.data.mail.questions)


async def test_answers_join_the_thread_in_any_order(intake: MailIntake) -> None:
    reply = mail(message_id="<2@exemple.org>", References="<1@exemple.org>")
    threads = []
    for message in (reply, mail()):
        answer = await intake.take(received(message))
        assert isinstance(answer, MailAccepted)
        threads.append(answer.data.mail.thread_id)
    assert threads[0] == threads[1]


async def test_skipped(intake: MailIntake) -> None:
    assert reason(await intake.take(received(mail(Auto_Submitted="auto-replied")))) == "auto-reply"
    assert reason(await intake.take(received(mail(List_Id="<a.exemple.org>")))) == "list"
    assert reason(await intake.take(received(mail(sender="aide@exemple.fr")))) == "loop"
    assert reason(await intake.take(received(b"x" * 100_001))) == "unreadable"
    assert reason(await intake.take(received(b"\x00\x01"))) == "unreadable"


async def test_second_copy_is_a_duplicate(intake: MailIntake) -> None:
    await intake.take(received(mail()))
    assert reason(await intake.take(received(mail()))) == "duplicate"
    assert reason(await intake.take(received(mail(QUESTION + "!")))) == "duplicate"


async def test_too_many_of_one_sender(intake: MailIntake) -> None:
    answers = [await intake.take(received(mail(message_id=f"<{number}@x>"))) for number in range(4)]
    assert [type(answer) for answer in answers[:3]] == [MailAccepted] * 3
    assert reason(answers[3]) == "limit"


async def test_unknown_mailbox_and_missing_object(intake: MailIntake) -> None:
    with pytest.raises(Invalid, match="configured: default"):
        await intake.take(received(mail(), mailbox="other"))
    event = MailReceived.make(
        source="test",
        subject="x",
        time=samples.AT,
        data=MailReceivedData(mailbox="default", key="inbox/none"),
        id=uuid4(),
    )
    with pytest.raises(Missing):
        await intake.take(event)
