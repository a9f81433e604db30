"""From an agent's wish for another draft to the event that asks for it. Pure."""

from __future__ import annotations

from datetime import datetime

from services.feedback.edits import CLOSED
from services.feedback.records import RegenerateWish, Status, StoredDraft
from services.feedback.reviewing import SERVICE, Conflict
from shared.events import DraftRequested, DraftRequestedData
from shared.identity import derived_id


def still_open(status: Status) -> None:
    """Raises Conflict unless a draft that stands at `status` waits for a decision."""
    if status != "waiting":
        raise Conflict(f"Ce brouillon {CLOSED[status]} : il ne sert plus à en demander un autre.")


def request_of(
    draft: StoredDraft, wish: RegenerateWish, number: int, time: datetime
) -> DraftRequested:
    """The event that asks for draft `number` of the e-mail, from the passages of `draft`."""
    data = draft.data
    wished = DraftRequestedData(
        mail=data.mail,
        request_id=number,
        passages=data.passages,
        evidence=data.evidence,
        instruction=wish.instruction.strip(),
        engine=wish.engine,
        embedding=data.fingerprints.embedding,
        retrieval=data.fingerprints.retrieval,
    )
    return DraftRequested.make(
        source=SERVICE,
        subject=str(data.mail.mail_id),
        time=time,
        data=wished,
        id=derived_id(data.mail.mail_id, DraftRequested.TYPE, str(number)),
        traceparent=draft.traceparent,
    )
