"""The memory that a running stack takes, from /proc."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from shared.cli.where import Where


def memory(where: Where) -> dict[str, float]:
    """Peak resident memory in MB of every process of the stack, by name.

    PostgreSQL's processes share their buffers: each one's peak counts them again.
    """
    peaks: dict[str, float] = {}
    for name, process in processes(where):
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        peaks[name] = peaks.get(name, 0) + int(peak.split()[1]) / 1000
    return peaks


def proportional(where: Where) -> float:
    """Memory of the whole stack now in GB, what is shared counted once (PSS)."""
    total = 0
    for _, process in processes(where):
        try:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        total += int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
    return total / 1e6


class Watch:
    """Samples the stack's memory every two seconds and keeps the peak."""

    def __init__(self, where: Where) -> None:
        self.peak = 0.0
        self._where = where
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(2):
            self.peak = max(self.peak, proportional(self._where))


def processes(where: Where) -> Iterator[tuple[str, psutil.Process]]:
    """Every process of the stack with its service's or server's name."""
    state = json.loads((where.data / "stack.json").read_text()) if where.data else {}
    for name, pid in pids(state):
        root = psutil.Process(pid)
        yield from ((name, each) for each in [root, *root.children(recursive=True)])


def pids(state: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for group in ("services", "servers"):
        for name, entry in state.get(group, {}).items():
            if isinstance(entry, dict) and entry.get("pid"):
                yield name, int(entry["pid"])
