"""Invitations, signed and encrypted mails, what Outlook wraps, bodies too large to parse."""

from __future__ import annotations

import base64
import struct
import tracemalloc
from collections import Counter
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import mail_agreement
from services.ingest import heavy_bodies
from services.ingest.calendars import invitation
from services.ingest.mail_model import Mail
from services.ingest.mime import MailLimits, UnreadableMail, read_mail
from services.ingest.parts import MAX_TEXT_BYTES
from services.ingest.sealed import is_enveloped, signed_content
from services.ingest.skipping import skip_reason
from services.ingest.tnef import unwrapped
from shared.newtext.visible import new_text

LIMITS = MailLimits()
QUESTION = "Quel est le taux du prêt ?"
EVENT = """BEGIN:VCALENDAR
METHOD:{method}
BEGIN:VTIMEZONE
TZID:Europe/Paris
DTSTART:19700329T020000
END:VTIMEZONE
BEGIN:VEVENT
DTSTART;TZID="Europe/Paris":20260303T100000
DTEND;TZID="Europe/Paris":20260303T113000
SUMMARY:Visite de l'école\\, bâtiment
  A
LOCATION:Valcourt\\, mairie
BEGIN:VALARM
DESCRIPTION:rappel
END:VALARM
DESCRIPTION:Quel dossier faut-il ?\\nMerci
END:VEVENT
END:VCALENDAR
"""


def mail(body: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Mairie <mairie@valcourt.example>"
    message["To"] = "edurenov@programme.example"
    message["Subject"] = "Étude"
    message.set_content(body)
    return message


def opened(raw: bytes | EmailMessage) -> Mail:
    return read_mail(raw if isinstance(raw, bytes) else raw.as_bytes(), LIMITS)


# -- calendars ---------------------------------------------------------------------------------


def test_an_invitation_is_told_before_the_text() -> None:
    message = mail(QUESTION)
    message.add_alternative(
        EVENT.format(method="REQUEST"), subtype="calendar", params={"method": "REQUEST"}
    )
    read = opened(message)
    assert read.text == (
        "Invitation : Visite de l'école, bâtiment A\nQuand : 03/03/2026 10:00 – 11:30 "
        f"(Europe/Paris)\nLieu : Valcourt, mairie\n\n{QUESTION}"
    )
    assert read.calendar == "REQUEST"
    assert [part.media_type for part in read.attachments] == ["text/calendar"]
    assert QUESTION in new_text(read.text)


def test_an_invitation_alone_gives_its_description() -> None:
    message = mail()
    message.add_attachment(
        EVENT.format(method="REQUEST").encode(), maintype="application", subtype="ics",
        filename="visite.ics",
    )  # fmt: skip
    assert opened(message).text.endswith("Lieu : Valcourt, mairie\n\nQuel dossier faut-il ?\nMerci")


def test_the_answer_to_an_invitation_is_not_answered() -> None:
    message = mail("Accepté")
    message.add_alternative(EVENT.format(method="REPLY"), subtype="calendar")
    found = skip_reason(opened(message), "Accepté", (), "X-Sourcier")
    assert found is not None
    assert (found.code, "invitation" in found.reason_fr) == ("auto-reply", True)


@pytest.mark.parametrize("text", ["", "BEGIN:VEVENT", "DTSTART:x", "BEGIN:VEVENT\nDTSTART:hier"])
def test_broken_calendars(text: str) -> None:
    event = invitation(text)
    assert event is None or (event.when, event.summary) == ("", "")


def test_a_day_without_hours() -> None:
    event = invitation("BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20260303\r\nSUMMARY:x\r\nEND:VEVENT")
    assert event is not None
    assert event.when == "03/03/2026"


# -- signed and encrypted ----------------------------------------------------------------------


def der(tag: int, *contents: bytes) -> bytes:
    body = b"".join(contents)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes(4, "big")
    return bytes([tag, 0x84]) + size + body


def streamed(tag: int, *contents: bytes) -> bytes:
    """The same with an indefinite length, as OpenSSL writes it when it streams."""
    return bytes([tag, 0x80]) + b"".join(contents) + b"\x00\x00"


DATA = der(0x06, bytes.fromhex("2a864886f70d010701"))
SIGNED = der(0x06, bytes.fromhex("2a864886f70d010702"))
ENVELOPED = der(0x06, bytes.fromhex("2a864886f70d010703"))
VERSION, ALGORITHMS = der(0x02, b"\x01"), der(0x31, der(0x30, der(0x06, b"\x2a")))
CONTENT = f"Content-Type: text/plain; charset=utf-8\r\n\r\n{QUESTION}\r\n".encode()


def signed(content: bytes) -> bytes:
    inner = der(0x30, DATA, der(0xA0, der(0x04, content)))
    return der(0x30, SIGNED, der(0xA0, der(0x30, VERSION, ALGORITHMS, inner, der(0x31))))


def signed_in_pieces(content: bytes) -> bytes:
    pieces = streamed(0x24, der(0x04, content[:20]), der(0x04, content[20:]))
    inner = streamed(0x30, DATA, streamed(0xA0, pieces))
    whole = streamed(0x30, VERSION, ALGORITHMS, inner, der(0x31))
    return streamed(0x30, SIGNED, streamed(0xA0, whole))


def smime(data: bytes) -> bytes:
    return (
        b"From: a@b.example\r\nSubject: x\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Type: application/pkcs7-mime; smime-type=x; name="smime.p7m"\r\n\r\n'
        + base64.encodebytes(data)
    )


@pytest.mark.parametrize("pack", [signed, signed_in_pieces])
def test_an_opaque_signature_is_read_through(pack: object) -> None:
    assert callable(pack)
    read = opened(smime(pack(CONTENT)))
    assert (read.text, read.sealed) == (QUESTION, "")


def test_an_encrypted_mail_is_skipped_with_its_reason() -> None:
    read = opened(smime(der(0x30, ENVELOPED, der(0xA0, der(0x30, VERSION)))))
    assert (read.text, read.sealed) == ("", "S/MIME")
    found = skip_reason(read, "", (), "X-Sourcier")
    assert found is not None
    assert found.code == "encrypted"


def test_pgp_is_read_when_signed_and_told_when_encrypted() -> None:
    text = (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{QUESTION}\n- -- \nValcourt\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQEzBAEBCAAd\n-----END PGP SIGNATURE-----\n"
    )
    assert opened(mail(text)).text == f"{QUESTION}\n-- \nValcourt"
    block = "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"
    assert opened(mail(block)).sealed == "PGP"
    raw = (
        b"From: a@b.example\r\nContent-Type: multipart/encrypted; boundary=b; "
        b'protocol="application/pgp-encrypted"\r\n\r\n--b\r\n'
        b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"
        b"Content-Type: application/octet-stream\r\n\r\nx\r\n--b--\r\n"
    )
    assert opened(raw).sealed == "PGP"


def test_a_detached_signature_leaves_the_text() -> None:
    raw = (
        b"From: a@b.example\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/plain\r\n\r\nQuel taux ?\r\n--b\r\n"
        b"Content-Type: application/pgp-signature; name=s.asc\r\n\r\nx\r\n--b--\r\n"
    )
    read = opened(raw)
    assert (read.text, [part.name for part in read.attachments]) == ("Quel taux ?", ["s.asc"])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120) | st.binary(max_size=60).map(signed))
