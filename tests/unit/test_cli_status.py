"""What `sourcier status` warns of."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from shared.cli import status


def found(**changes: Any) -> dict[str, Any]:
    streams = [
        {"name": "MAIL", "messages": 9, "bytes": 81, "max_bytes": 100},
        {"name": "DOCUMENT", "messages": 9, "bytes": 79, "max_bytes": 100},
        {"name": "DEAD", "messages": 9, "bytes": 10_000, "max_bytes": -1},
    ]
    empty = {"services": [], "streams": streams, "consumers": [], "dead_letters": 0}
    return empty | {"index": None, "feedback": None} | changes


def test_a_nearly_full_stream_is_warned_of() -> None:
    (warning,) = status._warnings(found())
    assert "stream MAIL is 81% full" in warning
    assert "streams.max_bytes" in warning


def test_refused_events_are_warned_of_and_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = found(feedback={"outcomes": {}, "refused": 3}, streams=[])
    told["warnings"] = status._warnings(told)
    console = Console(file=StringIO(), width=100)
    monkeypatch.setattr(status, "Console", lambda: console)
    status._print(told)
    assert isinstance(console.file, StringIO)
    assert "3 events of feedback were refused by the broker" in console.file.getvalue()
