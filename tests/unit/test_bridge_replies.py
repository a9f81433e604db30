"""A reply is sent at most once without a person, whatever fails and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

import pytest

from services.mail.composing import Letter
from services.mail.service import Ambiguous, Busy, PutOff, Refused, Replies, Step, Verdict
from shared.delivery import Unavailable
from shared.events import ReplyApproved, ReplyDoubtful, ReplyFailed, ReplySent
from tests import samples
from tests.fakes.bridge_memory import MemorySends

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Mailer:
    """A mail server that counts what it got; ``before`` and ``after`` DATA may raise."""

    sender = "Guichet <guichet@ville.example>"
    patience_hours = 24.0

    def __init__(self) -> None:
        self.got: list[Letter] = []
        self.before: Exception | None = None
        self.after: BaseException | None = None

    async def send(self, letter: Letter, before_data: Step) -> Literal["sent", "drafted"]:
        if self.before:
            raise self.before
        await before_data()
        if self.after:
            raise self.after
        self.got.append(letter)
        return "sent"


class Shaky(MemorySends):
    """Forgets to answer, after or before doing what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: Callable[[Verdict], bool] = lambda verdict: False
        self.first = False

    async def keep(self, reply: UUID, mailbox: str, verdict: Verdict) -> None:
        if self.broken(verdict) and self.first:
            raise Unavailable("database away")
        await super().keep(reply, mailbox, verdict)
        if self.broken(verdict):
            raise Unavailable("database away, but it was written")


@pytest.fixture
def mailer() -> Mailer:
    return Mailer()


@pytest.fixture
def sends() -> Shaky:
    return Shaky()


@pytest.fixture
async def replies(mailer: Mailer, sends: Shaky) -> Replies:
    made = Replies({"default": mailer}, sends, lambda: NOW)
    await sends.since("default", NOW - timedelta(days=30))
    return made


def approved(time: datetime = NOW, mailbox: str = "default") -> ReplyApproved:
    (event,) = (e for e in samples.events() if isinstance(e, ReplyApproved))
    data = event.data.model_copy(update={"reply_id": uuid4(), "mailbox": mailbox})
    return event.model_copy(update={"id": uuid4(), "time": time, "data": data})


async def test_sent_once_and_told_each_time(replies: Replies, mailer: Mailer) -> None:
    event = approved()
    said = await replies.deliver(event)
    assert isinstance(said, ReplySent)
    assert said.data.message_id == mailer.got[0].message_id
    assert (said.data.reply_id, said.data.mail_id) == (event.data.reply_id, event.data.mail_id)
    assert await replies.deliver(event) == said
    assert len(mailer.got) == 1


async def test_a_mailbox_that_others_send_for(replies: Replies, mailer: Mailer) -> None:
    assert await replies.deliver(approved(mailbox="other")) is None
    assert mailer.got == []


async def test_refused_is_failed_with_the_servers_words(replies: Replies, mailer: Mailer) -> None:
    mailer.after = Refused("550 no such user")
    event = approved()
    said = await replies.deliver(event)
    assert isinstance(said, ReplyFailed)
    assert "550 no such user" in said.data.why
    mailer.after = None
    assert await replies.deliver(event) == said
    assert mailer.got == []


async def test_put_off_is_asked_again_and_given_up_in_the_end(
    replies: Replies, mailer: Mailer, sends: Shaky
) -> None:
    event = approved()
    mailer.after = PutOff("451 later")
    with pytest.raises(PutOff):
        await replies.deliver(event)
    assert sends.verdicts == {}
    mailer.after = None
    assert isinstance(await replies.deliver(event), ReplySent)
    mailer.after = PutOff("451 later")
    said = await replies.deliver(approved(NOW - timedelta(hours=25)))
    assert isinstance(said, ReplyFailed)
    assert "451 later" in said.data.why


