"""The data folder of a local stack: paths, remembered ports, the lock, the state file."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from deploy.local.process import free_ports, is_free


class AlreadyRunning(Exception):
    """Another supervisor holds the folder."""


@dataclass(frozen=True)
class Running:
    """A process by pid and start time, so that a reused pid is not taken for it."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> Running | None:
        """The process ``pid`` as it runs now, if it does."""
        with suppress(psutil.NoSuchProcess):
            return cls(pid, psutil.Process(pid).create_time())
        return None

    def process(self) -> psutil.Process | None:
        """The process when it still runs."""
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.created) < 1 and found.is_running():
                return found
        return None


class DataFolder:
    """Where one stack keeps everything; ``path`` is made when it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self.secrets = self.path / "secrets"
        self._state = self.path / "stack.json"
        self._lock: IO[str] | None = None

    def take(self) -> None:
        """Hold the folder until this process ends. Raises ``AlreadyRunning``."""
        self.path.mkdir(parents=True, exist_ok=True)
        found = self.path.stat()
        if found.st_uid == os.geteuid():
            # As root, PostgreSQL runs as a user of its own, who must get to its folder.
            self.path.chmod(found.st_mode & (0o711 if found.st_uid == 0 else 0o700))
        self.private("logs")
        lock = (self.path / "stack.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"a stack is already running in {self.path}; "
                "see it with `sourcier status`, stop it with `sourcier down`"
            ) from None
        self._lock = lock

    def release(self) -> None:
        """Let another supervisor take the folder."""
        self._state.unlink(missing_ok=True)
        if self._lock:
            self._lock.close()

    def private(self, name: str) -> Path:
        """The folder ``name`` within, which its owner alone may enter."""
        path = self.path / name
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
        return path

    def ports(self, names: list[str]) -> dict[str, int]:
        """A port for each name: the one of the last start where it is still free."""
        file = self.path / "ports.json"
        known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        kept = {name: known[name] for name in names if name in known and is_free(known[name])}
        missing = [name for name in names if name not in kept]
        kept |= dict(zip(missing, free_ports(len(missing)), strict=True))
        _write(file, json.dumps(known | kept, indent=1))
        return kept

    def write_state(self, state: dict[str, Any]) -> None:
        """Say where the stack is, for the ``sourcier`` command (owner only: it names secrets)."""
        _write(self._state, json.dumps(state, indent=1))

    def leftovers(self) -> list[Running]:
        """Processes of a supervisor that ended without stopping them."""
        if not self._state.exists():
            return []
        state = json.loads(self._state.read_text())
        rows = [*state["servers"].values(), *state["services"].values()]
        running = [Running(row["pid"], row["created"]) for row in rows if row.get("pid")]
        return [each for each in running if each.process()]

    def recover(self) -> int:
        """End what a crashed supervisor left. Returns how many processes had to be ended."""
        processes = [found for each in self.leftovers() if (found := each.process())]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(processes, timeout=10)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=10)
        return len(processes)


def _write(path: Path, text: str) -> None:
    """Replace ``path`` at once, readable by its owner only."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)
