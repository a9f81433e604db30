"""What comes from outside is shown as it stands: no markup, nothing a terminal would obey."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from shared.cli import documents, drafts
from shared.cli.plain import as_json, line, lines
from shared.cli.render import panel, table
from shared.events import DraftReady
from shared.queries import SearchAnswer
from tests import samples

HOSTILE = "[/externe] [spam]\x1b[2J\x9b31m\x07 \udce9 [bold]Question"
SHOWN = "[/externe] [spam][2J31m \ufffd [bold]Question"
SOURCE = {"number": 1, "title": HOSTILE, "page": 2, "heading": HOSTILE, "url": HOSTILE}


def shown(*what: RenderableType) -> str:
    console = Console(file=StringIO(), width=400, force_terminal=False)
    console.print(*what)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert not set(text) & set("\x1b\x9b\x07\udce9")
    return text


def outcome(kind: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"text": "", "sources": [], "passages": [], "reason": "", "detail": ""}
    return {"outcome": kind, "file": HOSTILE, "timings": {"total": 1.0}} | empty | more


def test_a_line_stays_one_line_and_lines_stay_lines() -> None:
    assert line("a\r\n\tb\u2028c\x85d").plain == "a b c d"
    assert lines("a\r\n\n\tb\x00c").plain == "a\n\n    bc"


def test_json_keeps_every_character_and_says_none_to_the_terminal() -> None:
    written = as_json({"subject": HOSTILE + "é\x7f"})
    assert json.loads(written) == {"subject": HOSTILE + "é\x7f"}
    assert "é" in written
    assert not set(written) & {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\udce9"}


def test_a_draft_and_its_sources_are_shown_as_they_stand() -> None:
    text = shown(
        panel(
            outcome("draft", text=f"Bonjour,\n\n{HOSTILE}", sources=[SOURCE], unanswered=[HOSTILE])
        )
    )
    assert text.count(SHOWN) == 6  # file, text, title, heading, url, unanswered
    assert "Bonjour," in text.splitlines()[1]


def test_a_reason_and_its_passages_are_shown_as_they_stand() -> None:
    passage = {"title": HOSTILE, "heading": HOSTILE}
    text = shown(panel(outcome("declined", reason="why", detail=HOSTILE, passages=[passage])))
    assert text.count(SHOWN) == 4


def test_a_tables_title_and_cells_are_shown_as_they_stand() -> None:
    assert shown(table(HOSTILE, ["file", "reason"], [[HOSTILE, HOSTILE]])).count(SHOWN) == 3


def test_found_passages_are_shown_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    passage = samples.PASSAGE.model_copy(
        update={"title": HOSTILE, "heading_path": (HOSTILE,), "text": HOSTILE}
    )
    answer = SearchAnswer.model_construct(passages=(passage,), evidence=0.5)
    console = Console(file=StringIO(), width=400)
    documents._show(console, answer)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().count(SHOWN) == 3


def test_a_stored_draft_is_shown_with_its_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = next(each for each in samples.events() if isinstance(each, DraftReady)).data
    data = ready.model_dump(mode="json")
    data["mail"]["subject"] = "[/externe] Question"
    stored = {"ready": data, "declined": None, "status": "waiting", "status_detail": ""}
    monkeypatch.setattr(drafts, "feedback", lambda *_, **__: stored)
    monkeypatch.setenv("SOURCIER_NATS__URL", "nats://127.0.0.1:1")
    monkeypatch.setenv("SOURCIER_FEEDBACK_URL", "http://127.0.0.1:1")
    done = CliRunner().invoke(drafts.app, ["show", str(ready.draft_id)])
    assert done.exit_code == 0, done.output
    assert "[/externe] Question · waiting" in done.output
