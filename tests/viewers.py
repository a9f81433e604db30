"""Accounts of the tests of feedback."""

from __future__ import annotations

from services.feedback.access import Viewer

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
