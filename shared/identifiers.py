"""What names an event's e-mail, document and draft in logs and traces; never any of their text."""

from __future__ import annotations

from functools import cache
from operator import attrgetter

from pydantic import BaseModel

from shared.envelope import Event

_FIELDS = ("mail_id", "document_id", "draft_id")


def identifiers(event: Event) -> dict[str, str]:
    """``mail_id``, ``document_id`` and ``draft_id``, as far as ``event`` knows them."""
    places = _places(type(event.data)).items()
    return {n: str(value) for n, get in places if (value := get(event.data)) is not None}


@cache
def _places(data: type[BaseModel]) -> dict[str, attrgetter[object]]:
    """Where a kind of data has them: in itself, or in its block."""
    found: dict[str, attrgetter[object]] = {}
    for block in ("mail", "document"):
        inner = data.model_fields[block].annotation if block in data.model_fields else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= {n: attrgetter(f"{block}.{n}") for n in _FIELDS if n in inner.model_fields}
    return found | {n: attrgetter(n) for n in _FIELDS if n in data.model_fields}
