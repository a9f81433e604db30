"""`mails explain`: every decision about an e-mail in words, with or without a running stack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from services.ingest import explain
from services.ingest.api import _add_errors as add_errors
from services.ingest.api import add_preview
from services.ingest.explaining import of_thread, of_triage
from services.ingest.mail_service import Registration
from services.ingest.mime import MailLimits, read_mail
from services.ingest.threads import strand_of
from services.ingest.triage import Sorted
from shared.categories import Category, Triage
from shared.objects import MemoryObjects
from shared.settings import Ingest, Settings
from tests.fakes.intake_memory import DirectReader, WordCounter
from tests.unit.test_ingest_mails import accepted, an_intake, mail

EXAMPLES = Path(__file__).parents[2] / "examples/mails"


def explained(name: str, **settings: object) -> dict[str, str]:
    config = Settings.model_validate(settings)
    sections = explain.explain((EXAMPLES / name).read_bytes(), "default", config)
    return {section.title: "\n".join(section.lines) for section in sections}


def test_what_is_left_out_and_why_it_is_asked() -> None:
    told = explained("04-fil-outlook-deliberation.eml")
    assert "Subject: RE: Compte rendu de notre échange téléphonique" in told["Headers"]
    assert "text/plain, charset utf-8, quoted-printable" in told["Parts"]
    assert "[quote] left out\n    De : Guichet EduRénov" in told["Text"]
    assert "[body] new text\n    Merci pour ce compte rendu." in told["Text"]
    assert "language: fr\n1. Pour la demande de prêt" in told["Questions"]
    assert "a reply" in told["Thread"]
    assert "not looked up: no stack is running" in told["Thread"]
    assert "no categories are configured" in told["Category"]
    assert "unless what was not looked up forbids it" in told["Outcome"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("10-absence-du-bureau.eml", "skipped as auto-reply: Message automatique"),
        ("11-lettre-information.eml", "skipped as list: "),
        ("12-message-vide.eml", "skipped as empty: "),
    ],
)
def test_a_skipped_mail_has_its_reason_and_no_questions(name: str, reason: str) -> None:
    told = explained(name)
    assert reason in told["Outcome"]
    assert "Questions" not in told


def test_attachments_and_charsets_are_told() -> None:
    told = explained("07-piece-jointe-deliberation.eml")
    assert "attached: deliberation-extrait.pdf, application/pdf, " in told["Parts"]
    assert "made from HTML" in explained("17-html-seul-economies.eml")["Parts"]
    assert "charset iso-8859-1" in explained("09-passeport.eml")["Parts"]


def test_ingest_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(explain.INGEST_URL, "http://127.0.0.1:1")
    told = explained("09-passeport.eml")["Thread"]
    assert "not looked up: ingest does not answer" in told


def test_embed_out_of_reach_is_said() -> None:
    triage = Triage(categories={"aide": Category(description="aides")})
    told = explained("01-creche-municipale.eml", triage=triage, nats={"url": "nats://127.0.0.1:1"})
    assert "not sorted: embed is not reachable" in told["Category"]


def test_scores_and_what_the_category_does() -> None:
    config = Triage(
        categories={
            "merci": Category(description="x", draft=False, collections=("a", "b"), tone="warm"),
            "aide": Category(description="y"),
        },
        fallback="aide",
    )
    merci, aide = config.categories.values()
    told = of_triage(config, Sorted("merci", merci, {"merci": 0.81, "aide": 0.19})).lines
    assert told[:2] == ("  81% merci", "  19% aide")
    assert set(told[2:]) == {"category: merci", "draft: no", "collections: a, b", "style: warm"}
    unsure = of_triage(config, Sorted("aide", aide, {"merci": 0.5, "aide": 0.5}, fallback=True))
    assert "category: aide, the fallback: no category reaches its threshold" in unsure.lines
    assert "collections: those of the mailbox" in unsure.lines


def test_the_thread_is_told_as_known_or_new() -> None:
    raw = (EXAMPLES / "04-fil-outlook-deliberation.eml").read_bytes()
    read = read_mail(raw, MailLimits())
    strand = strand_of(read, "default", uuid4(), ())
    new = of_thread(strand, read.subject, Registration("accepted", strand.thread_id))
    assert f"thread: {strand.thread_id} (begins here)" in new.lines
    before = uuid4()
    known = of_thread(strand, read.subject, Registration("accepted", uuid4(), (before,)))
    assert known.lines[-2].endswith("(known)")
    assert known.lines[-1] == f"before it: e-mail {before}"


def test_no_mail_breaks_it(tmp_path: Path) -> None:
    for number, raw in enumerate((b"", b"\x00\x01", b"From: a@b.example\r\n\r\n\x1b[31m\xff ?")):
        file = tmp_path / f"{number}.eml"
        file.write_bytes(raw)
        assert explain.main([str(file)]) == 0


def test_wrong_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main([str(tmp_path / "none.eml")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    file = EXAMPLES / "09-passeport.eml"
    assert explain.main([str(file), "--mailbox", "autre"]) == 2
    assert "no mailbox 'autre' in sourcier.toml; there is: default" in capsys.readouterr().err


def test_the_command_runs_the_tool(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("sourcier")
    done = subprocess.run(
        [program, "mails", "explain", EXAMPLES / "09-passeport.eml", "--data", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "1. Quels sont les délais actuels" in done.stdout


async def test_ingest_tells_a_thread_over_http() -> None:
    intake = an_intake(MemoryObjects(), DirectReader(WordCounter()))
    api = FastAPI()
    add_errors(api)
    add_preview(api, intake, Ingest())
    first = await accepted(intake, mail())
    reply = mail("Et le délai ?", "<2@exemple.org>", References="<1@exemple.org>").as_bytes()
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        for _ in range(2):
            answer = await client.post("/v1/mails/preview", content=reply)
            told = TypeAdapter(Registration).validate_json(answer.content)
            assert (told.outcome, told.thread_id) == ("accepted", first.thread_id)
        wrong = {"mailbox": "autre"}
        assert (
            await client.post("/v1/mails/preview", params=wrong, content=reply)
        ).status_code == 422
        assert (await client.post("/v1/mails/preview", content=b"\x00")).status_code == 422
