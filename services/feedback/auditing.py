"""Reading the audit: its entries and what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import AwareDatetime, JsonValue

from services.feedback.access import Viewer
from shared.envelope import Frozen


class AuditEntry(Frozen):
    """One thing that somebody did."""

    position: int
    at: AwareDatetime
    account: str
    action: str
    object: str
    mailbox: str | None
    detail: dict[str, JsonValue]


class AuditWish(Frozen):
    """Which entries, newest first: empty fields ask for all; ``before`` is a position."""

    account: str = ""
    action: str = ""
    object: str = ""
    mailbox: str = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    before: int | None = None


class AuditLog(Protocol):
    """The audit as an admin reads it."""

    async def entries(self, viewer: Viewer, wish: AuditWish, limit: int) -> Sequence[AuditEntry]:
        """Those of the viewer's mailboxes, and those of none."""

    async def actions(self) -> Sequence[str]:
        """The actions that there are, to choose from."""
