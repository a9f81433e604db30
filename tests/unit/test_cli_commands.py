"""The command's words: help that teaches, failures that say what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from shared.cli.adding import Result
from shared.cli.documents import Handover, _distinct, _identity, _papers
from shared.cli.main import app
from shared.cli.problem import Problem


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    subcommands = getattr(command, "commands", None)
    if not subcommands:
        yield path
        return
    if getattr(command, "invoke_without_command", False):
        yield path
    for name, each in subcommands.items():
        yield from leaves(each, (*path, name))


COMMANDS = sorted(leaves(typer.main.get_command(app)))


def find(path: tuple[str, ...]) -> Any:
    command: Any = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    return command


def sourcier(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shared.cli.main", *words, "--data", str(folder / "none")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_teaches_with_an_example(path: tuple[str, ...]) -> None:
    help_text = find(path).help or ""
    assert f"Example: `sourcier {' '.join(path)}" in help_text


def test_every_promised_command_is_there() -> None:
    names = {" ".join(path) for path in COMMANDS}
    promised = {"up", "down", "add", "remove", "send", "drafts", "drafts show", "search", "status"}
    promised |= {f"dead-letters {verb}" for verb in ("list", "show", "replay")}
    promised |= {"topology apply", "topology check", "index rebuild", "models fetch"}
    assert promised <= names


@pytest.mark.parametrize(
    "words", [("status",), ("drafts",), ("search", "quoi ?"), ("dead-letters", "list"), ("down",)]
)
def test_a_stack_that_is_down_is_said_with_what_to_do(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    done = sourcier(*words, folder=tmp_path)
    assert done.returncode == 1
    assert "no stack is running in" in done.stderr
    assert words == ("down",) or "start it with `sourcier up --data" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    done = sourcier("send", str(tmp_path / "no.eml"), folder=tmp_path)
    assert done.returncode == 2
    assert "no.eml cannot be read: No such file or directory" in done.stderr


def test_names_are_paths_within_the_folder_given(tmp_path: Path) -> None:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    for name in ("a.md", "sub/é b.md", ".hidden"):
        (tmp_path / "docs" / name).write_text("x")
    papers = list(_papers([tmp_path / "docs"], "https://example.org/base/"))
    assert [paper.name for paper in papers] == ["a.md", "sub/é b.md"]
    assert papers[1].url == "https://example.org/base/sub/%C3%A9%20b.md"


def test_what_was_not_handed_in_or_had_no_outcome_is_told_with_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.md").write_text("x")
    silent = Result("[/a].md", "none", code="timeout", detail="handed in, but nothing moved")

    async def follow(*_: object) -> list[Result]:
        return [silent]

    monkeypatch.setenv("SOURCIER_NATS__URL", "nats://127.0.0.1:1")
    monkeypatch.setattr(Handover, "follow", follow)
    monkeypatch.setattr(Handover, "hand_in", follow)
    for options, last in (((), "1 files: 1 none"), (("--no-wait",), "0 files handed in")):
        done = CliRunner().invoke(app, ["add", str(tmp_path), *options])
        assert done.exit_code == 1
        assert "[/a].md" in done.output
        assert "handed in, but" in done.output
        assert last in done.output


def test_a_name_that_is_not_utf8_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="not UTF-8"):
        _identity("r\udce8gles.md", "default")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.md").write_text(folder)
    with pytest.raises(Problem, match="would be the same document"):
        _distinct(list(_papers([tmp_path / "a", tmp_path / "b"], None)))
