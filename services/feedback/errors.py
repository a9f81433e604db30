"""What a use case refuses, in words for who asked: French, with what fills them apart."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from shared.delivery import Unavailable


class Term(str):
    """A value of a refusal that is French itself."""

    __slots__ = ()


class Moment:
    """A value that is a time; the desk tells it as it tells all times."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __str__(self) -> str:
        return f"le {self.at:%d/%m/%Y à %H:%M UTC}"


class Told(Exception):
    """A refusal: ``text`` is French, each ``{name}`` in it is filled from ``values``.

    As a string it is the whole sentence in French; the desk tells it in the reader's language.
    """

    def __init__(self, text: str, **values: object) -> None:
        super().__init__(text.format(**values) if values else text)
        self.text = text
        self.values = values


class NotFound(Told):
    """What was asked for is not kept here."""


class Conflict(Told):
    """The draft is no longer waiting for this decision."""


class Unacceptable(Told):
    """The review itself cannot be taken; the text says what to change."""


class SearchDown(Told, Unavailable):
    """The index does not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "La recherche dans les documents ne répond pas ; réessayez dans un instant. Le reste de"
            " la relecture fonctionne. ({reason})",
            reason=reason,
        )


def no_draft(draft_id: UUID) -> NotFound:
    """The error of a draft that is not there, or not for who asks."""
    return NotFound("Aucun brouillon {id} n'est connu.", id=draft_id)


def used_id() -> Conflict:
    """The error of a review whose id is another review's."""
    return Conflict("Cet identifiant de relecture a déjà servi pour un autre brouillon.")
