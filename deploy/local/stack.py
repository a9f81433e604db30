"""The three servers of a local stack and the environment in which services find them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from deploy.local import keys, permissions
from deploy.local.folder import DataFolder
from deploy.local.nats import NatsServer
from deploy.local.postgres import PostgresServer
from deploy.local.process import StartFailed
from deploy.local.s3 import PORTS, S3Server
from deploy.migrating import MIGRATIONS, SCHEMA_OF, migrate
from shared import admin, settings
from shared.cli.client import connected
from shared.cli.scaling import replicas
from shared.cli.where import FIRST_ACCOUNT, accounts_file, configured

SERVICES = ("ingest", "embed", "retrieve", "generate", "feedback")
BRIDGE = "mail"
"""The service that runs besides when ``[bridge]`` is configured."""
ENVIRONMENT = "local"
DATABASE = "sourcier"
BUCKET = "sourcier"
ACCESS_KEY = "sourcier"
Server = NatsServer | PostgresServer | S3Server


class Stack:
    """nats-server, PostgreSQL and S3 in one data folder, each with generated secrets.

    ``processes``: the service that each process is of, by the name of the process.
    """

    def __init__(self, folder: DataFolder, scale: dict[str, int] | None = None) -> None:
        self.folder = folder
        services = (*SERVICES, BRIDGE) if configured().bridge.configured else SERVICES
        self.processes = {name: each for each in services for name in replicas(each, scale or {})}
        names = ["nats", *PORTS, *self.processes]
        self.ports = folder.ports(names)
        public = keys.nkey_seeds(folder.secrets, permissions.USERS)
        self.operator_token = folder.secrets / "operator-token"
        keys.password(folder.secrets, self.operator_token.name)
        self._s3_secret = keys.password(folder.secrets, "s3-secret-key")
        path, logs = folder.path, folder.logs
        self._index = folder.private("index")
        self.nats = NatsServer(
            folder.private("nats"),
            logs / "nats.log",
            self.ports["nats"],
            permissions.accounts(ENVIRONMENT, public),
        )
        self.postgres = PostgresServer(path / "postgres", logs / "postgres.log")
        s3_ports = {name: self.ports[name] for name in PORTS}
        self.s3 = S3Server(
            folder.private("s3"), logs / "s3.log", s3_ports, ACCESS_KEY, self._s3_secret, BUCKET
        )
        # A server ends with the thread that started it, so these threads live as long as we do.
        self._threads = ThreadPoolExecutor(3, thread_name_prefix="servers")

    @property
    def servers(self) -> tuple[Server, ...]:
        return (self.nats, self.postgres, self.s3)

    def start(self, started: Callable[[Server], object]) -> None:
        """Start all three side by side and prepare them. Raises ``StartFailed``.

        ``started`` is called in the thread of each server.
        """

        def one(server: Server) -> None:
            server.start()
            started(server)

        starting = [self._threads.submit(one, server) for server in self.servers]
        wait(starting)  # all, so that none comes up after a failure has stopped the others
        for done in starting:
            done.result()
        self._prepare_database()
        self._first_account()

    def restart(self, server: Server) -> None:
        """Start a server that died, on the same port. Raises ``StartFailed``."""
        self._threads.submit(server.start).result()

    def stop(self) -> None:
        """Stop the servers; the services must have stopped before."""
        for server in self.servers:
            server.stop()
        self._threads.shutdown()

    def _first_account(self) -> None:
        """An administrator, who comes in by a one-time link, where nobody has an account."""
        file = accounts_file(self.folder.path)
        if "feedback" in self.processes.values() and not file.exists():
            tool = [sys.executable, "-m", "services.feedback.accounts_tool", "--file", str(file)]
            words = ["add", FIRST_ACCOUNT, "--role", "admin", "--no-password"]
            done = subprocess.run([*tool, *words], capture_output=True, text=True, check=False)  # noqa: S603 - our own command
            if done.returncode:
                raise StartFailed(f"the first account: {done.stderr.strip()}")

    def _prepare_database(self) -> None:
        self.postgres.create_database(DATABASE)
        for schema in SCHEMA_OF.values():
            self.postgres.create_role(schema, DATABASE)
        for schema in SCHEMA_OF.values():
            if (MIGRATIONS / schema).is_dir():
                migrate(self.postgres.dsn(DATABASE, schema), MIGRATIONS / schema)

    async def apply_topology(self) -> list[str]:
        """Declare streams and consumers. Returns what changed, in words; raises ``Problem``."""
        seed = self.folder.secrets / f"{permissions.OPERATOR}.nk"
        nats = settings.Nats(url=self.nats.url, nkey_seed=seed)
        config = configured().model_copy(update={"nats": nats})
        async with connected(config):
            return await admin.apply(config)

    def environment(self, name: str) -> dict[str, str]:
        """``SOURCIER_…`` variables for ``name``: a process of a service, or the operator."""
        user = self.processes.get(name, name)
        found = {
            "SOURCIER_ENVIRONMENT": ENVIRONMENT,
            "SOURCIER_NATS__URL": self.nats.url,
            "SOURCIER_NATS__NKEY_SEED": str(self.folder.secrets / f"{user}.nk"),
            "SOURCIER_OBJECTS__ENDPOINT": self.s3.endpoint,
            "SOURCIER_OBJECTS__ACCESS_KEY": ACCESS_KEY,
            "SOURCIER_OBJECTS__SECRET_KEY": self._s3_secret,
            "SOURCIER_OBJECTS__BUCKET": BUCKET,
            "SOURCIER_OBJECTS__SECURE": "false",
            "SOURCIER_RETRIEVAL__PATH": str(self._index),
        }
        if user in ("feedback", permissions.OPERATOR):
            found["SOURCIER_DESK__OPERATOR_TOKEN"] = str(self.operator_token)
            found["SOURCIER_DESK__ACCOUNTS"] = str(accounts_file(self.folder.path))
        if user in SCHEMA_OF:
            found["SOURCIER_POSTGRES__DSN"] = self.postgres.dsn(DATABASE, SCHEMA_OF[user])
        if name in self.processes:
            found["SOURCIER_HTTP__PORT"] = str(self.ports[name])
            found["SOURCIER_HTTP__METRICS_PORT"] = "0"  # one for all would be taken twice
        return found
