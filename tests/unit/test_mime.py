"""Reading one message: fields, best text, attachments, limits, odd charsets."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.charsets import decode
from services.ingest.html_mail import html_to_text
from services.ingest.mime import Address, MailLimits, UnreadableMail, read_mail

LIMITS = MailLimits()
SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "mail"


def mail(body: str = "Bonjour", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = headers.pop("sender", "Mairie de Valcourt <mairie@valcourt.example>")
    message["To"] = "edurenov@programme.example"
    message["Subject"] = headers.pop("subject", "Étude préalable")
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(body)
    return message


def test_fields_of_an_ordinary_mail() -> None:
    message = mail(
        "Quel est le taux ?\n",
        Message_ID="<b@valcourt.example>",
        In_Reply_To="<a@programme.example>",
        References="<z@programme.example> <a@programme.example>",
        Date="Tue, 03 Mar 2026 10:12:00 +0100",
        Reply_To="Service technique <travaux@valcourt.example>",
        Cc="Élu <elu@valcourt.example>",
    )
    read = read_mail(message.as_bytes(), LIMITS)
    assert read.message_id == "<b@valcourt.example>"
    assert read.in_reply_to == "<a@programme.example>"
    assert read.references == ("<z@programme.example>", "<a@programme.example>")
    assert read.sender == Address("mairie@valcourt.example", "Mairie de Valcourt")
    assert read.reply_to == (Address("travaux@valcourt.example", "Service technique"),)
    assert [address.address for address in read.recipients] == [
        "edurenov@programme.example",
        "elu@valcourt.example",
    ]
    assert read.recipients[1].name == "Élu"
    assert read.subject == "Étude préalable"
    assert read.date == datetime(2026, 3, 3, 9, 12, tzinfo=UTC)
    assert read.text == "Quel est le taux ?"
    assert (read.html, read.attachments, read.defects) == (False, (), ())


def test_plain_text_is_preferred_and_the_rest_attached() -> None:
    message = mail("La version en texte")
    message.add_alternative("<p>La version <b>HTML</b></p>", subtype="html")
    message.add_attachment(
        b"%PDF-1.4", maintype="application", subtype="pdf", filename="délibération.pdf"
    )
    read = read_mail(message.as_bytes(), LIMITS)
    assert read.text == "La version en texte"
    assert not read.html
    (attachment,) = read.attachments
    assert (attachment.name, attachment.media_type) == ("délibération.pdf", "application/pdf")
    assert (attachment.size, attachment.data) == (8, b"%PDF-1.4")


def test_html_alone_is_read_as_text() -> None:
    message = mail()
    message.set_content("<p>Le taux&nbsp;?</p><p hidden>caché</p>", subtype="html")
    read = read_mail(message.as_bytes(), LIMITS)
    assert (read.text, read.html) == ("Le taux\xa0?", True)


def test_an_empty_plain_alternative_gives_way_to_html() -> None:
    message = mail(" \n")
    message.add_alternative("<p>Le taux ?</p>", subtype="html")
    assert read_mail(message.as_bytes(), LIMITS).text == "Le taux ?"


def test_a_forwarded_message_is_an_attachment_with_its_bytes() -> None:
    message = mail("Voir ci-joint")
    message.add_attachment(mail("Quel est le taux ?"))
    (attachment,) = read_mail(message.as_bytes(), LIMITS).attachments
    assert attachment.media_type == "message/rfc822"
    assert b"Quel est le taux ?" in attachment.data


@pytest.mark.parametrize(
    ("charset", "data", "text", "defect"),
    [
        ("utf-8", "été".encode(), "été", ()),
        ("iso-8859-1", b"\xe9t\xe9 \x80", "été €", ()),
        ("utf-8", b"\xe9t\xe9", "été", ("charset:utf-8->windows-1252",)),
        ("klingon", "été".encode(), "été", ("charset:klingon->utf-8",)),
        ("base64", "été".encode(), "été", ("charset:base64->utf-8",)),
        ("utf-8", b"\xe9\x81", "é�", ("charset:utf-8->replacement",)),
    ],
)
def test_charsets_fall_back_and_say_so(
    charset: str, data: bytes, text: str, defect: tuple[str, ...]
) -> None:
    raw = b"From: a@b.example\r\nContent-Transfer-Encoding: base64\r\n"
    raw += f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
    read = read_mail(raw + base64.b64encode(data), LIMITS)
    assert (read.text, read.defects) == (text, defect)


def test_raw_eight_bit_and_encoded_subjects() -> None:
    raw = b"From: a@b.example\r\nSubject: %s\r\n\r\nx"
    assert read_mail(raw % "Rénovation".encode(), LIMITS).subject == "Rénovation"
    assert read_mail(raw % b"R\xe9novation", LIMITS).subject == "Rénovation"
    assert read_mail(raw % b"=?utf-8?q?R=C3=A9?=\r\n =?utf-8?q?novation?=", LIMITS).subject == (
        "Rénovation"
    )
    assert "novation" in read_mail(raw % b"=?nope?q?R=E9novation?=", LIMITS).subject


def test_format_flowed_joins_its_soft_breaks() -> None:
    raw = (
        b"From: a@b.example\r\nContent-Type: text/plain; format=flowed\r\n\r\n"
        b"Le programme finance-t-il \r\nl'etude ?\r\n-- \r\nValcourt\r\n"
    )
    assert read_mail(raw, LIMITS).text == "Le programme finance-t-il l'etude ?\n-- \nValcourt"


def test_control_characters_never_reach_the_text() -> None:
    read = read_mail(b"From: a@b.example\r\nSubject: a\x00b\r\n\r\nbon\x00jour\x07", LIMITS)
    assert (read.subject, read.text) == ("ab", "bonjour")


def test_a_broken_date_is_none_and_a_multipart_without_boundary_is_shown() -> None:
    raw = b"From: a@b.example\r\nDate: hier\r\nContent-Type: multipart/mixed\r\n\r\nQuel taux ?\r\n"
    read = read_mail(raw, LIMITS)
    assert (read.date, read.text) == (None, "Quel taux ?")
    assert "NoBoundaryInMultipartDefect" in read.defects


@pytest.mark.parametrize(
    ("raw", "limits", "code"),
    [
        (b" \r\n", LIMITS, "empty"),
        (b"%PDF-1.4 \xff\xfe binaire", LIMITS, "not-a-mail"),
        (b"From: a@b.example\r\n\r\n" + b"x" * 200, MailLimits(max_bytes=100), "size"),
        (b"From: a@b.example\r\nX: " + b"y" * 5000, MailLimits(max_header_bytes=1000), "headers"),
    ],
)
def test_refusals(raw: bytes, limits: MailLimits, code: str) -> None:
    with pytest.raises(UnreadableMail) as refused:
        read_mail(raw, limits)
    assert refused.value.code == code
    assert len(refused.value.reason_fr) > 10


def bomb(depth: int, width: int) -> bytes:
    head = b"From: a@b.example\r\n"
    for level in range(depth):
        head += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    return head + b"\r\nx\r\n" + b"--b%d\r\n\r\nx\r\n" % (depth - 1) * width


@pytest.mark.parametrize(
    ("raw", "code"),
    [(bomb(30, 1), "depth"), (bomb(1, 100_000), "parts"), (bomb(3000, 1), "parts")],
)
def test_mime_bombs_are_refused(raw: bytes, code: str) -> None:
    with pytest.raises(UnreadableMail) as refused:
        read_mail(raw, LIMITS)
    assert refused.value.code == code


def test_nested_forwards_count_as_depth() -> None:
    raw = b"From: a@b.example\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 40 + b"\r\nx"
    with pytest.raises(UnreadableMail) as refused:
        read_mail(raw, LIMITS)
    assert refused.value.code == "depth"


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=600), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes, header: bytes) -> None:
    raw = b"From: " + header + b"\r\nContent-Type: text/html; charset=utf-7\r\n\r\n" + body
    try:
        read = read_mail(raw, LIMITS)
    except UnreadableMail:
        return
    read.text.encode()
    assert "\x00" not in read.text + read.subject + read.sender.name


@given(st.binary(max_size=80), st.text(max_size=12))
def test_decode_never_fails(data: bytes, charset: str) -> None:
    text, _ = decode(data, charset)
    assert isinstance(text, str)


def sample_messages() -> list[Path]:
    patterns = {"stalwart-mail-parser": "*.eml", "mime4j": "*.msg", "cpython-test-email": "*.txt"}
    return [
        path for folder, pattern in patterns.items() for path in (SAMPLES / folder).rglob(pattern)
    ]


def test_every_hostile_sample_is_read_or_refused() -> None:
    paths = sample_messages()
    if not paths:
        pytest.skip("the shared mail samples are not on this machine")
    refused: list[str] = []
    for path in paths:
        try:
            read = read_mail(path.read_bytes(), LIMITS)
        except UnreadableMail as error:
            refused.append(f"{path.name}: {error.code}")
            continue
        (read.text + read.subject + read.sender.address).encode()
    assert len(refused) <= len(paths) * 0.03, refused


def test_html_keeps_links_lists_quotes_and_drops_what_is_hidden() -> None:
    html = (
        "<html><head><title>t</title><style>p{}</style></head><body><p>Voir <a href='https://x."
        "example/a'>le guide</a></p><ul><li>un</li><li>deux</li></ul><!-- non -->"
        "<span style='display: none'>piège</span><div style='font-size:0px'>piège</div>"
        "<table><tr><td>Prêt</td><td>2 %</td></tr></table>"
        "<blockquote>ancien<br>texte</blockquote>fin</body></html>"
    )
    text = html_to_text(html)
    assert "le guide (https://x.example/a)" in text
    assert "- un\n- deux" in text
    assert "Prêt 2 %" in text
    assert "> ancien\n> texte" in text
    assert text.endswith("fin")
    assert "piège" not in text
    assert "non" not in text.split()


def test_deep_html_neither_recurses_nor_loses_its_text() -> None:
    assert html_to_text("<div>" * 5000 + "fond").strip() == "fond"


def test_html_nested_without_end_stays_small() -> None:
    text = html_to_text("<blockquote>a" * 100_000)
    assert text.startswith("> a")
    assert len(text) < 1_000_000


def test_obsolete_header_names_are_read() -> None:
    raw = b"\r\nFrom : a@b.example\r\nSubject\t: Taux\r\n\r\nPrix : 3 euros"
    read = read_mail(raw, LIMITS)
    assert (read.sender.address, read.subject, read.text) == (
        "a@b.example",
        "Taux",
        "Prix : 3 euros",
    )


@pytest.mark.parametrize("header", ["To", "From", "Subject", "References", "Date", "Message-ID"])
@pytest.mark.parametrize("piece", ["(", '"', "<", "=?utf-8?q?", "=?utf-8?b?=", ",", "a@", ";*0="])
def test_pathological_headers_are_read(header: str, piece: str) -> None:
    raw = f"X-Mailer: x\r\n{header}: {piece * 20_000}\r\n\r\nQuel taux ?"[: 128 * 1024].encode()
    if b"\r\n\r\n" not in raw:
        raw = raw[:-40] + b"\r\n\r\nQuel taux ?"
    assert read_mail(raw, LIMITS).text == "Quel taux ?"


@pytest.mark.parametrize("header", ["Content-Type", "Content-Disposition"])
@pytest.mark.parametrize("piece", ["(", '"', "=?utf-8?q?x?= ", ";", "text/plain;", "; a*0=x", "'"])
def test_pathological_mime_headers_are_read_or_refused(header: str, piece: str) -> None:
    raw = f"From: a@b.example\r\n{header}: text/plain; {piece * 4000}\r\n\r\nQuel taux ?".encode()
    try:
        read = read_mail(raw, LIMITS)
    except UnreadableMail as error:
        code = error.code
    else:
        code = "malformed" if read.text == "Quel taux ?" or read.attachments else "lost"
    assert code == "malformed"


def test_long_runs_of_blanks_in_headers_are_read_at_once() -> None:
    raw = b"From: a@b.example\r\nSubject: a" + b" " * 60_000 + b"b\r\nX-Y:"
    raw += b" \r\n" * 15_000 + b"\tz\r\n\r\nQuel taux ?"
    start = time.process_time()
    assert read_mail(raw, LIMITS).text == "Quel taux ?"
    assert time.process_time() - start < 1


@pytest.mark.parametrize("lead", [b"\n\n", b"\r\n\r\n", b"\xef\xbb\xbf\r\r"])
def test_blank_lines_before_do_not_hide_too_long_headers(lead: bytes) -> None:
    raw = lead + b"From: a@b.example\nX: " + b"y" * 2_000_000 + b"\n\nx"
    with pytest.raises(UnreadableMail) as refused:
        read_mail(raw, LIMITS)
    assert refused.value.code == "headers"


def test_a_header_is_read_up_to_a_bound() -> None:
    raw = b"From: a@b.example\r\nX-Long: " + b"y" * 100_000 + b"\r\n\r\nx"
    assert len(read_mail(raw, LIMITS).header("x-long")) == 8192


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"=?utf-8?q?victim=40x.fr=2C?= <attacker@evil.fr>", "victim@x.fr,"),
        (b"=?utf-8?b?dmljdGltQHguZnIs?= <attacker@evil.fr>", "victim@x.fr,"),
        (b"=?utf-8?q?victim=40x.fr_=3Cvictim=40x.fr=3E=2C?= <attacker@evil.fr>", None),
        (b'"victim@x.fr" <attacker@evil.fr>', "victim@x.fr"),
        (b"victim@x.fr <attacker@evil.fr>", "victim@x.fr"),
        (b"victim@x.fr Mairie <attacker@evil.fr>", "victim@x.fr Mairie"),
        (b'"Mairie, q@x <victim@x.fr>," <attacker@evil.fr>', "Mairie, q@x <victim@x.fr>,"),
        (b"(q@x <victim@x.fr>, ) attacker@evil.fr", None),
    ],
)
def test_the_sender_is_never_taken_from_a_name(header: bytes, name: str | None) -> None:
    raw = b"From: %s\r\nReply-To: %s\r\n\r\nx" % (header, header)
    read = read_mail(raw, LIMITS)
    assert read.sender.address == "attacker@evil.fr"
    assert [address.address for address in read.reply_to] == ["attacker@evil.fr"]
    assert name is None or read.sender.name == name


def test_ids_too_long_to_be_kept_are_left_out() -> None:
    long = b"<" + b"i" * 400 + b"@x>"
    raw = b"From: a@b.example\r\nMessage-ID: %s\r\nReferences: %s <1@x>\r\n\r\nx"
    read = read_mail(raw % (long, long), LIMITS)
    assert (read.message_id, read.references) == ("", ("<1@x>",))


def test_terminal_controls_are_removed() -> None:
    raw = "From: a@b.example\r\nSubject: a\u009b31mb\r\n\r\nc\u009bd\x1b[1me".encode()
    raw = raw.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
    read = read_mail(raw, LIMITS)
    assert (read.subject, read.text) == ("a31mb", "cd[1me")
