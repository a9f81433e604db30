"""Figures of the desk: what became of e-mails and drafts, by week, mailbox or pipeline version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal, Protocol, TypeVar

from services.feedback.access import Viewer
from shared.envelope import Frozen

Grouping = Literal["week", "mailbox", "pipeline"]


class Scope(Frozen):
    """Of what figures are made: the last ``weeks``, the present one included (None: all).

    ``mailbox`` and ``pipeline`` "" are every one; ``zone`` tells when a week begins.
    """

    by: Grouping = "week"
    weeks: int | None = 12
    mailbox: str = ""
    pipeline: str = ""
    zone: str = "Europe/Paris"


class Group(Frozen):
    """A line of figures. ``label`` is a week's Monday (ISO), a mailbox or a pipeline version,
    "" where there is none; the line of the whole scope is None."""

    label: str | None


class Decisions(Group):
    """Drafts by what agents did with them, at the time of the decision."""

    approved: int = 0
    edited: int = 0
    rejected: int = 0
    unused: int = 0

    @property
    def total(self) -> int:
        """Drafts decided."""
        return self.approved + self.edited + self.rejected + self.unused


class Edits(Group):
    """How much agents changed the drafts that they edited: characters and words."""

    count: int = 0
    characters: float | None = None
    characters_p90: float | None = None
    words: float | None = None
    words_p90: float | None = None


class Arrivals(Group):
    """E-mails by what became of them, at the time of arrival."""

    drafted: int = 0
    declined: int = 0
    skipped: int = 0
    pending: int = 0

    @property
    def total(self) -> int:
        """E-mails that arrived."""
        return self.drafted + self.declined + self.skipped + self.pending


class Delays(Group):
    """Seconds from an e-mail's arrival until its reply was sent, or approved if no more is known;
    at the time of the decision."""

    count: int = 0
    median: float | None = None
    p90: float | None = None


class Reason(Frozen):
    """How often a reason was given: by agents, or for a refusal or a skip."""

    kind: Literal["review", "declined", "skipped"]
    reason: str
    count: int


class Choices(Frozen):
    """What may be filtered by."""

    mailboxes: tuple[str, ...]
    pipelines: tuple[str, ...]


class Figuring(Protocol):
    """Each figure is one statement over the viewer's mailboxes; weeks are in order, other groups
    by size, the whole scope comes last. Raises Unavailable."""

    async def decisions(self, viewer: Viewer, scope: Scope) -> Sequence[Decisions]:
        """Drafts decided."""

    async def edits(self, viewer: Viewer, scope: Scope) -> Sequence[Edits]:
        """Changes of edited drafts."""

    async def arrivals(self, viewer: Viewer, scope: Scope) -> Sequence[Arrivals]:
        """E-mails that arrived."""

    async def delays(self, viewer: Viewer, scope: Scope) -> Sequence[Delays]:
        """From arrival to reply."""

    async def reasons(self, viewer: Viewer, scope: Scope) -> Sequence[Reason]:
        """Reasons, the most frequent first."""

    async def choices(self, viewer: Viewer) -> Choices:
        """Mailboxes and pipeline versions that there are."""


G = TypeVar("G", bound=Group)


def lines(found: Sequence[G]) -> list[G]:
    """The groups without the whole scope's line."""
    return [group for group in found if group.label is not None]


def whole(found: Sequence[G]) -> G | None:
    """The whole scope's line, if anything was found."""
    return next((group for group in found if group.label is None), None)


def bounds(*found: Sequence[Group]) -> tuple[str, str]:
    """The first and the last week of all figures; "" without any."""
    labels = [group.label for each in found for group in each if group.label]
    return min(labels, default=""), max(labels, default="")


def with_quiet_weeks(
    kind: type[G], found: Sequence[G], within: tuple[str, str] = ("", "")
) -> list[G]:
    """``found`` weeks with empty ones between and around, so that plots keep time's distances."""
    known = {group.label: group for group in found}
    labels = sorted(label for label in (*known, *within) if label)
    if not known or len(labels) < 2:
        return list(found)
    first, last = date.fromisoformat(labels[0]), date.fromisoformat(labels[-1])
    weeks = (
        (first + timedelta(days=day)).isoformat() for day in range(0, (last - first).days + 1, 7)
    )
    return [known.get(label) or kind(label=label) for label in weeks]
