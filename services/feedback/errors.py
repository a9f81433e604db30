"""What a use case refuses, in words for who asked (French)."""

from __future__ import annotations

from uuid import UUID

from shared.delivery import Unavailable


class NotFound(Exception):
    """What was asked for is not kept here; the text is French."""


class Conflict(Exception):
    """The draft is no longer waiting for this decision; the text is French."""


class Unacceptable(Exception):
    """The review itself cannot be taken; the text is French and says what to change."""


class SearchDown(Unavailable):
    """The index does not answer; the text is French."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "La recherche dans les documents ne répond pas ; réessayez dans un instant. Le reste de"
            f" la relecture fonctionne. ({reason})"
        )


def no_draft(draft_id: UUID) -> NotFound:
    """The error of a draft that is not there, or not for who asks."""
    return NotFound(f"Aucun brouillon {draft_id} n'est connu.")


def used_id() -> Conflict:
    """The error of a review whose id is another review's."""
    return Conflict("Cet identifiant de relecture a déjà servi pour un autre brouillon.")
