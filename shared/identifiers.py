"""What names an event's e-mail, document and draft in logs and traces; never any of their text."""

from __future__ import annotations

from shared.envelope import Event

_FIELDS = ("mail_id", "document_id", "draft_id")


def identifiers(event: Event) -> dict[str, str]:
    """``mail_id``, ``document_id`` and ``draft_id``, as far as ``event`` knows them."""
    places = (event.data, getattr(event.data, "mail", None), getattr(event.data, "document", None))
    return {
        name: str(value)
        for place in places
        for name in _FIELDS
        if (value := getattr(place, name, None)) is not None
    }
