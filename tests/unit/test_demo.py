"""The demonstration: which engine it takes, and its last words."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.local import demo_model
from deploy.local.demo import Demo
from deploy.local.demo_model import ModelServer, Way, last_words, prepared, way
from shared.cli.adding import Result
from shared.cli.problem import Problem
from shared.cli.where import Where
from shared.model_settings import Generation, Serving
from shared.settings import Settings

ENDPOINT = Generation(endpoint="http://host/v1", model="m")


def outcome(file: str, kind: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"sources": [], "reason": "", "engine": "", "timings": {"total": 1.234}}
    return {"file": file, "outcome": kind} | empty | more


def test_the_summary_tells_every_outcome_and_what_to_try(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=120)
    where = Where(Settings(), {"feedback": {"url": "http://127.0.0.1:8085"}}, tmp_path)
    outcomes = [
        outcome("b[/spam].eml", "declined", reason="no-passage"),
        outcome("a.eml", "draft", sources=[{}, {}], engine="extractive"),
        outcome("c\x1b[2J.eml", "none", reason="timeout"),
        outcome("d.eml", "draft", sources=[{}], engine="openai"),
    ]
    results = [Result("guide.md", "indexed", chunks=3)]
    Demo(console)._summary(where, results, outcomes, "extractive")

    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    told = " ".join(text.split())
    assert "4 e-mails: 1 declined, 2 draft, 1 none; 1 documents (0 s)" in told
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in text.splitlines()]
    assert [row for row in rows if row and row[0]] == [
        ["a.eml", "draft", "sources: 2", "extractive", "1.23"],
        ["b[/spam].eml", "declined", "no-passage", "", "1.23"],
        ["c[2J.eml", "none", "timeout", "", "1.23"],
        ["d.eml", "draft", "sources: 1", "openai", "1.23"],
    ]
    assert "http://127.0.0.1:8085\n" in text
    for verb in ("send my.eml --wait", "add FOLDER", 'search "…"', "status"):
        assert f"sourcier {verb} --data" in text
    assert "make demo-vllm" in text.splitlines()[-2]


@pytest.mark.parametrize(
    ("generation", "asked", "gpu", "engine", "expected"),
    [
        (Generation(), False, False, None, "extractive"),
        (Generation(), False, True, None, "serving"),
        (Generation(), True, False, None, "serving"),
        (ENDPOINT, False, True, None, "endpoint"),
        (ENDPOINT, True, False, None, "serving"),
        (ENDPOINT, False, True, "extractive", "extractive"),
    ],
)
def test_what_is_configured_comes_before_what_is_found(
    generation: Generation,
    asked: bool,
    gpu: bool,
    engine: str | None,
    expected: Way,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SOURCIER_GENERATION__ENGINE", raising=False)
    if engine:
        monkeypatch.setenv("SOURCIER_GENERATION__ENGINE", engine)
    monkeypatch.setattr(demo_model, "installed", lambda: True)
    monkeypatch.setattr(demo_model, "device", lambda: "gpu" if gpu else "cpu")
    assert way(generation, asked) == expected


def test_each_way_ends_with_how_to_take_another() -> None:
    assert "the path, not the quality" in last_words("serving", Serving().model)
    for taken in ("serving", "endpoint"):
        told = last_words(taken, "mistral-7b-instruct-v0.3")
        assert "written with mistral-7b" in told
        assert "demonstration" not in told
        assert "SOURCIER_GENERATION__ENGINE=extractive make demo" in told
    assert "SOURCIER_GENERATION__ENDPOINT=" in last_words("extractive", None)


def test_services_find_the_server_before_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ENGINE", "ENDPOINT", "MODEL", "IN_FLIGHT"):
        monkeypatch.setenv(f"SOURCIER_GENERATION__{name}", "")  # given back at the end
        monkeypatch.delenv(f"SOURCIER_GENERATION__{name}")
    monkeypatch.setattr(demo_model, "installed", lambda: True)
    monkeypatch.setattr(demo_model, "device", lambda: "cpu")
    server = prepared(Settings(), "serving", tmp_path)
    assert server is not None
    found = Settings().generation
    assert (found.engine, found.model) == ("openai", Serving().model)
    assert (found.in_flight, found.profile().form) == (4, "select")
    assert str(found.endpoint).endswith("/v1")


def test_a_server_that_ends_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/ls")  # refuses the arguments of Python
    server = ModelServer(Serving(), tmp_path)
    server.start()
    with pytest.raises(Problem, match=r"serving\.log"):
        server.wait(lambda: None)
    server.stop()
