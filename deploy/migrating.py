"""Plain SQL migrations, applied by dbmate; each service's schema by the role that owns it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from deploy.local.process import StartFailed, program

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA_OF = {"ingest": "intake", "feedback": "feedback", "mail": "bridge"}
"""PostgreSQL schema of a service, owned by a role of the same name: no other may read it."""


def migrate(dsn: str, folder: Path) -> None:
    """Apply the plain SQL migrations in ``folder``, which has the name of its schema.

    What was applied is remembered in the schema itself. Raises ``StartFailed`` with dbmate's words.
    """
    url = dsn + ("&" if "?" in dsn else "?") + "sslmode=disable"
    command: list[str | Path] = [program("dbmate"), "--url", url, "--migrations-dir", folder]
    options = ["--migrations-table", f"{folder.name}.schema_migrations", "--no-dump-schema"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, *options, "--migration-lock", "migrate"],
        capture_output=True,
        text=True,
        check=False,
        env=own_environment(),
    )
    if done.returncode:
        raise StartFailed(f"migrations of {folder.name}: {done.stderr or done.stdout}")


def own_environment() -> dict[str, str]:
    """Without the caller's PG… variables, which would change how the server is reached."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