async def test_no_answer_after_data_is_doubtful_for_ever(replies: Replies, mailer: Mailer) -> None:
    event = approved()
    mailer.after = Ambiguous("connection lost")
    said = await replies.deliver(event)
    assert isinstance(said, ReplyDoubtful)
    mailer.after = None
    assert await replies.deliver(event) == said
    assert mailer.got == []


async def test_a_crash_after_the_intention_is_doubtful(
    mailer: Mailer, sends: Shaky, replies: Replies
) -> None:
    event = approved()
    mailer.after = asyncio.CancelledError()  # all that a killed process leaves is the intention
    with pytest.raises(asyncio.CancelledError):
        await replies.deliver(event)
    mailer.after = None
    after = Replies({"default": mailer}, sends, lambda: NOW)
    said = await after.deliver(event)
    assert isinstance(said, ReplyDoubtful)
    assert "Vérifiez" in said.data.why
    assert mailer.got == []


async def test_a_server_that_is_away_leaves_no_trace(
    replies: Replies, mailer: Mailer, sends: Shaky
) -> None:
    event = approved()
    mailer.before = Unavailable("nobody listens")
    with pytest.raises(Unavailable):
        await replies.deliver(event)
    assert sends.verdicts == {}
    mailer.before = None
    assert isinstance(await replies.deliver(event), ReplySent)


@pytest.mark.parametrize("first", [True, False])
async def test_an_intention_that_was_not_confirmed_sends_nothing_and_hinders_nothing(
    replies: Replies, mailer: Mailer, sends: Shaky, first: bool
) -> None:
    event = approved()
    sends.first, sends.broken = first, lambda verdict: verdict.state == "intended"
    with pytest.raises(Unavailable):
        await replies.deliver(event)
    assert mailer.got == []
    sends.broken = lambda verdict: False
    assert isinstance(await replies.deliver(event), ReplySent)
    assert len(mailer.got) == 1


@pytest.mark.parametrize("first", [True, False])
async def test_the_database_goes_while_sending(
    replies: Replies, mailer: Mailer, sends: Shaky, first: bool
) -> None:
    event = approved()
    sends.first, sends.broken = first, lambda verdict: verdict.state == "sent"
    with pytest.raises(Unavailable):
        await replies.deliver(event)
    sends.broken = lambda verdict: False
    assert isinstance(await replies.deliver(event), ReplySent)
    assert len(mailer.got) == 1


async def test_what_one_process_knows_of_its_attempt_does_not_excuse_anothers(
    mailer: Mailer, sends: Shaky, replies: Replies
) -> None:
    """A's attempt came to nothing, B's crashed in DATA: A must not send."""
    event = approved()
    sends.first, sends.broken = True, lambda verdict: verdict.state == "intended"
    with pytest.raises(Unavailable):
        await replies.deliver(event)
    sends.broken = lambda verdict: False
    mailer.after = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await Replies({"default": mailer}, sends, lambda: NOW).deliver(event)
    mailer.after = None
    assert isinstance(await replies.deliver(event), ReplyDoubtful)
    assert mailer.got == []


async def test_two_at_once(replies: Replies, mailer: Mailer, sends: Shaky) -> None:
    event = approved()
    async with sends.alone(event.data.reply_id):
        with pytest.raises(Busy):
            await replies.deliver(event)
    assert mailer.got == []


async def test_what_was_approved_before_the_bridge_sent_is_left_to_a_person(
    mailer: Mailer, sends: MemorySends
) -> None:
    replies = Replies({"default": mailer}, MemorySends(), lambda: NOW)
    await replies.begin()
    said = await replies.deliver(approved(NOW - timedelta(minutes=1)))
    assert isinstance(said, ReplyDoubtful)
    assert mailer.got == []


async def test_an_unsendable_reply_is_failed(replies: Replies, mailer: Mailer) -> None:
    event = approved()
    bad = event.data.model_copy(update={"subject": "x\r\nBcc: y@z.example"})
    said = await replies.deliver(event.model_copy(update={"data": bad}))
    assert isinstance(said, ReplyFailed)
    assert "saut de ligne" in said.data.why
    assert mailer.got == []
