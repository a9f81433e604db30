"""``make secrets``: the passwords and keys without which compose.yaml refuses to start.

Writes ``.env`` (read by ``docker compose``) and ``.secrets/`` (keys of the broker's users, its
configuration, which is written anew each time and includes ``broker/extra.conf``, the operator's
own). What is there already is kept: run again after an update, it adds what is new.
"""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path

from deploy.local import keys, permissions
from deploy.local.nats import MAX_PAYLOAD

ENVIRONMENT = "production"
"""Name of the broker's account, and of the index."""
PASSWORDS = (
    "POSTGRES_PASSWORD",
    "INTAKE_PASSWORD",
    "FEEDBACK_PASSWORD",
    "BRIDGE_PASSWORD",
    "S3_SECRET_KEY",
    "QDRANT_API_KEY",
    "GRAFANA_PASSWORD",
)
NOBODY = 10001
"""Who the containers run as when root makes the secrets: they never run as root."""


def write(folder: Path) -> list[str]:
    """Write both into ``folder``. Returns the names of what is new in ``.env``."""
    user = os.getuid() or NOBODY
    nkeys = folder / ".secrets"
    public = keys.nkey_seeds(nkeys, permissions.USERS)
    config = nkeys / "nats.conf"
    config.write_text(nats_config(permissions.accounts(ENVIRONMENT, public)))
    wanted = {"COMPOSE_PROFILES": "cpu", "RUN_AS": str(user)}
    wanted |= {name: secrets.token_urlsafe(32) for name in PASSWORDS}
    keys.password(nkeys, "operator-token")
    (nkeys / "mail.env").touch(mode=0o600)
    (nkeys / "broker").mkdir(mode=0o700, exist_ok=True)
    (nkeys / "broker/extra.conf").touch(mode=0o600)
    if not os.getuid():  # containers run as another, who must be able to read their keys
        for path in (nkeys, *nkeys.rglob("*")):
            os.chown(path, user, 0)
    return added(folder / ".env", wanted)


def added(path: Path, wanted: dict[str, str]) -> list[str]:
    """Append those of ``wanted`` that the file does not say yet. Returns their names."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    text = path.read_text()
    said = {line.partition("=")[0].strip() for line in text.splitlines()}
    new = {name: value for name, value in wanted.items() if name not in said}
    lines = "".join(f"{name}={value}\n" for name, value in new.items())
    path.write_text(text + ("" if text.endswith("\n") or not text else "\n") + lines)
    return list(new)


def nats_config(accounts: str) -> str:
    """The broker's configuration; it holds public keys only."""
    return (
        "listen: 0.0.0.0:4222\n"
        "http: 0.0.0.0:8222  # health and figures; not published\n"
        "server_name: sourcier\n"
        f"max_payload: {MAX_PAYLOAD}\n"
        "jetstream {\n"
        '  store_dir: "/data"\n'
        "  sync_interval: always  # a confirmed message survives a power cut\n"
        "}\n"
        f"{accounts}\n"
        "include ./broker/extra.conf  # the operator's own, such as tls {}\n"
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m deploy.docker.secrets", description=__doc__)
    parser.add_argument("--to", type=Path, default=Path(), help="the folder of compose.yaml")
    folder = parser.parse_args().to
    new = write(folder)
    told = f"new in .env: {', '.join(new)}" if new else "nothing new"
    print(f"secrets: {told}; keep .env and .secrets/ to yourself, and in a backup")  # noqa: T201 - a program's word


if __name__ == "__main__":
    main()
