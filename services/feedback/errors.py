"""What a use case refuses, in words for who asked (French)."""

from __future__ import annotations

from uuid import UUID


class NotFound(Exception):
    """What was asked for is not kept here; the text is French."""


class Conflict(Exception):
    """The draft is no longer waiting for this decision; the text is French."""


class Unacceptable(Exception):
    """The review itself cannot be taken; the text is French and says what to change."""


def no_draft(draft_id: UUID) -> NotFound:
    """The error of a draft that is not there, or not for who asks."""
    return NotFound(f"Aucun brouillon {draft_id} n'est connu.")


def used_id() -> Conflict:
    """The error of a review whose id is another review's."""
    return Conflict("Cet identifiant de relecture a déjà servi pour un autre brouillon.")
