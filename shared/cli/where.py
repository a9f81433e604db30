"""Where the stack is that a command talks to: a data folder's, or one given by configuration."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from shared import settings
from shared.cli.problem import Problem

if TYPE_CHECKING:  # it takes 0.3 s to import
    from shared.objects import ObjectStore

FIRST_ACCOUNT = "admin"
"""Of the desk, made by `sourcier up` where nobody has an account."""
DEFAULT_DATA = Path(".sourcier")
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="SOURCIER_DATA",
        help="Data folder of the stack. Default: .sourcier in the working folder.",
    ),
]


@dataclass(frozen=True)
class Where:
    """A running stack: its settings as the operator, and its services' addresses."""

    settings: settings.Settings
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    data: Path | None = None

    def url(self, service: str) -> str:
        """Base URL of a service's HTTP API. Raises ``Problem`` when it is not known."""
        given = os.environ.get(f"SOURCIER_{service.upper()}_URL")
        if given:
            return given.rstrip("/")
        found = self.services.get(service)
        if not found:
            raise Problem(
                f"the address of {service} is not known; "
                f"start the stack with `sourcier up`, or set SOURCIER_{service.upper()}_URL"
            )
        return str(found["url"])

    def token(self) -> str | None:
        """The secret that feedback's API asks for; None when none is configured."""
        path = self.settings.desk.operator_token
        if path is None:
            return None
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Problem(f"desk.operator_token {path} cannot be read: {error}") from error

    def store(self) -> ObjectStore:
        """The object store, for bodies that are too large for an event."""
        from shared.objects import S3Objects

        return S3Objects(self.settings.objects)


def data_folder(data: Path | None) -> Path:
    """The folder a stack is, or would be, in."""
    return (data or DEFAULT_DATA).resolve()


def accounts_file(folder: Path) -> Path:
    """The accounts of the desk: as configured, else in the stack's folder."""
    desk = configured().desk
    chosen = "accounts" in desk.model_fields_set
    return desk.accounts.resolve() if chosen else folder / "accounts.toml"


def locate(data: Path | None) -> Where:
    """The running stack. Raises ``Problem`` when there is none."""
    folder = data_folder(data)
    state = running_state(folder)
    if state:
        os.environ.update(state["environment"])
        return Where(configured(), state["services"], folder)
    if data is None and os.environ.get("SOURCIER_NATS__URL"):
        return Where(configured())
    option = "" if data is None else f" --data {data}"
    raise Problem(f"no stack is running in {folder}; start it with `sourcier up{option}`")


def running_state(folder: Path) -> dict[str, Any] | None:
    """What the supervisor of ``folder`` wrote down; None when none is running."""
    lock, file = folder / "stack.lock", folder / "stack.json"
    if not lock.exists() or not _held(lock):
        return None
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:  # it has just taken the folder, or is just leaving it
        return None


def _held(lock: Path) -> bool:
    """Whether a supervisor lives: the kernel frees its lock however it ends."""
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def configured() -> settings.Settings:
    """The settings of this process. Raises ``Problem`` when they are wrong."""
    try:
        return settings.Settings()
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise Problem("the configuration is wrong: " + "; ".join(told)) from error
    except (OSError, ValueError) as error:  # the file cannot be read, or is no TOML
        raise Problem(f"the configuration is wrong: {error}") from error
