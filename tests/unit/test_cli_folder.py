"""The data folder: secrets, remembered ports, one supervisor at a time, recovery."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import keys
from deploy.local.folder import AlreadyRunning, DataFolder, Running
from shared.cli.where import running_state


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = keys.nkey_seeds(folder, ["ingest", "embed"])
    assert keys.nkey_seeds(folder, ["ingest", "embed"]) == first
    assert first["ingest"] != first["embed"]
    assert all(key.startswith("U") for key in first.values())
    assert mode(folder) == 0o700
    assert {mode(file) for file in folder.iterdir()} == {0o600}


def test_ports_are_remembered_while_they_are_free(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    first = folder.ports(["nats", "s3", "feedback"])
    assert len(set(first.values())) == 3
    assert folder.ports(["nats", "s3", "feedback"]) == first
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first["s3"]))
        taken.listen()
        again = folder.ports(["nats", "s3", "feedback"])
    assert again["s3"] != first["s3"]
    assert again["nats"] == first["nats"]


def test_one_supervisor_at_a_time(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.take()
    assert running_state(tmp_path) is None  # held, but it has not said anything yet
    folder.write_state({"state": "running", "servers": {}, "services": {}})
    state = running_state(tmp_path)
    assert state is not None
    assert state["state"] == "running"
    with pytest.raises(AlreadyRunning, match="sourcier down"):
        DataFolder(tmp_path).take()
    folder.release()
    assert running_state(tmp_path) is None
    DataFolder(tmp_path).take()


def test_a_crashed_supervisors_processes_are_ended(tmp_path: Path) -> None:
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        running = Running.of(left.pid)
        assert running is not None
        row = {"pid": running.pid, "created": running.created}
        stranger = {"pid": running.pid, "created": running.created - 1000}
        folder = DataFolder(tmp_path)
        folder.write_state({"servers": {}, "services": {"x": stranger}})
        assert folder.recover() == 0  # the pid is another process' by now
        folder.write_state({"servers": {}, "services": {"x": row}})
        assert folder.recover() == 1
        assert left.wait(5) is not None
        assert mode(tmp_path / "stack.json") == 0o600
    finally:
        left.kill()
        left.wait()
