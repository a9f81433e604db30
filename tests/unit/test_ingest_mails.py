"""E-mails: accepted with their questions, or skipped with a reason; the same each time."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from email.message import EmailMessage
from uuid import uuid4

import pytest

from services.ingest.mail_service import MailIntake
from services.ingest.mime import MailLimits
from services.ingest.triage import Embed, Sorter
from shared.categories import Triage
from shared.delivery import Invalid, Unavailable
from shared.envelope import Event
from shared.events import MailAccepted, MailReceived, MailReceivedData, MailSkipped
from shared.objects import MemoryObjects, Missing
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import MailBlock
from shared.settings import Mailbox
from tests import samples
from tests.fakes.intake_memory import DirectReader, MemoryIntake, WordCounter

QUESTION = "Bonjour,\n\nLe programme finance-t-il l'étude préalable de notre école ?\n\nMerci"

UNSORTED = Triage()


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def intake(objects: MemoryObjects) -> MailIntake:
    return an_intake(objects, DirectReader(WordCounter()))


async def nobody(query: EmbedQuery) -> EmbedAnswer:
    raise Unavailable("nobody answers query.embed.v1")


def an_intake(
    objects: MemoryObjects,
    reader: DirectReader,
    attachment_seconds: float = 60,
    triage: Triage = UNSORTED,
    embed: Embed = nobody,
) -> MailIntake:
    return MailIntake(
        objects,
        reader,
        MemoryIntake(),
        lambda: samples.AT,
        mailboxes={"default": Mailbox(addresses=("aide@exemple.fr",), collections=("guides",))},
        limits=MailLimits(max_bytes=100_000, max_parts=50, max_depth=10),
        per_sender=3,
        sorter=Sorter(triage, embed),
        attachment_seconds=attachment_seconds,
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


def by_key(key: str) -> MailReceived:
    return MailReceived.make(
        source="test",
        subject="x",
        time=samples.AT,
        data=MailReceivedData(mailbox="default", key=key),
        id=uuid4(),
    )


async def accepted(intake: MailIntake, raw: bytes | EmailMessage) -> MailBlock:
    answer = await intake.take(received(raw))
    assert isinstance(answer, MailAccepted), answer
    return answer.data.mail


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
    with pytest.raises(Missing):
        await intake.take(by_key("inbox/none"))


async def test_who_answers_one_circular_shares_no_thread(intake: MailIntake) -> None:
    circular = "<campagne-1@programme.example>"
    threads = {
        (
            await accepted(
                intake, mail(message_id=f"<{sender}>", sender=sender, In_Reply_To=circular)
            )
        ).thread_id
        for sender in ("maire@a.example", "dgs@b.example")
    }
    assert len(threads) == 2
    known = mail(message_id="<z@c.example>", sender="z@c.example", References="<maire@a.example>")
    assert (await accepted(intake, known)).thread_id not in threads


async def test_a_constant_message_id_of_other_senders_is_no_duplicate(intake: MailIntake) -> None:
    for sender in ("a@exemple.org", "b@exemple.org"):
        await accepted(intake, mail(message_id="<formulaire@exemple.org>", sender=sender))


async def test_the_limit_of_a_web_form_is_each_citizens_own(intake: MailIntake) -> None:
    for number in range(5):
        form = mail(
            message_id=f"<{number}@x>",
            sender="no-reply@mairie.example",
            Reply_To=f"citoyen{number}@exemple.org",
        )
        await accepted(intake, form)
    same = [
        mail(
            message_id=f"<s{number}@x>",
            sender="no-reply@mairie.example",
            Reply_To="citoyen0@exemple.org",
        )
        for number in range(3)
    ]
    answers = [await intake.take(received(message)) for message in same]
    assert reason(answers[-1]) == "limit"


async def test_a_mail_over_the_limit_may_be_sent_again_later(intake: MailIntake) -> None:
    mails = [mail(message_id=f"<{number}@x>") for number in range(4)]
    events = [received(message) for message in mails]
    assert reason([await intake.take(event) for event in events][-1]) == "limit"
    assert reason(await intake.take(events[-1])) == "limit"
    again = received(mails[-1]).model_copy(update={"time": samples.AT + timedelta(hours=2)})
    assert isinstance(await intake.take(again), MailAccepted)
    assert reason(await intake.take(received(mails[-1]))) == "duplicate"


async def test_two_mails_under_one_event_id_are_two_events(intake: MailIntake) -> None:
    same = uuid4()
    mails = [mail(message_id=f"<{number}@x>") for number in range(2)]
    mails += [mail(message_id=f"<l{number}@x>", List_Id="<a.example>") for number in range(2)]
    events = [received(message).model_copy(update={"id": same}) for message in mails]
    ids = [(await intake.take(event)).id for event in events]
    assert len(set(ids)) == 4
    assert (await intake.take(events[0])).id == ids[0]


async def test_what_travels_of_a_mail_is_bounded(intake: MailIntake) -> None:
    ids = [f"<{number}@{'x' * 100}.example>" for number in range(70)]
    message = mail(References=" ".join(ids), In_Reply_To=f"<{'i' * 2000}@x>")
    message.replace_header("Subject", "Quelle aide ? " + "s" * 3000)
    message.replace_header("From", f"{'n' * 2000} <mairie@exemple.org>")
    for number in range(45):
        message.add_attachment(b"x", "image", "png", filename=f"{number}{'f' * 300}.png")
    block = await accepted(intake, message)
    assert (len(block.subject), len(block.sender.name)) == (500, 200)
    assert block.sender.address == "mairie@exemple.org"
    assert 0 < len(block.references) <= 50
    assert block.references[0] == ids[len(block.references) - 1] or block.references[-1] in ids
    assert block.in_reply_to is None
    assert max(len(attachment.name) for attachment in block.attachments) == 200
    assert len(block.model_dump_json()) < 40_000
    listed = mail(List_Id="<a.example>", X_Auto_Response_Suppress="s" * 5000)
    listed.replace_header("Subject", "s" * 3000)
    skipped = await intake.take(received(listed))
    assert isinstance(skipped, MailSkipped)
    assert (len(skipped.data.subject), len(skipped.data.detail)) == (500, 500)


async def test_at_most_fifty_attachments_are_named(intake: MailIntake) -> None:
    parts = [f'--b\r\nContent-Disposition: attachment; filename="{n}"\r\n\r\nx' for n in range(60)]
    head = "From: a@exemple.org\r\nSubject: Quelle aide ?\r\n"
    head += "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    raw = head + "--b\r\n\r\nQuel taux ?\r\n" + "\r\n".join(parts) + "\r\n--b--"
    intake._limits = MailLimits()
    block = await accepted(intake, raw.encode())
    assert [one.name for one in block.attachments] == [str(number) for number in range(50)]


class SlowReader(DirectReader):
    """Takes seconds for an attachment named so."""

    calls = 0

    async def text(self, data: bytes, name: str, media_type: str | None) -> str:
        self.calls += 1
        if name.startswith("slow"):
            await asyncio.sleep(5)
        return await super().text(data, name, media_type)


async def test_attachments_share_a_time_and_the_rest_is_unchecked(objects: MemoryObjects) -> None:
    reader = SlowReader(WordCounter())
    intake = an_intake(objects, reader, attachment_seconds=0.2)
    message = mail()
    for name in ("plan.txt", "slow-1.txt", "slow-2.txt", "other.txt"):
        message.add_attachment(b"Plan de financement", "text", "plain", filename=name)
    block = await accepted(intake, message)
    assert [one.state for one in block.attachments] == ["read"] + ["unchecked"] * 3
    assert reader.calls == 2


async def test_a_stored_mail_over_the_limit_is_skipped_unread(
    intake: MailIntake, objects: MemoryObjects
) -> None:
    skipped = []
    for key in ("inbox/a", "inbox/b"):
        objects.data[key] = b"From: a@exemple.org\r\n\r\n" + b"x" * 200_000
        skipped.append(await intake.take(by_key(key)))
        assert reason(skipped[-1]) == "unreadable"
        assert isinstance(skipped[-1], MailSkipped)
        assert "0.1 Mo" in skipped[-1].data.detail
        assert skipped[-1].data.raw_key == key
    assert set(objects.data) == {"inbox/a", "inbox/b"}
    assert skipped[0].subject != skipped[1].subject
