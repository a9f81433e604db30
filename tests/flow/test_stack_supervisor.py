"""The supervisor on real servers, with one real service: start, guard, restart, drain, recover."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from deploy.local.folder import DataFolder
from shared.admin import check
from shared.cli.where import running_state
from shared.settings import Nats, Settings

START = (
    "import sys, deploy.local.supervisor as s, deploy.local.stack as t; "
    "s.SERVICES = t.SERVICES = ('feedback',); sys.exit(s.main())"
)


class Supervised:
    """A supervisor of real servers and of feedback alone, which needs no model."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.output = data.with_suffix(".out")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> dict[str, Any]:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, "--data", self.data],
                stdout=output,
                stderr=output,
            )
        return self.until(lambda state: state["state"] == "running")

    def until(self, holds: Callable[[dict[str, Any]], bool], within: float = 150) -> dict[str, Any]:
        """The stack's state once ``holds(state)``."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            state = running_state(self.data)
            if state and holds(state):
                return state
            assert self.process is not None
            logs = "".join(log.read_text()[-1500:] for log in self.data.glob("logs/*.log"))
            assert self.process.poll() is None, self.output.read_text() + logs
            time.sleep(0.1)
        raise AssertionError(f"not within {within} s: {running_state(self.data)}")

    def pids(self) -> list[int]:
        state = running_state(self.data) or {"servers": {}, "services": {}}
        rows = [*state["servers"].values(), *state["services"].values()]
        return [row["pid"] for row in rows]

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def gone(pids: list[int], within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    supervisor = Supervised(tmp_path / "data")
    yield supervisor
    supervisor.end()


async def test_start_guard_restart_and_drain(supervised: Supervised) -> None:
    state = supervised.start()
    config = _operator(supervised.data, state)
    assert await check(config) == []
    await _refused_without_key(config)
    await _feedback_may_not_speak_for_generate(supervised.data, config)
    assert [f for f in supervised.data.rglob("*.nk") if f.stat().st_mode & 0o077] == []
    assert (supervised.data / "stack.json").stat().st_mode & 0o077 == 0

    await asyncio.to_thread(_refused_a_second_time, supervised.data)

    pid = state["services"]["feedback"]["pid"]
    os.kill(pid, signal.SIGKILL)
    again = supervised.until(
        lambda s: (
            s["services"]["feedback"]["state"] == "running"
            and s["services"]["feedback"]["pid"] != pid
        )
    )
    assert again["services"]["feedback"]["restarts"] == 1

    left = supervised.pids()
    supervised.end()
    assert supervised.process is not None
    assert supervised.process.returncode == 0, supervised.output.read_text()
    assert gone(left, 1)
    assert '"drained"' in (supervised.data / "logs" / "feedback.log").read_text()
    assert running_state(supervised.data) is None


async def test_a_killed_supervisor_leaves_nothing_and_loses_nothing(
    supervised: Supervised,
) -> None:
    state = supervised.start()
    config = _operator(supervised.data, state)
    connection = await nats.connect(config.nats.url, nkeys_seed=str(config.nats.nkey_seed))
    await connection.jetstream().publish("mail.received.v1.default", b"kept", stream="MAIL")
    await connection.close()
    left = supervised.pids()
    assert supervised.process is not None
    supervised.process.kill()
    supervised.process.wait()
    assert gone(left, 30), "the kernel ends the children of a killed supervisor"

    again = supervised.start()
    assert again["environment"]["SOURCIER_NATS__URL"] == config.nats.url, "ports are remembered"
    connection = await nats.connect(config.nats.url, nkeys_seed=str(config.nats.nkey_seed))
    kept = await connection.jetstream().get_last_msg("MAIL", "mail.received.v1.default")
    await connection.close()
    assert kept.data == b"kept"


def test_a_server_that_dies_is_started_again(supervised: Supervised) -> None:
    state = supervised.start()
    pid = state["servers"]["nats"]["pid"]
    os.kill(pid, signal.SIGKILL)
    supervised.until(lambda s: s["servers"]["nats"]["pid"] not in (pid, None))
    port = int(state["environment"]["SOURCIER_NATS__URL"].rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), 5):
        pass
    assert state["services"]["feedback"]["restarts"] == 0


def test_a_crash_loop_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    supervisor = Supervised(tmp_path / "data")
    supervisor.data.mkdir()
    port = DataFolder(supervisor.data).ports(["feedback"])["feedback"]
    looping = START.replace("'feedback',", "'feedback', 'nothing'")
    try:
        supervisor.process = subprocess.Popen(
            [sys.executable, "-c", looping, "--data", supervisor.data],
            stderr=supervisor.output.open("ab"),
        )
        state = supervisor.until(
            lambda s: (
                s["services"].get("nothing", {}).get("state") == "crash loop"
                and s["services"]["feedback"]["state"] == "running"
            )
        )
        assert state["services"]["nothing"]["problem"] == "ended with status 1"
        assert "nothing keeps ending; see" in supervisor.output.read_text()
        assert state["services"]["feedback"]["url"].endswith(str(port))
    finally:
        supervisor.end()


def _operator(data: Path, state: dict[str, Any]) -> Settings:
    url = state["environment"]["SOURCIER_NATS__URL"]
    return Settings(nats=Nats(url=url, nkey_seed=data / "secrets" / "operator.nk"))


def _refused_a_second_time(data: Path) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "deploy.local.supervisor", "--data", data],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "already running" in second.stderr


async def _refused_without_key(config: Settings) -> None:
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization|no servers"):
        await nats.connect(config.nats.url, allow_reconnect=False, max_reconnect_attempts=0)


async def _feedback_may_not_speak_for_generate(data: Path, config: Settings) -> None:
    refusals: list[str] = []

    async def told(error: Exception) -> None:
        refusals.append(str(error).lower())

    seed = str(data / "secrets" / "feedback.nk")
    connection = await nats.connect(config.nats.url, nkeys_seed=seed, error_cb=told)
    await connection.publish("draft.ready.v1.default", b"{}")
    await connection.flush()
    await connection.publish("review.recorded.v1.default", b"{}")
    await connection.flush()
    await connection.close()
    assert len(refusals) == 1
    assert "permissions violation for publish to" in refusals[0]
    assert "draft.ready" in refusals[0]
