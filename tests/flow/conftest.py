"""One embedded stack for all flow tests of the run, as `sourcier up` starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from shared.cli.where import Where, locate

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
PROGRAM = Path(sys.executable).with_name("sourcier")


class Stack:
    """A running embedded stack, used through its command."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def run(self, *arguments: str | Path, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """`sourcier ARGUMENTS --data …`; fails the test when it fails and ``ok``."""
        done = subprocess.run(
            [PROGRAM, *arguments, "--data", self.data],
            capture_output=True,
            text=True,
            timeout=170,
            env=os.environ | {"NO_COLOR": "1", "COLUMNS": "160"},
        )
        assert done.returncode == 0 or not ok, f"{done.stdout}\n{done.stderr}"
        return done

    def lines(self, *arguments: str | Path, ok: bool = True) -> list[dict[str, Any]]:
        """The JSON lines that a command prints."""
        return [json.loads(line) for line in self.run(*arguments, ok=ok).stdout.splitlines()]

    def json(self, *arguments: str | Path) -> Any:
        """The one JSON value that a command prints."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def drafts(self) -> list[dict[str, Any]]:
        return list(self.json("drafts", "--limit", "500"))

    def send(self, *letters: Path, mailbox: str = "default") -> dict[str, dict[str, Any]]:
        """The outcome of each e-mail by file name."""
        wanted = ("send", *letters, "--mailbox", mailbox, "--wait", "--json")
        return {Path(told["file"]).name: told for told in self.lines(*wanted, ok=False)}

    def where(self) -> Where:
        with patch.dict(os.environ):  # the command would keep the stack's variables
            return locate(self.data)

    def feedback(self) -> httpx.Client:
        """feedback's API, as the operator."""
        where = self.where()
        headers = {"Authorization": f"Bearer {where.token()}"}
        return httpx.Client(base_url=where.url("feedback"), headers=headers, timeout=30)

    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.data / "stack.json").read_text()))


def running(data: Path, *options: str) -> Iterator[Stack]:
    """Starts a stack in ``data``, with ``options`` of `sourcier up`, and stops it."""
    stack = Stack(data)
    stack.run("up", "--detach", *options)
    try:
        yield stack
    finally:
        stack.run("down", ok=False)


# Of the package: what runs on idly slows the tests of other folders.
@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that holds the example documents."""
    for started in running(tmp_path_factory.mktemp("stack") / "data"):
        told = started.run("add", EXAMPLES / "documents")
        (started.data / "added.txt").write_text(told.stdout)
        yield started


def letter(folder: Path, name: str, text: str, **headers: str) -> Path:
    """A small e-mail in a file."""
    usual = {
        "From": "Mairie de Valombre <accueil@mairie-valombre.example>",
        "To": "contact@programme.example",
        "Subject": "Question",
        "Message-ID": f"<{name}-{time.monotonic_ns()}@mairie-valombre.example>",
        "Date": "Tue, 03 Nov 2026 10:12:00 +0100",
        "Content-Type": "text/plain; charset=utf-8",
    }
    kept = {**usual, **{key.replace("_", "-"): value for key, value in headers.items()}}
    head = "".join(f"{key}: {value}\r\n" for key, value in kept.items())
    path = folder / f"{name}.eml"
    path.write_bytes(f"{head}\r\n{text}\r\n".encode())
    return path
