"""One supervised service: started, watched, restarted with a growing pause, drained."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from deploy.local import process

State = Literal["starting", "running", "restarting", "crash loop", "stopped"]
STEADY = 30.0
"""Seconds after which a service that dies is not counted as failing at its start."""
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
LOOP_AFTER = 3
FRUGAL = {
    # The services share the cores: threads that wait for each other by spinning take them from
    # the rest (measured with both cores busy: a third of the model's processor time, same speed
    # when they are not).
    "GOMP_SPINCOUNT": "1000",
    # oneDNN keeps code for each shape of a batch that it met, by default a thousand.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "48",
    "LRU_CACHE_CAPACITY": "48",
    # Threads share what they free. No trim threshold: it freezes glibc's mmap threshold, and the
    # model then maps its activations anew at each pass (measured: 71 against 51 ms a passage).
    "MALLOC_ARENA_MAX": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Settings of the libraries below the services; the caller's own go before."""
"""Quick deaths in a row that make a crash loop; it is still tried again, every 30 s."""


class Supervised:
    """A process of ``service``, ``python -m services.<service>.app``; ``name`` is its own."""

    def __init__(
        self,
        name: str,
        service: str,
        port: int,
        env: dict[str, str],
        logs: Path,
        changed: Callable[[Supervised], None],
    ) -> None:
        self.name = name
        self.service = service
        self.port = port
        self.state: State = "starting"
        self.restarts = 0
        self.problem = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.log = logs / f"{name}.log"
        self._env = {**FRUGAL, **os.environ, **env}
        self._changed = changed
        self._stopping = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def keep(self) -> None:
        """Run it until ``stop``; a death is answered by another start."""
        quick = 0
        while not self._stopping:
            began = time.monotonic()
            running = self.process = process.spawn(self._command(), self.log, self._env)
            self._set("starting")
            code = await self._watch(running)
            if self._stopping:
                return
            quick = quick + 1 if time.monotonic() - began < STEADY else 0
            self.restarts += 1
            self.problem = f"ended with status {code}"
            self._set("crash loop" if quick >= LOOP_AFTER else "restarting")
            await asyncio.sleep(PAUSES[min(quick, len(PAUSES) - 1)])

    async def _watch(self, running: subprocess.Popen[bytes]) -> int:
        """Wait for the process' end, looking until it is ready. Returns its status."""
        while (code := running.poll()) is None:
            if self.state == "starting":
                self._answered(await asyncio.to_thread(readiness, self.url))
            await asyncio.sleep(0.2)
        return code

    def _answered(self, answer: dict[str, Any]) -> None:
        """Take over what ``/readyz`` said; a reason not to be ready is told whenever it changes."""
        before, self.problem = self.problem, "" if answer.get("ready") else _reason(answer)
        if answer.get("ready"):
            self._set("running")
        elif self.problem != before:
            self._changed(self)

    async def stop(self, seconds: float) -> bool:
        """Drain within ``seconds``, then kill. Returns whether it drained."""
        self._stopping = True
        drained = True
        if self.process:
            drained = await asyncio.to_thread(process.stop, self.process, seconds)
        self._set("stopped")
        return drained

    def _command(self) -> list[str | Path]:
        return [sys.executable, "-m", f"services.{self.service}.app"]

    def _set(self, state: State) -> None:
        if state != self.state or state == "starting":
            self.state = state
            self._changed(self)


def readiness(url: str) -> dict[str, Any]:
    """What ``/readyz`` says; where nothing answers, that and why as its ``state``."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310 - loopback
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with suppress(ValueError):
            return dict(json.load(error))
        return {"state": f"{url}/readyz answers {error.code}"}
    except (OSError, ValueError) as error:
        return {"state": f"no answer at {url}/readyz: {error}"}


def wait_until_ready(
    url: str, running: subprocess.Popen[bytes], log: Path, seconds: float = 60
) -> None:
    """Raises ``StartFailed`` when ``running`` ends or is not ready in time, with its last word."""
    said: dict[str, Any] = {}

    def ready() -> bool:
        said.update(readiness(url))
        return bool(said.get("ready"))

    try:
        process.wait_until(ready, running, url, log, seconds)
    except process.StartFailed as failed:
        raise process.StartFailed(f"{failed}\nlast said: {_reason(said)}") from None


def _reason(answer: dict[str, Any]) -> str:
    problems = answer.get("problems") or {}
    told = [f"{name}: {why}" for name, why in problems.items()]
    return "; ".join(told) or str(answer.get("state", ""))
