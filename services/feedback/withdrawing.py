"""Drafts that are no longer to be used, and why. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from services.feedback.records import StoredDraft
from services.feedback.reviewing import said
from shared.events import DraftWithdrawn, DraftWithdrawnData

Why = Literal["newer-mail", "document-removed", "other-approved", "already-answered"]
Withdraw = Callable[[StoredDraft, Why], DraftWithdrawn]
"""The event that says a draft is withdrawn, and why."""

WITHDRAWN: dict[Why, str] = {
    "newer-mail": "Un message plus récent de la même conversation est arrivé.",
    "document-removed": "Un document cité par ce brouillon a été retiré.",
    "other-approved": "Un autre brouillon du même e-mail a été approuvé.",
    "already-answered": "Une réponse à cet e-mail est déjà partie.",
}


def withdrawal(draft: StoredDraft, why: Why, time: datetime) -> DraftWithdrawn:
    """The event that takes an untouched draft back; one per draft, whatever the reasons."""
    mail = draft.data.mail
    data = DraftWithdrawnData(
        mailbox=mail.mailbox,
        draft_id=draft.draft_id,
        mail_id=mail.mail_id,
        why=why,
        detail=WITHDRAWN[why],
    )
    return said(DraftWithdrawn, draft.draft_id, draft, data, time)
