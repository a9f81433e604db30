"""The journey on the embedded stack: real servers, the services as processes, the real model."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from shared.cli.client import connected
from shared.clock import utcnow
from shared.events import MailReceived, MailReceivedData

from .conftest import EXAMPLES, Stack, letter

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]
EXPECTED = json.loads((EXAMPLES / "mails" / "expected.json").read_text())


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.fixture(scope="module")
def outcomes(stack: Stack) -> dict[str, dict[str, Any]]:
    return stack.send(*sorted((EXAMPLES / "mails").glob("*.eml")))


@pytest.fixture(scope="module")
def drafts(stack: Stack, outcomes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The drafts in full, as feedback holds them, by e-mail file."""
    return {
        name: stack.json("drafts", "show", told["draft_id"])["ready"]
        for name, told in outcomes.items()
        if told["outcome"] == "draft"
    }


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example_mail_has_the_expected_outcome(
    name: str, outcomes: dict[str, dict[str, Any]]
) -> None:
    told, expected = outcomes[name], EXPECTED[name]
    assert told["outcome"] == expected["outcome"], told
    if "reason" in expected:
        assert told["reason"] == expected["reason"]
    for words in expected.get("absent", []):
        assert words not in told["text"]


@pytest.mark.parametrize("name", sorted(n for n, e in EXPECTED.items() if "answers" in e))
def test_the_answer_is_among_the_passages_and_cited(
    name: str, drafts: dict[str, dict[str, Any]]
) -> None:
    draft = drafts[name]
    cited = {p for part in draft["parts"] for p in part["citations"]}
    for answer in EXPECTED[name]["answers"]:
        holding = [
            p
            for p in draft["passages"]
            if all(key in squeezed(p["text"]) for key in map(squeezed, answer["keys"]))
        ]
        assert holding, f"no passage holds {answer['keys']}"
        assert cited & {p["passage_id"] for p in holding}, f"{answer['keys']} is not cited"


def test_every_statement_is_cited_and_every_mark_has_its_source(
    drafts: dict[str, dict[str, Any]],
) -> None:
    for name, draft in drafts.items():
        given = {p["passage_id"] for p in draft["passages"]}
        numbers = {source["number"] for source in draft["sources"]}
        marks = {int(n) for n in re.findall(r"\[(\d+)\]", draft["text"])}
        assert marks == numbers == set(range(1, len(numbers) + 1)), name
        assert len({s["document_id"] for s in draft["sources"]}) == len(draft["sources"]), name
        for part in draft["parts"]:
            assert set(part["citations"]) <= given, name


def test_the_same_mail_twice_is_one_draft(
    stack: Stack, outcomes: dict[str, dict[str, Any]]
) -> None:
    again = stack.send(EXAMPLES / "mails" / "02-duree-emprunt.eml")
    (told,) = again.values()
    assert (told["outcome"], told["reason"]) == ("skipped", "duplicate")
    mail = outcomes["02-duree-emprunt.eml"]["mail_id"]
    listed = [d for d in stack.drafts() if d["mail_id"] == mail]
    assert len(listed) == 1


def test_a_new_version_replaces_and_a_removal_removes(stack: Stack, tmp_path: Path) -> None:
    document = tmp_path / "cantines.md"
    document.write_text("# Cantines\n\nLes fours solaires de cantine sont subventionnés à 12 %.\n")
    stack.run("add", document)
    assert "12 %" in _found(stack, "fours solaires de cantine")
    document.write_text("# Cantines\n\nLes fours solaires de cantine sont subventionnés à 34 %.\n")
    stack.run("add", document)
    found = _found(stack, "fours solaires de cantine")
    assert "34 %" in found
    assert "12 %" not in found
    stack.run("remove", "cantines.md")
    assert "fours solaires" not in _found(stack, "fours solaires de cantine")


def _found(stack: Stack, question: str) -> str:
    return stack.run("search", question, "--json", "--limit", "20").stdout


def test_unreadable_documents_are_rejected_with_a_reason(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "vide.txt").write_text("")
    (tmp_path / "casse.pdf").write_bytes(b"%PDF-1.7\nrien de plus")
    (tmp_path / "programme.exe").write_bytes(b"MZ\x00\x01" * 50)
    told = stack.run("add", tmp_path, ok=False)
    assert told.returncode != 0
    for name in ("vide.txt", "casse.pdf", "programme.exe"):
        assert name in told.stdout + told.stderr


async def test_a_mail_whose_body_is_missing_becomes_a_dead_letter(stack: Stack) -> None:
    before = len(stack.lines("dead-letters", "list", "--json"))
    data = MailReceivedData(mailbox="default", key="inbox/test/nothing-here")
    event = MailReceived.make(
        source="test", subject="test", time=utcnow(), data=data, id=uuid.uuid4()
    )
    async with connected(stack.where().settings) as client:
        await client.say(event)
    for _ in range(50):
        listed = stack.lines("dead-letters", "list", "--json")
        if len(listed) > before:
            break
        await asyncio.sleep(0.2)
    assert len(listed) == before + 1
    assert "inbox/test/nothing-here" in json.dumps(listed[-1])


def test_an_odd_mail_is_skipped_with_words(stack: Stack, tmp_path: Path) -> None:
    """Nested far beyond the limit: unreadable, not a crash."""
    body = "Content-Type: multipart/mixed; boundary=b{0}\r\n\r\n--b{0}\r\n"
    bomb = tmp_path / "bombe.eml"
    head = "From: a@b.example\r\nMessage-ID: <bomb@b.example>\r\n"
    bomb.write_text(head + "".join(body.format(n) for n in range(200)) + "x")
    (told,) = stack.send(bomb).values()
    assert (told["outcome"], told["reason"]) == ("skipped", "unreadable")
    assert told["detail"]


def test_status_tells_services_streams_and_index(stack: Stack) -> None:
    for _ in range(20):  # an outcome is told before the last consumer is done with it
        status = stack.json("status")
        if not any(c["waiting"] for c in status["consumers"]):
            break
        time.sleep(0.5)
    ready = {s["name"] for s in status["services"] if s["ready"]}
    assert ready == {"ingest", "embed", "retrieve", "generate", "feedback"}
    assert {s["name"] for s in status["streams"]} == {"MAIL", "DOCUMENT", "DRAFT", "DEAD"}
    assert [c for c in status["consumers"] if c["waiting"]] == []
    assert status["index"]


def test_a_question_of_ones_own(stack: Stack, tmp_path: Path) -> None:
    mail = letter(tmp_path, "crèche", "Bonjour,\r\n\r\nUne crèche peut-elle être aidée ?\r\n")
    (told,) = stack.send(mail).values()
    assert told["outcome"] == "draft"
    assert told["sources"]
    assert told["timings"]["total"] < 60
