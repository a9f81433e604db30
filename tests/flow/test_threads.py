"""Threads on the embedded stack: a newer e-mail takes the place of the older's untouched draft."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Stack, letter

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]
STUDY = "Bonjour,\r\n\r\nQuelle part de l'étude préalable est prise en charge ?\r\n"
LOAN = "Bonjour,\r\n\r\nSur combien d'années se rembourse le prêt travaux ?\r\n"


def sent(stack: Stack, folder: Path, name: str, text: str, **headers: str) -> dict[str, Any]:
    (told,) = stack.send(letter(folder, name, text, **headers)).values()
    assert told["outcome"] == "draft", told
    return told


def status(stack: Stack, told: dict[str, Any]) -> tuple[str, str]:
    shown = stack.json("drafts", "show", told["draft_id"])
    return shown["status"], shown["status_detail"]


def test_a_newer_mail_without_headers_withdraws_the_untouched_draft(
    stack: Stack, tmp_path: Path
) -> None:
    who = "Fil <fil@mairie-fil.example>"
    first = sent(stack, tmp_path, "un", STUDY, Subject="Projet de la rue Haute", From=who)
    other = sent(stack, tmp_path, "autre", LOAN, Subject="Projet de la rue Haute", From=who)
    again = "RE : projet de la rue Haute"
    told = stack.run("mails", "explain", letter(tmp_path, "x", LOAN, Subject=again, From=who))
    assert "(known)" in told.stdout
    assert f"before it: e-mail {other['mail_id']}" in told.stdout
    newer = sent(stack, tmp_path, "deux", LOAN + "Merci", Subject=again, From=who)
    why = "Un message plus récent de la même conversation est arrivé."
    assert status(stack, other) == ("withdrawn", why)
    assert status(stack, newer)[0] == "waiting"
    assert status(stack, first)[0] == "waiting", "the same subject alone makes no thread"
    (earlier,) = stack.json("drafts", "show", newer["draft_id"])["ready"]["mail"]["earlier"]
    assert "combien d'années" in earlier


def test_a_reviewed_draft_stays(stack: Stack, tmp_path: Path) -> None:
    who = {"From": "Garde <garde@mairie-fil.example>", "Subject": "Étude du gymnase"}
    name = "<gymnase-1@mairie-fil.example>"
    first = sent(stack, tmp_path, "un", STUDY, **who, **{"Message-ID": name})
    text = stack.json("drafts", "show", first["draft_id"])["ready"]["text"]
    edited = {"decision": "edited", "final_text": f"{text}\n\nBien à vous."}
    with stack.feedback() as api:
        path = f"/v1/drafts/{first['draft_id']}/review"
        assert api.post(path, json=edited).status_code == 200
    newer = sent(stack, tmp_path, "deux", LOAN, **who, **{"In-Reply-To": name})
    assert (status(stack, first)[0], status(stack, newer)[0]) == ("edited", "waiting")
