"""Another draft at an agent's wish, on the embedded stack, by command and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Stack, letter

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]


@pytest.fixture
def draft_id(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """The first draft of an e-mail of this test's own."""
    text = "Bonjour,\r\n\r\nQuelle part de l'étude préalable est prise en charge ?\r\n"
    (told,) = stack.send(letter(tmp_path, "encore", text)).values()
    assert told["outcome"] == "draft", told
    return str(told["draft_id"])


def regenerated(stack: Stack, draft_id: str, *options: str) -> dict[str, Any]:
    (told,) = stack.lines("drafts", "regenerate", draft_id, *options, "--wait", "--json")
    return told


def test_both_drafts_are_kept_until_one_is_approved(stack: Stack, draft_id: str) -> None:
    again = regenerated(stack, draft_id, "--instruction", "Plus court.", "--engine", "extractive")
    assert (again["outcome"], again["request_id"]) == ("draft", 1)
    assert again["draft_id"] != draft_id
    mine = [d for d in stack.drafts() if d["mail_id"] == again["mail_id"]]
    assert {(d["draft_id"], d["request_id"], d["status"]) for d in mine} == {
        (draft_id, 0, "waiting"),
        (again["draft_id"], 1, "waiting"),
    }
    listed = stack.run("drafts", "--limit", "5").stdout
    assert again["draft_id"][:8] in listed
    assert "extractive" in listed
    first, second = (
        stack.json("drafts", "show", i)["ready"] for i in (draft_id, again["draft_id"])
    )
    assert second["passages"] == first["passages"]
    assert any(check["name"] == "instruction" for check in second["checks"])

    with stack.feedback() as api:
        path = f"/v1/drafts/{again['draft_id']}/review"
        approved = api.post(path, json={"decision": "approved"})
    assert approved.status_code == 200, approved.text
    shown = stack.json("drafts", "show", draft_id)
    assert (shown["status"], shown["ready"]["text"]) == ("withdrawn", first["text"])
    for closed, why in ((draft_id, "a été retiré"), (again["draft_id"], "déjà été approuvé")):
        refused = stack.run("drafts", "regenerate", closed, ok=False)
        assert refused.returncode == 1
        assert why in refused.stderr


def test_an_engine_that_is_not_there_is_said_to_the_person_who_asked(
    stack: Stack, draft_id: str
) -> None:
    missing = regenerated(stack, draft_id, "--engine", "openai")
    assert (missing["outcome"], missing["reason"]) == ("declined", "engine-missing")
    assert "extractive" in missing["detail"]
    unknown = stack.run("drafts", "regenerate", draft_id, "--engine", "opnai", ok=False)
    assert unknown.returncode == 1
    assert "'extractive' or 'openai'" in unknown.stderr
    with stack.feedback() as api:
        mail = api.get(f"/v1/mails/{missing['mail_id']}").json()
    assert (mail["outcome"], mail["draft_id"]) == ("draft", draft_id)


def test_asking_without_waiting_tells_the_request(stack: Stack, draft_id: str) -> None:
    told = stack.run("drafts", "regenerate", draft_id[:13]).stdout
    assert "draft 1 of e-mail" in told
