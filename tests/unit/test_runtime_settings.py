"""A service that is wrongly configured says so in one line, without any value: it may be secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.cli.main import app
from shared.cli.problem import Problem

PROGRAM = "from shared.runtime import run; run('generate', None)"
FILES = {
    "[nats": "Expected",
    '[nats]\nurll = "geheim"': "nats.urll: Extra inputs",
    '[objects]\nsecret_key = ["geheim"]': "objects.secret_key",
}


@pytest.mark.parametrize(("text", "words"), FILES.items())
def test_a_service_ends_in_words(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    repository = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=repository,
        env=os.environ | {"SOURCIER_CONFIG": str(tmp_path / "bad.toml")},
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["event"] == "refused to start"
    assert words in json.loads(line)["reason"]
    assert "geheim" not in line


def test_the_command_says_that_its_file_is_no_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.toml").write_text("[nats")
    monkeypatch.setenv("SOURCIER_CONFIG", str(tmp_path / "bad.toml"))
    done = CliRunner().invoke(app, ["config", "show"])
    assert isinstance(done.exception, Problem)
    assert "configuration is wrong" in str(done.exception)
