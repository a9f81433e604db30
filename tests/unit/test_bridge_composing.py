"""The e-mail that leaves: threading, references, and nothing that could add a header."""

from __future__ import annotations

import email
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mail.composing import Letter, compose, message_id
from services.mail.headers import Unsendable
from shared.events import ReplyApprovedData
from shared.records import Address, Reference

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SENDER = "Guichet de l'énergie <guichet@ville.example>"
LONG_ID = f"<{'x' * 180}@mail.example>"


def reply(**changes: object) -> ReplyApprovedData:
    usual: dict[str, object] = {
        "mailbox": "default",
        "reply_id": uuid4(),
        "mail_id": uuid4(),
        "draft_id": uuid4(),
        "recipients": (Address(address="maire@commune.example", name="Zoé Müller"),),
        "subject": "Re: Étude préalable",
        "in_reply_to": "<q1@commune.example>",
        "thread_references": ("<q0@commune.example>", "<q1@commune.example>"),
        "text": "Bonjour,\n\nOui, à 80 % [1] < sauf & exception > [2].\n\nCordialement",
        "references": (
            Reference(number=1, title="Barème", url="https://ville.example/b?a=1&b=2", page=3),
            Reference(number=2, title="Note <interne>", heading="Cas 2"),
        ),
    }
    return ReplyApprovedData(**(usual | changes))  # type: ignore[arg-type]  # a test's own mix


def read(letter: Letter) -> EmailMessage:
    message = email.message_from_bytes(letter.content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def parts(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert isinstance(plain, EmailMessage)
    assert isinstance(html, EmailMessage)
    return plain.get_content().replace("\r\n", "\n"), html.get_content()


def test_headers() -> None:
    data = reply()
    letter = compose(data, SENDER, NOW)
    message = read(letter)
    assert message["From"] == "Guichet de l'énergie <guichet@ville.example>"
    assert message["To"] == "Zoé Müller <maire@commune.example>"
    assert message["Subject"] == "Re: Étude préalable"
    assert message["Message-ID"] == letter.message_id == message_id(data.reply_id, "ville.example")
    assert message["In-Reply-To"] == "<q1@commune.example>"
    assert message["References"].split() == ["<q0@commune.example>", "<q1@commune.example>"]
    assert message["Date"].datetime == NOW
    assert message["X-Sourcier"] == "reply"
    assert "Auto-Submitted" not in message
    assert (letter.sender, letter.recipients) == (
        "guichet@ville.example",
        ("maire@commune.example",),
    )


def test_the_same_reply_has_the_same_message_id() -> None:
    data = reply()
    later = compose(data, SENDER, NOW.replace(year=2027))
    assert compose(data, SENDER, NOW).message_id == later.message_id
    assert compose(reply(), SENDER, NOW).message_id != later.message_id


def test_text_and_html_say_the_same_and_html_is_escaped() -> None:
    plain, html = parts(read(compose(reply(), SENDER, NOW)))
    assert "Oui, à 80 % [1] < sauf & exception > [2]." in plain
    assert "[1] Barème, p. 3\n    https://ville.example/b?a=1&b=2\n" in plain
    assert "[2] Note <interne>, « Cas 2 »\n" in plain
    link = '<a href="https://ville.example/b?a=1&amp;b=2">'
    assert f"Oui, à 80 % [{link}1</a>] &lt; sauf &amp; exception &gt; [2]." in html
    assert f"[1] {link}Barème</a>, p. 3" in html
    assert "[2] Note &lt;interne&gt;, « Cas 2 »" in html
    assert "<interne>" not in html


@pytest.mark.parametrize("url", ["javascript:alert(1)", 'https://x.example/"onclick="x', "ftp://x"])
def test_only_web_addresses_are_linked(url: str) -> None:
    data = reply(references=(Reference(number=1, title="Titre", url=url),))
    plain, html = parts(read(compose(data, SENDER, NOW)))
    assert "href" not in html
    assert "[1] Titre" in plain


def test_without_references_there_is_no_list() -> None:
    plain, html = parts(read(compose(reply(references=(), text="Bonjour."), SENDER, NOW)))
    assert plain == "Bonjour.\n"
    assert "Sources" not in html


def test_long_message_ids_stay_what_they_are() -> None:
    """The standard library would encode them as words, and the thread would break."""
    chain = tuple(f"<{n}-{'y' * 60}@mail.example>" for n in range(30))
    letter = compose(reply(in_reply_to=LONG_ID, thread_references=chain), SENDER, NOW)
    assert f"In-Reply-To: {LONG_ID}\r\n".encode() in letter.content
    assert read(letter)["References"].split() == [*chain, LONG_ID]
    assert max(map(len, letter.content.split(b"\r\n"))) <= 998


def test_a_malformed_id_names_no_message() -> None:
    message = read(
        compose(reply(in_reply_to="", thread_references=("bad id", "<a@b>")), SENDER, NOW)
    )
    assert "In-Reply-To" not in message
    assert message["References"] == "<a@b>"


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Re: x\r\nBcc: all@example.org"},
        {"subject": "Re: x\nBcc: all@example.org"},
        {"subject": "Re: x\u2028y"},
        {"in_reply_to": "<a@b>\r\nBcc: all@example.org"},
        {"thread_references": ("<a@b>\nX: y",)},
        {"recipients": (Address(address="a@b.example\r\nBcc: c@d.example"),)},
        {"recipients": (Address(address="a@b.example", name="x\r\nBcc: c@d.example"),)},
    ],
)
def test_line_breaks_in_headers_are_refused_with_words(changes: dict[str, object]) -> None:
    with pytest.raises(Unsendable, match="saut de ligne"):
        compose(reply(**changes), SENDER, NOW)


@pytest.mark.parametrize(
    "bad", ["", "nobody", "a b@x.example", "é@x.example", "a@", ".a@x.example"]
)
def test_a_recipient_that_is_no_address_is_refused_with_words(bad: str) -> None:
    with pytest.raises(Unsendable, match="adresse"):
        compose(reply(recipients=(Address(address=bad),)), SENDER, NOW)


def test_a_domain_with_accents_leaves_in_ascii() -> None:
    letter = compose(reply(recipients=(Address(address="maire@évian.example"),)), SENDER, NOW)
    assert letter.recipients == ("maire@xn--vian-9oa.example",)


@given(subject=st.text(max_size=300), name=st.text(max_size=80), text=st.text(max_size=500))
def test_whatever_the_text_only_our_headers_leave(subject: str, name: str, text: str) -> None:
    data = reply(
        subject=subject, text=text, recipients=(Address(address="a@b.example", name=name),)
    )
    try:
        letter = compose(data, SENDER, NOW)
    except Unsendable:
        return
    head = letter.content.split(b"\r\n\r\n", 1)[0]
    names = {m.decode().lower() for m in re.findall(rb"(?m)^([^\s:]+):", head)}
    assert names <= {
        *("from", "to", "subject", "date", "message-id", "in-reply-to", "references"),
        *("x-sourcier", "mime-version", "content-type"),
    }
    assert letter.content.isascii()
    assert max(map(len, letter.content.split(b"\r\n"))) <= 998
    assert b"\n" not in letter.content.replace(b"\r\n", b"")
    assert b"\r" not in letter.content.replace(b"\r\n", b"")
