"""Ends what a Ray of one machine leaves behind: waits until its starter is gone, then kills.

Ray's own agents outlive a starter that is killed, by minutes: they wait for a server that is
gone too. Usage: ``python -m services.generate.adapters.ray_reaper FOLDER`` with a pipe of the
starter's as standard input.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

MARK = "SOURCIER_RAY"
"""Variable by which the processes of one Ray are known: its folder."""


def reap(folder: str, within: float = 10) -> None:
    """Kill every process of the Ray in ``folder``, and remove that."""
    deadline = time.monotonic() + within
    while (left := members(folder)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def members(folder: str) -> list[int]:
    """The process ids of the Ray in ``folder``."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it is gone, or another user's
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


if __name__ == "__main__":
    sys.stdin.read()
    reap(sys.argv[1])
