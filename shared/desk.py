"""Settings of the review desk, ``[desk]``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.section import Section


class Desk(Section):
    """The page where agents work, and its accounts."""

    public_url: str | None = None
    """Where readers of replies reach this service, e.g. ``https://sources.example.org``; the
    references of replies then link to its public source pages, else to the documents' own URLs."""
    accounts: Path = Path(".sourcier/accounts.toml")
    """The accounts file of the embedded login; `sourcier accounts` writes it."""
    operator_token: Path | None = None
    """A file with the secret by which the `sourcier` command calls this service's API; both read
    it. `sourcier up` makes one."""
    language: Literal["fr", "en"] = "fr"
    """Of the interface, until an agent switches."""
    timezone: str = "Europe/Paris"
    """In which the interface shows dates and times."""
    session_hours: float = Field(default=12, gt=0)
    """After the last request of a session."""
    lock_minutes: float = Field(default=10, gt=0)
    """For which a draft is reserved to the agent who last worked on it."""
    requests_per_minute: int = Field(default=1200, ge=1)
    """Of one account, or of one address that has not signed in."""
    logins_per_minute: int = Field(default=10, ge=1)
    """Tries of one address that fail."""
    secure_cookies: bool | None = None
    """Cookies over HTTPS only; by default everywhere but on loopback."""
