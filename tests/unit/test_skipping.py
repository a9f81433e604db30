"""Automatic mail, lists, loops and empty mails get no draft; people do."""

from __future__ import annotations

import pytest

from services.ingest.mime import Mail, MailLimits, read_mail
from services.ingest.skipping import skip_reason

OWN = ("edurenov@programme.example",)
LOOP = "X-Sourcier"


def mail(extra: str = "", sender: str = "mairie@valcourt.example", subject: str = "Étude") -> Mail:
    raw = f"From: {sender}\r\nSubject: {subject}\r\n{extra}\r\nQuel est le taux ?\r\n"
    return read_mail(raw.encode(), MailLimits())


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (mail("Auto-Submitted: auto-replied\r\n"), "auto-reply"),
        (mail("Auto-Submitted: auto-generated; x=y\r\n"), "auto-reply"),
        (mail("X-Auto-Response-Suppress: All\r\n"), "auto-reply"),
        (mail("Return-Path: <>\r\n"), "auto-reply"),
        (mail("X-Autoreply: yes\r\n"), "auto-reply"),
        (mail("Content-Type: multipart/report; report-type=delivery-status\r\n"), "auto-reply"),
        (mail(sender="MAILER-DAEMON@valcourt.example"), "auto-reply"),
        (mail(sender="no-reply@valcourt.example"), "auto-reply"),
        (mail(subject="Réponse automatique : Étude"), "auto-reply"),
        (mail(subject="Out of office: study"), "auto-reply"),
        (mail("Precedence: bulk\r\n"), "list"),
        (mail("Precedence: LIST\r\n"), "list"),
        (mail("List-Id: Lettre <lettre.valcourt.example>\r\n"), "list"),
        (mail("List-Unsubscribe: <mailto:x@valcourt.example>\r\n"), "list"),
        (mail("X-Sourcier: 1\r\n"), "loop"),
        (mail(sender="EduRenov@programme.example"), "loop"),
        (mail("X-Sourcier: 1\r\nAuto-Submitted: auto-replied\r\n"), "loop"),
    ],
)
def test_machines_and_lists_are_not_answered(read: Mail, code: str) -> None:
    found = skip_reason(read, "Quel est le taux ?", OWN, LOOP)
    assert found is not None
    assert found.code == code
    assert found.reason_fr.endswith(".")


@pytest.mark.parametrize(
    "read",
    [
        mail(),
        mail("Auto-Submitted: no\r\n"),
        mail("Return-Path: <mairie@valcourt.example>\r\n"),
        mail("X-Auto-Response-Suppress: None\r\n"),
        mail("Precedence: normal\r\n"),
        mail("Reply-To: elu@valcourt.example\r\n", sender="no-reply@formulaire.example"),
        mail(subject="Absence de réponse à notre demande"),
    ],
)
def test_people_are_answered(read: Mail) -> None:
    assert skip_reason(read, "Quel est le taux ?", OWN, LOOP) is None


def test_the_envelope_of_a_bounce() -> None:
    found = skip_reason(mail(), "Quel est le taux ?", OWN, LOOP, envelope_from="")
    assert found is not None
    assert found.code == "auto-reply"
    assert skip_reason(mail(), "x", OWN, LOOP, envelope_from="mairie@valcourt.example") is None


@pytest.mark.parametrize(
    ("subject", "text", "empty"),
    [
        ("Question", "", True),
        ("", " \n…", True),
        ("Re: Durée du prêt", "", True),
        ("Durée du prêt pour une école", "", False),
        ("", "Bonjour", False),
    ],
)
def test_empty_mails(subject: str, text: str, empty: bool) -> None:
    found = skip_reason(mail(subject=subject), text, OWN, LOOP)
    assert (found is not None and found.code == "empty") is empty