def test_any_bytes_may_pass_for_a_signature(data: bytes) -> None:
    content = signed_content(data)
    assert content is None or content in data
    assert is_enveloped(data) is False or content is None


# -- TNEF --------------------------------------------------------------------------------------


def attribute(level: int, name: int, value: bytes) -> bytes:
    return struct.pack("<BII", level, name, len(value)) + value + struct.pack("<H", 0)


def tnef() -> bytes:
    head = struct.pack("<IH", 0x223E9F78, 1)
    return head + b"".join(
        (
            attribute(1, 0x00069007, struct.pack("<II", 1252, 0)),
            attribute(1, 0x0002800C, "Durée du prêt ?\x00".encode("cp1252")),
            attribute(2, 0x00069002, b"\x00" * 14),
            attribute(2, 0x00018010, "délibération.pdf\x00".encode("cp1252")),
            attribute(2, 0x0006800F, b"%PDF-1.4"),
        )
    )


def test_winmail_dat_gives_its_text_and_files() -> None:
    message = mail()
    message.add_attachment(
        tnef(), maintype="application", subtype="ms-tnef", filename="winmail.dat"
    )
    read = opened(message)
    assert read.text == "Durée du prêt ?"
    (found,) = read.attachments
    assert (found.name, found.media_type, found.data) == (
        "délibération.pdf",
        "application/pdf",
        b"%PDF-1.4",
    )


def test_a_broken_winmail_dat_is_attached_as_it_is() -> None:
    message = mail(QUESTION)
    message.add_attachment(b"rien", maintype="application", subtype="ms-tnef", filename="w.dat")
    assert [part.name for part in opened(message).attachments] == ["w.dat"]
    for cut in range(len(tnef())):
        found = unwrapped(tnef()[:cut])
        assert found is None or len(found.files) <= 1


