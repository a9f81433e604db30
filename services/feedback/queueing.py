"""The queue: what waits, what was refused, what got no draft; nothing that arrived is invisible."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

from pydantic import AwareDatetime

from services.feedback.access import Viewer
from services.feedback.records import Outcome, Status
from shared.envelope import Frozen
from shared.records import Address

View = Literal["waiting", "declined", "skipped", "pending", "decided"]
"""``waiting`` drafts and ``declined`` ones without a decision; ``skipped`` and ``pending`` e-mails;
``decided`` drafts of both kinds."""
Flag = Literal["outdated", "checks", "locked", "extractive"]
PAGE = 25
MOST = 10_000
"""More than this is not counted to the end under a filter."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Place(Frozen):
    """Where a page of a list ends: the time and the id of its last line."""

    time: AwareDatetime
    key: UUID

    def __str__(self) -> str:
        """For an address; ``place`` reads it."""
        return f"{(self.time - EPOCH) // timedelta(microseconds=1)}-{self.key.hex}"


PLACE = r"^\d{1,17}-[0-9a-f]{32}$"
"""What a written place looks like."""


def place(written: str) -> Place:
    """The place that ``str`` wrote."""
    time, key = written.split("-")
    return Place(time=EPOCH + timedelta(microseconds=int(time)), key=UUID(key))


class Filter(Frozen):
    """What of a view is wanted; ``days``: came at least so many days ago.

    ``reason`` is that of a refusal or of a skipped e-mail; ``text`` is looked for in subject and
    sender, whatever the case and the accents.
    """

    mailbox: str | None = None
    category: str | None = None
    status: Status | None = None
    reason: str | None = None
    flag: Flag | None = None
    days: int | None = None
    text: str | None = None


class DraftLine(Frozen):
    """A draft in the list; ``locked_by`` names who works on it, ``why`` a refusal's reason."""

    draft_id: UUID
    mail_id: UUID
    mailbox: str
    category: str | None
    request_id: int
    outcome: Literal["draft", "declined"]
    status: Status
    status_detail: str
    subject: str
    sender: Address
    received: AwareDatetime
    created: AwareDatetime
    excerpt: str
    engine: str
    outdated: int
    failed_checks: int
    locked_by: str | None
    locked_account: str | None
    why: str | None
    detail: str | None
    reply: str | None

    @property
    def place(self) -> Place:
        return Place(time=self.created, key=self.draft_id)


class MailLine(Frozen):
    """An e-mail that has no draft."""

    mail_id: UUID
    mailbox: str
    category: str | None
    outcome: Outcome
    reason: str
    detail: str
    subject: str
    sender: Address
    received: AwareDatetime

    @property
    def place(self) -> Place:
        return Place(time=self.received, key=self.mail_id)


class MailPage(MailLine):
    """An e-mail with what ingest read of it; ``new_text`` None for one that was not read."""

    decided: AwareDatetime | None
    new_text: str | None
    attachments: tuple[str, ...]
    draft_id: UUID | None
    raw_key: str | None


class Lines(Frozen):
    """A page of a view; ``total`` stops at MOST + 1; ``after`` leads on."""

    drafts: tuple[DraftLine, ...] = ()
    mails: tuple[MailLine, ...] = ()
    total: int
    after: Place | None


class Group(Frozen):
    """How many of a view share these."""

    view: View
    mailbox: str
    category: str | None
    status: str
    count: int


class Counts(Frozen):
    """All that the viewer may see, counted."""

    groups: tuple[Group, ...]

    def of(self, view: View) -> int:
        """Everything in the view."""
        return sum(group.count for group in self.groups if group.view == view)

    def by(
        self, view: View, field: Literal["mailbox", "category", "status"]
    ) -> list[tuple[str, int]]:
        """Values of a field within the view with their counts, by name; "" is none."""
        found: dict[str, int] = {}
        for group in self.groups:
            if group.view == view:
                value = getattr(group, field) or ""
                found[value] = found.get(value, 0) + group.count
        return sorted(found.items())


class Queue(Protocol):
    """What the lists are read from; only the viewer's mailboxes. Raises Unavailable."""

    async def lines(
        self, viewer: Viewer, view: View, wanted: Filter, after: Place | None
    ) -> tuple[Lines, Counts]:
        """A page of a view, oldest first where something waits, else newest first."""

    async def mail(self, viewer: Viewer, mail_id: UUID) -> MailPage | None:
        """One e-mail."""


class Change(Frozen):
    """Something changed; ``op`` is insert, update or delete. Nothing of what a message says."""

    kind: Literal["draft", "mail", "document", "lock", "reply", "resync"]
    op: Literal["insert", "update", "delete"] = "update"
    id: UUID | None = None
    mail: UUID | None = None
    mailbox: str | None = None
    audience: str | None = None
    status: str | None = None
    outcome: str | None = None
    request: int | None = None

    def concerns(self, viewer: Viewer) -> bool:
        """Whether the viewer may know of it."""
        if self.kind == "resync":
            return True
        if self.kind == "document":
            return viewer.audiences is None or self.audience in viewer.audiences
        return viewer.mailboxes is None or self.mailbox in viewer.mailboxes


def merged(waiting: Sequence[Change], change: Change, most: int) -> list[Change]:
    """``waiting`` with ``change``; of a reader too slow for ``most`` only that it missed some."""
    if waiting and waiting[0].kind == "resync":
        return list(waiting)
    if change.kind == "resync" or len(waiting) >= most:
        return [Change(kind="resync")]
    return [*waiting, change]
