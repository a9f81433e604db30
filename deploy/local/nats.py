"""nats-server with JetStream, from its wheel."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from deploy.local.process import answers, program, spawn, stop, wait_until

MAX_PAYLOAD = 1024 * 1024


class NatsServer:
    """One nats-server whose configuration and store lie in ``folder``."""

    name = "nats"

    def __init__(self, folder: Path, log: Path, port: int, accounts: str = "") -> None:
        self._folder = folder
        self._log = log
        self.port = port
        self._accounts = accounts
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it listens. Raises ``StartFailed``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "nats.conf"
        config.write_text(self.config())
        config.chmod(0o600)
        self.process = spawn([program("nats-server"), "-c", config], self._log)
        wait_until(lambda: answers(self.port), self.process, "nats-server", self._log, 30)

    def config(self) -> str:
        """The server's configuration file."""
        return (
            f"listen: 127.0.0.1:{self.port}\n"
            f"server_name: sourcier\n"
            f"max_payload: {MAX_PAYLOAD}\n"
            "jetstream {\n"
            f'  store_dir: "{self._folder / "jetstream"}"\n'
            "  sync_interval: always  # a confirmed message survives a power cut\n"
            "}\n"
            f"{self._accounts}"
        )

    def stop(self) -> None:
        if self.process:
            stop(self.process, 10, signal.SIGTERM)
