"""Threads: by headers, by subject and people, and when headers are not to be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from uuid import UUID, uuid4

import pytest

from services.ingest.mime import MailLimits, read_mail
from services.ingest.threads import MAX_PARTICIPANTS, Earlier, Strand, strand_of, thread_of
from shared.events import MailAccepted
from shared.objects import MemoryObjects
from shared.records import MailBlock
from tests.fakes.intake_memory import DirectReader, WordCounter
from tests.unit.test_ingest_mails import an_intake, received
from tests.unit.test_ingest_mails import mail as a_mail

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
OWN = ("guichet@programme.example",)


def strand(subject: str = "", message_id: str = "<new@x>", **headers: str) -> Strand:
    message = EmailMessage()
    message["From"] = headers.pop("sender", "Mairie <mairie@exemple.org>")
    message["To"] = headers.pop("to", OWN[0])
    message["Message-ID"] = message_id
    message["Subject"] = subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Quelle aide ?")
    mail = read_mail(message.as_bytes(), MailLimits())
    return strand_of(mail, "default", uuid4(), OWN)


def earlier(mail: Strand, days: float = 1) -> Earlier:
    """``mail``, which came ``days`` before ``AT``."""
    return Earlier(mail.message_id, mail.subject, mail.thread_id, AT - timedelta(days=days))


def found(mail: Strand, *known: Earlier) -> UUID:
    return thread_of(mail, AT, known)


FIRST = strand("Étude de l'école", "<1@x>")
OTHER = strand("Prêt travaux", "<2@x>")


def test_the_nearest_known_mail_counts() -> None:
    both = (earlier(FIRST), earlier(OTHER))
    reply = strand("Re: Prêt travaux", References="<1@x> <unknown@x>", In_Reply_To="<2@x>")
    assert found(reply, *both) == OTHER.thread_id
    forked = strand("Re: Étude de l'école", References="<2@x> <1@x> <unknown@x>")
    assert found(forked, *both) == FIRST.thread_id


def test_unknown_mails_make_one_thread_by_the_first_of_them() -> None:
    one = strand("Re: a", "<5@x>", References="<0@x> <4@x>")
    two = strand("Re: a", "<6@x>", References="<0@x> <5@x>")
    assert found(one) == found(two) == strand("a", "<0@x>").thread_id


@pytest.mark.parametrize(
    "subject",
    [
        "Re: Étude de l'école",
        "RE : Étude de l’école",
        "Ré: TR: etude de l'ecole",
        "AW: Re: Étude  de l'école !",
        "[EXTERNE] Re[2]: Étude de l'école",
        "SV: Étude de l'école",
    ],
)
def test_a_reply_without_headers_is_found_by_its_subject(subject: str) -> None:
    assert found(strand(subject), earlier(FIRST), earlier(OTHER)) == FIRST.thread_id


def test_headers_that_name_nothing_known_leave_it_to_the_subject() -> None:
    reply = strand("Re: Étude de l'école", In_Reply_To="<rewritten@gateway.example>")
    assert found(reply, earlier(FIRST)) == FIRST.thread_id


def test_the_last_of_several_with_one_subject() -> None:
    again = strand("Étude de l'école", "<7@x>")
    reply = strand("Re: Étude de l'école")
    assert found(reply, earlier(FIRST, 9), earlier(again, 2)) == again.thread_id


def test_what_is_no_answer_starts_a_thread() -> None:
    for other in (
        strand("Étude de l'école"),  # the same words, but no reply
        strand("TR: Étude de l'école"),
        strand("Re: Autre chose"),
        strand("Re:"),
    ):
        assert found(other, earlier(FIRST)) == other.thread_id
    reply = strand("Re: Étude de l'école")
    assert found(reply, earlier(FIRST, 31)) == reply.thread_id
    assert found(reply, earlier(FIRST, -1)) == reply.thread_id, "it came later"


def test_an_old_mail_taken_as_a_form_starts_a_thread() -> None:
    """Somebody presses "reply" and writes about something else under a new subject."""
    changed = strand("Accès au gymnase", References="<1@x>")
    assert found(changed, earlier(FIRST)) == changed.own_thread_id
    assert changed.own_thread_id not in (FIRST.thread_id, changed.thread_id)
    translated = strand("Re: Your study", References="<1@x>")
    assert found(translated, earlier(FIRST)) == FIRST.thread_id
    without = strand("", References="<1@x>")
    assert found(without, earlier(FIRST)) == FIRST.thread_id


def test_people_are_everyone_but_us_and_bounded() -> None:
    many = ", ".join([OWN[0].upper(), *(f"p{n}@exemple.org" for n in range(90))])
    named = strand("a", to=many, Cc="maire@exemple.org")
    assert len(named.people) == MAX_PARTICIPANTS
    assert named.people[0] == named.sender
    ours = strand("a", sender=OWN[0]).sender
    assert ours not in named.people
    assert strand("a", sender="p3@exemple.org").sender in named.people
    assert "@" not in "".join(named.people)


# -- through the use case --------------------------------------------------------------------


class Box:
    """An intake whose e-mails come a minute apart."""

    def __init__(self) -> None:
        self.objects = MemoryObjects()
        self._intake = an_intake(self.objects, DirectReader(WordCounter()))
        self._time = AT

    async def gets(self, body: str, number: int, subject: str = "", **headers: str) -> MailBlock:
        message = a_mail(body, f"<{number}@exemple.org>", **headers)
        if subject:
            message.replace_header("Subject", subject)
        self._time += timedelta(minutes=1)
        event = received(message).model_copy(update={"time": self._time})
        answer = await self._intake.take(event)
        assert isinstance(answer, MailAccepted), answer
        assert await self._intake.take(event) == answer
        return answer.data.mail


async def test_the_thread_so_far_travels_with_a_mail() -> None:
    box = Box()
    first = await box.gets("Bonjour,\n\nQuel est le taux du prêt ?", 1)
    assert first.earlier == ()
    second = await box.gets(
        "Et pour une commune rurale ?\n\nLe 2 mars 2026 à 10:12, Aide <aide@exemple.fr> a écrit :\n"
        "> Le taux est de 2 %.",
        2,
        References="<1@exemple.org> <answer@exemple.fr>",
    )
    assert second.thread_id == first.thread_id
    assert [text.split("\n")[-1] for text in second.earlier] == ["Quel est le taux du prêt ?"]
    lost = await box.gets("Faut-il le rembourser aussitôt ?", 3, "RE : étude préalable")
    assert lost.thread_id == first.thread_id
    assert lost.earlier[-1] == "Et pour une commune rurale ?"


async def test_the_same_subject_again_is_another_matter() -> None:
    box = Box()
    first = await box.gets("Quel est le taux du prêt ?", 1)
    second = await box.gets("Faut-il une délibération ?", 2)
    assert (second.thread_id == first.thread_id, second.earlier) == (False, ())


async def test_a_question_that_says_little_is_about_what_was_asked_before() -> None:
    box = Box()
    await box.gets("Bonjour,\n\nÀ quel taux est le prêt travaux ?", 1)
    short = await box.gets("Merci !\n\nEt pour une commune rurale ?", 2, "Re: Étude préalable")
    assert short.questions == ("À quel taux est le prêt travaux ?\nEt pour une commune rurale ?",)
    whole = "Quelles pièces faut-il joindre à la demande de versement de l'acompte ?"
    full = await box.gets(whole, 3, "Re: Étude préalable")
    assert full.questions == (whole,)


async def test_earlier_texts_are_cut_and_a_lost_one_is_left_out() -> None:
    box = Box()
    first = await box.gets("Quel est le taux ? " + "x" * 9000, 1)
    second = await box.gets("Quel délai ?", 2, In_Reply_To="<1@exemple.org>")
    assert [len(text) for text in second.earlier] == [2000]
    await box.objects.remove(first.raw_key)
    third = await box.gets("Quelle durée ?", 3, In_Reply_To="<2@exemple.org>")
    assert third.earlier == ("Quel délai ?",)
