"""The clock that app.py injects; pure modules never read one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utcnow() -> datetime:
    """The present time, aware, in UTC."""
    return datetime.now(UTC)
