"""Commands in a container: the address of a login link, a folder that cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.cli import accounts
from shared.cli.main import app

PATH = "/login?link=abc"


@pytest.fixture(autouse=True)
def container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and a stack that variables tell of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCIER_NATS__URL", "nats://127.0.0.1:1")
    monkeypatch.setenv("SOURCIER_FEEDBACK_URL", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("feedback", "public", "told"),
    [
        ("http://feedback:8000", None, PATH),
        ("http://feedback:8000", "https://desk.example.org/", f"https://desk.example.org{PATH}"),
        ("http://127.0.0.1:8080", None, f"http://127.0.0.1:8080{PATH}"),
    ],
)
def test_a_link_is_for_where_the_desk_is_published(
    monkeypatch: pytest.MonkeyPatch, feedback: str, public: str | None, told: str
) -> None:
    monkeypatch.setenv("SOURCIER_FEEDBACK_URL", feedback)
    if public:
        monkeypatch.setenv("SOURCIER_DESK__PUBLIC_URL", public)
    monkeypatch.setattr(accounts, "feedback", lambda *_, **__: {"path": PATH})
    done = CliRunner().invoke(app, ["accounts", "link", "jeanne"])
    assert done.stdout.strip() == told
    assert ("published" in done.stderr) == (told == PATH)


def test_an_export_is_refused_before_the_work_where_it_cannot_be_written() -> None:
    Path("taken").write_text("a file")
    done = CliRunner().invoke(app, ["export", "all", "--out", "taken/here"])
    assert done.exit_code
    told = f"{done.output} {done.exception}"
    assert "choose another --out" in told
    assert "docs/deploy.md" in told