# -- forwards, encodings, types ----------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["", "Content-Transfer-Encoding: base64\r\n"])
def test_a_mail_without_words_says_what_it_carries(encoding: str) -> None:
    inner = mail(QUESTION).as_bytes()
    raw = (
        b"From: b@c.example\r\nSubject: Tr: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    )
    raw += f"--b\r\nContent-Type: message/rfc822\r\n{encoding}\r\n".encode()
    raw += (base64.encodebytes(inner) if encoding else inner) + b"\r\n--b--\r\n"
    read = opened(raw)
    assert (read.sender.address, read.text) == ("b@c.example", QUESTION)
    assert [part.media_type for part in read.attachments] == ["message/rfc822"]
    assert b"mairie@valcourt.example" in read.attachments[0].data


@pytest.mark.parametrize(
    "header", ["quoted-printable  ", "\tQuoted-Printable; x", '"quoted-printable"']
)
def test_odd_transfer_encodings(header: str) -> None:
    raw = f"From: a@b.example\r\nContent-Transfer-Encoding: {header}\r\n\r\npr=C3=AAt ?".encode()
    assert opened(raw).text == "prêt ?"


def test_utf_7_is_not_decoded() -> None:
    raw = b"From: a@b.example\r\nContent-Type: text/html; charset=utf-7\r\n\r\n+ADw-b+AD4- prix ?"
    read = opened(raw)
    assert read.text == "+ADw-b+AD4- prix ?"
    assert read.defects == ("charset:utf-7->refused",)


def test_the_content_says_what_an_attachment_is() -> None:
    message = mail(QUESTION)
    message.add_attachment(
        b"%PDF-1.7", maintype="application", subtype="octet-stream", filename="a"
    )
    message.add_attachment(b"MZ\x90", maintype="image", subtype="png", filename="photo.png")
    assert [part.media_type for part in opened(message).attachments] == [
        "application/pdf",
        "application/vnd.microsoft.portable-executable",
    ]


# -- large bodies ------------------------------------------------------------------------------


def large(data: bytes) -> EmailMessage:
    message = mail(QUESTION)
    message.add_attachment(data, maintype="application", subtype="pdf", filename="a.pdf")
    message.add_attachment(mail("ci-joint\n" * 20_000))
    return message


def test_large_bodies_are_the_same_set_aside_or_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = large(b"%PDF-" + bytes(range(256)) * 1000).as_bytes()
    aside = opened(raw)
    monkeypatch.setattr(heavy_bodies, "FROM_BYTES", len(raw))
    assert aside == opened(raw)


def test_a_text_that_looks_like_a_large_attachment_stays_a_text() -> None:
    body = "Content-Transfer-Encoding: base64\n\n" + "QUJD\n" * 30_000
    assert opened(mail(body)).text == body.strip("\n")


def test_a_text_nobody_typed_is_cut_between_characters() -> None:
    read = opened(f"From: a@b.example\r\n\r\n{'é' * 49}\n".encode() + "é\n".encode() * 1_000_000)
    assert set(read.text) == {"é", "\n"}
    assert len(read.text.encode()) <= MAX_TEXT_BYTES
    assert "text:cut" in read.defects


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"--b\r\n", b"--b--\r\n", b"\r\n", b"\n\n", b"Content-Type: text/plain\r\n",
             b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: base64\r\n",
             b"QUJDREVG\r\n" * 3, b"Quel taux ?\r\n" * 3, b"sourcier0body0x\r\n"]
        ),
        max_size=25,
    )
)  # fmt: skip
def test_setting_aside_never_changes_what_is_read(pieces: list[bytes]) -> None:
    raw = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n" + b"".join(pieces)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(heavy_bodies, "FROM_BYTES", 10**9)
        plain = outcome(raw)
        patched.setattr(heavy_bodies, "FROM_BYTES", 12)
        assert outcome(raw) == plain


def outcome(raw: bytes) -> tuple[object, ...]:
    try:
        read = read_mail(raw, LIMITS)
    except UnreadableMail as refusal:
        return (refusal.code,)
    return read.text, [(part.name, part.data) for part in read.attachments]


@pytest.mark.parametrize("kind", ["attachment", "text"])
def test_reading_takes_at_most_six_times_the_mail(kind: str) -> None:
    size = 6 * 2**20
    raw = (
        large(b"\xff\xd8\xff" + b"x" * size).as_bytes()
        if kind == "attachment"
        else b"From: a@b.example\r\n\r\n" + b"Quel est le taux du pr=EAt ?\r\n" * (size // 30)
    )
    tracemalloc.start()
    read = opened(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read.text
    # The raw mail itself is the seventh part: it was there before.
    assert peak <= 5 * len(raw)


LEAST = {
    "stalwart from": 74, "stalwart to": 72, "stalwart date": 73, "stalwart subject": 72,
    "stalwart message_id": 64, "stalwart attachments": 100, "stalwart text": 63,
    "mime4j from": 41, "mime4j subject": 53, "mime4j text-body read": 119,
}  # fmt: skip
"""Fields of the shared samples on which we agree with other parsers; docs/quality.md says why not
on the others."""


def test_agreement_with_other_parsers() -> None:
    if not mail_agreement.DATA.is_dir():
        pytest.skip("the shared mail samples are not on this machine")
    agreed: Counter[str] = Counter()
    for name, _, compared in mail_agreement.pairs():
        if not isinstance(compared, str):
            agreed.update(
                f"{name} {field}" for _, field, wanted, found in compared if wanted == found
            )
    assert not {field: agreed[field] for field, least in LEAST.items() if agreed[field] < least}
