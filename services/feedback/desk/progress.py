"""How far drafts in progress are, as generate tells it; the last word on each is kept."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from shared.progress import DraftProgress

MOST = 500
"""Drafts remembered; what is forgotten or was never heard is only not shown while it grows."""


class Progress:
    """The last progress of each draft, by e-mail and request."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[UUID, int], DraftProgress] = OrderedDict()

    async def hear(self, told: DraftProgress) -> None:
        """Keep the newest word on a draft."""
        key = (told.mail_id, told.request_id)
        self._last[key] = told
        self._last.move_to_end(key)
        if len(self._last) > MOST:
            self._last.popitem(last=False)

    def text(self, mail_id: UUID, request_id: int) -> str:
        """What can be read of the draft so far; "" when nothing was heard."""
        told = self._last.get((mail_id, request_id))
        return told.text if told else ""
