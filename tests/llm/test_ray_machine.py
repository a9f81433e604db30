"""A Ray of our own leaves nothing behind, however its starter ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.local.process import free_ports
from services.generate.adapters.ray_reaper import members
from tests.llm.server import MARKS

pytestmark = MARKS

PROGRAM = """
import os, signal, sys, time
from services.generate.adapters.ray_machine import machine
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` turns it off
with machine(1, "127.0.0.1", int(sys.argv[1])):
    print(os.environ["SOURCIER_RAY"], flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_nothing_is_left_when_the_starter_ends(number: signal.Signals) -> None:
    command = [sys.executable, "-c", PROGRAM, str(free_ports(1)[0])]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert starter.stdout is not None
    lines = (line.strip() for line in starter.stdout)
    folder = next(line for line in lines if line.startswith("/"))
    assert len(members(folder)) > 5
    starter.send_signal(number)
    starter.wait(timeout=60)
    deadline = time.monotonic() + 30
    while members(folder) or Path(folder).exists():
        assert time.monotonic() < deadline, members(folder)
        time.sleep(0.2)
