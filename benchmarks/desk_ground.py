"""What the desk's benchmark stands on: servers of its own, and feedback as a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import psutil

from deploy.local.nats import NatsServer
from deploy.local.postgres import PostgresServer
from deploy.local.process import free_ports
from deploy.local.s3 import PORTS, S3Server
from deploy.local.service import wait_until_ready
from deploy.migrating import MIGRATIONS, migrate
from services.feedback.accounts import StoredAccount, written
from shared import admin
from shared.clock import utcnow
from shared.settings import Nats, Settings, Streams

MIB = 1024 * 1024


class Ground:
    """The servers, feedback, and a session on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = NatsServer(folder / "nats", folder / "nats.log", free_ports(1)[0])
        self.database = PostgresServer(folder / "pg", folder / "pg.log")
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.store = S3Server(folder / "s3", folder / "s3.log", ports, "k", "s" * 32, "bench")
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: psutil.Process | None = None

    @contextmanager
    def running(self) -> Iterator[Ground]:
        with ExitStack() as stack:
            for server in (self.broker, self.database, self.store):
                server.start()
                stack.callback(server.stop)
            small = Streams(max_bytes=16 * MIB)
            asyncio.run(admin.apply(Settings(nats=Nats(url=self.broker.url), streams=small)))
            migrate(self.database.dsn(), MIGRATIONS / "feedback")
            self._accounts()
            yield self

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "SOURCIER_CONFIG": str(self.folder / "sourcier.toml"),
            "SOURCIER_DESK__ACCOUNTS": str(self.folder / "accounts.toml"),
            "SOURCIER_DESK__REQUESTS_PER_MINUTE": "1000000",
            "SOURCIER_NATS__URL": self.broker.url,
            "SOURCIER_STREAMS__MAX_BYTES": str(16 * MIB),
            "SOURCIER_POSTGRES__DSN": self.database.dsn(),
            "SOURCIER_OBJECTS__ENDPOINT": self.store.endpoint,
            "SOURCIER_OBJECTS__ACCESS_KEY": "k",
            "SOURCIER_OBJECTS__SECRET_KEY": "s" * 32,
            "SOURCIER_OBJECTS__BUCKET": "bench",
            "SOURCIER_HTTP__PORT": str(self.port),
        }

    def _accounts(self) -> None:
        file = self.folder / "accounts.toml"
        file.touch(mode=0o600)
        account = StoredAccount(
            name="agent",
            display="Agent",
            roles=frozenset({"agent"}),
            mailboxes=frozenset(f"box-{n}" for n in range(8)),
            pseudonym="p-benchmark",
            since=utcnow() - timedelta(days=1),
        )
        file.write_text(written([account]))
        boxes = "".join(f"[mailboxes.box-{n}]\n" for n in range(10))
        (self.folder / "sourcier.toml").write_text(boxes)

    @contextmanager
    def feedback(self) -> Iterator[None]:
        log = (self.folder / "feedback.log").open("ab")
        command = [sys.executable, "-m", "services.feedback.app"]
        started = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log)
        try:
            wait_until_ready(self.url, started, self.folder / "feedback.log")
            self.process = psutil.Process(started.pid)
            yield
        finally:
            started.terminate()
            started.wait(30)
            log.close()

    def memory(self) -> float:
        """Resident memory of feedback in MiB."""
        assert self.process
        return self.process.memory_info().rss / MIB
