"""The demonstration's last words: what became of the e-mails, and what to try next."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from deploy.local.demo import Demo
from shared.cli.adding import Result
from shared.cli.where import Where
from shared.settings import Settings


def outcome(file: str, kind: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"sources": [], "reason": "", "timings": {"total": 1.234}}
    return {"file": file, "outcome": kind} | empty | more


def test_the_summary_tells_every_outcome_and_what_to_try(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=120)
    where = Where(Settings(), {"feedback": {"url": "http://127.0.0.1:8085"}}, tmp_path)
    outcomes = [
        outcome("b[/spam].eml", "declined", reason="no-passage"),
        outcome("a.eml", "draft", sources=[{}, {}]),
        outcome("c\x1b[2J.eml", "none", reason="timeout"),
        outcome("d.eml", "draft", sources=[{}]),
    ]
    Demo(console)._summary(where, [Result("guide.md", "indexed", chunks=3)], outcomes)

    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    told = " ".join(text.split())
    assert "4 e-mails: 1 declined, 2 draft, 1 none; 1 documents (0 s)" in told
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in text.splitlines()]
    assert [row for row in rows if row and row[0]] == [
        ["a.eml", "draft", "sources: 2", "1.23"],
        ["b[/spam].eml", "declined", "no-passage", "1.23"],
        ["c[2J.eml", "none", "timeout", "1.23"],
        ["d.eml", "draft", "sources: 1", "1.23"],
    ]
    assert "http://127.0.0.1:8085/v1/drafts" in text
    for verb in ("send my.eml --wait", "add FOLDER", 'search "…"', "status"):
        assert f"sourcier {verb} --data" in text
