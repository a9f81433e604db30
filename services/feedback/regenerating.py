"""From an agent's wish for another draft to the event that asks for it. Pure."""

from __future__ import annotations

from datetime import datetime

from services.feedback.edits import CLOSED, Kept, opened
from services.feedback.records import RegenerateWish
from services.feedback.reviewing import SERVICE, Conflict
from shared.events import DraftRequested, DraftRequestedData
from shared.identity import derived_id


def still_open(kept: Kept) -> None:
    """Raises Conflict unless the draft waits for a decision, or waits no more because a document
    that it cites was taken away: its e-mail still needs an answer."""
    status = kept.draft.status
    if status != "waiting" and not (status == "withdrawn" and kept.removed):
        raise Conflict(
            "Ce brouillon {closed} : il ne sert plus à en demander un autre.",
            closed=CLOSED[status],
        )


def request_of(kept: Kept, wish: RegenerateWish, number: int, time: datetime) -> DraftRequested:
    """The event that asks for draft `number` of the e-mail.

    Its passages are the draft's and those that an agent added, without those called wrong or of
    documents that were taken away.
    """
    draft, data = kept.draft, kept.draft.data
    wrong = kept.edit.wrong if kept.edit else ()
    left = (p for p in opened(kept).passages if p.document_id not in kept.removed)
    wished = DraftRequestedData(
        mail=data.mail,
        request_id=number,
        passages=tuple(p for p in left if p.passage_id not in wrong),
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
