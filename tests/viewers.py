"""Accounts of the tests of feedback."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from services.feedback.access import Viewer
from services.feedback.desk.cookies import Cookies
from services.feedback.desk.limiting import Limits
from services.feedback.desk.parts import Desk
from services.feedback.service import FeedbackService
from shared.settings import Settings

ADMIN = Viewer(account="admin", name="Admin", roles=frozenset({"admin"}), pseudonym="p-admin")
"""Sees and may everything."""
AGENT = Viewer(
    account="agent",
    name="Agent",
    roles=frozenset({"agent"}),
    mailboxes=frozenset({"default"}),
    audiences=frozenset({"public"}),
    pseudonym="p-agent",
)
"""Of the samples' mailbox."""
ELSEWHERE = Viewer(
    account="agent2",
    name="Agent ailleurs",
    roles=frozenset({"agent", "curator", "data"}),
    mailboxes=frozenset({"autre"}),
    audiences=frozenset({"interne"}),
    pseudonym="p-agent2",
)
"""Of another mailbox, whose documents have another audience."""


class _Known:
    """Signs everybody in as the same account."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    async def by_bearer(self, token: str) -> Viewer:
        return self._viewer


def desk_for(service: FeedbackService, viewer: Viewer) -> Desk:
    """What the JSON API needs of a desk; any bearer token is `viewer`'s."""
    parts = SimpleNamespace(
        config=Settings(),
        feedback=service,
        signing=_Known(viewer),
        cookies=Cookies(secure=False, seconds=60),
        limits=Limits(10_000, 10_000),
    )
    return cast(Desk, parts)
