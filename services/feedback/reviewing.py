"""From an agent's decision to the review, the reply and the events that say them. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from rapidfuzz.distance import Levenshtein

from services.feedback.records import ReviewWish, StoredDraft
from shared.envelope import Event, Frozen
from shared.events import (
    Decision,
    DraftWithdrawn,
    DraftWithdrawnData,
    ReplyApproved,
    ReplyApprovedData,
    ReviewRecorded,
    ReviewRecordedData,
)
from shared.identity import derived_id, sha256, stable_id
from shared.records import MailBlock, Reference, Source

SERVICE = "feedback"
SUBJECT_MOST = 500
"""Characters of a reply's subject; what is over would only fill headers."""
THREAD_MOST = 50
"""Message-IDs of the thread that a reply names, the last ones (RFC 5322 lets senders cut)."""
EVENT_MOST = 500_000
"""Bytes of an event as JSON; a stream takes 512 KiB and would refuse more for ever."""
_MARK = re.compile(r"\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]")
_REPLY_PREFIX = re.compile(r"^\s*(?:re|ré|rép|aw)\s?:", re.IGNORECASE)

E = TypeVar("E", bound=Event)


class NotFound(Exception):
    """What was asked for is not kept here; the text is French."""


def no_draft(draft_id: UUID) -> NotFound:
    """The error of a draft that is not there, or not for who asks."""
    return NotFound(f"Aucun brouillon {draft_id} n'est connu.")


class Conflict(Exception):
    """The draft is no longer waiting for this decision; the text is French."""


def used_id() -> Conflict:
    """The error of a review whose id is another review's."""
    return Conflict("Cet identifiant de relecture a déjà servi pour un autre brouillon.")


class Unacceptable(Exception):
    """The review itself cannot be taken; the text is French and says what to change."""


def review_of(draft: StoredDraft, wish: ReviewWish) -> ReviewRecordedData:
    """The review that `wish` makes of `draft`.

    Approving a changed text counts as an edit, and an edit that changes nothing as an approval.
    Raises Unacceptable when there is no text to send or a [n] names no source.
    """
    text = draft.text if wish.final_text is None else wish.final_text.replace("\r\n", "\n")
    decision = _decision(draft, wish.decision, text)
    sources = draft.ready.sources if draft.ready else ()
    kept = used_sources(text, sources) if decision != "rejected" else ()
    cited = _cited(draft)
    still = tuple(p for source in kept for p in source.passage_ids if p in cited)
    return ReviewRecordedData(
        mailbox=draft.data.mail.mailbox,
        review_id=wish.review_id or _review_id(draft, decision, text),
        draft_id=draft.draft_id,
        mail_id=draft.data.mail.mail_id,
        decision=decision,
        final_text=text,
        edit_distance=Levenshtein.distance(draft.text, text),
        reasons=wish.reasons,
        citations_kept=still,
        citations_dropped=tuple(p for p in cited if p not in still),
        reviewer=wish.reviewer,
        seconds=wish.seconds,
    )


def same_review(known: ReviewRecordedData, new: ReviewRecordedData) -> bool:
    """Whether `new` repeats `known`: the same decision on the same text of the same draft."""
    first, second = (
        (review.draft_id, review.decision, review.final_text) for review in (known, new)
    )
    return first == second


def events_of(review: ReviewRecordedData, draft: StoredDraft, time: datetime) -> tuple[Event, ...]:
    """The events that leave with the review: itself, and the reply unless it was rejected.

    Raises Unacceptable when one is larger than the broker takes.
    """
    events: list[Event] = [_event(ReviewRecorded, review.review_id, draft, review, time)]
    if review.decision != "rejected":
        reply = reply_of(review, draft)
        events.append(_event(ReplyApproved, review.review_id, draft, reply, time))
    largest = max(len(event.model_dump_json().encode()) for event in events)
    if largest > EVENT_MOST:
        raise Unacceptable(
            f"La décision et sa réponse pèsent {largest // 1000} ko, le maximum est"
            f" {EVENT_MOST // 1000} ko : raccourcissez le texte."
        )
    return tuple(events)


def withdrawal(draft: StoredDraft, data: DraftWithdrawnData, time: datetime) -> DraftWithdrawn:
    """The event that takes an untouched draft back; one per draft, whatever the reasons."""
    return _event(DraftWithdrawn, draft.draft_id, draft, data, time)


def reply_of(review: ReviewRecordedData, draft: StoredDraft) -> ReplyApprovedData:
    """The reply to send: to whom, in which thread, with the references still cited."""
    mail = draft.data.mail
    sources = draft.ready.sources if draft.ready else ()
    return ReplyApprovedData(
        mailbox=mail.mailbox,
        reply_id=stable_id("reply", str(review.review_id)),
        mail_id=mail.mail_id,
        draft_id=draft.draft_id,
        recipients=(mail.reply_to or mail.sender,),
        subject=_reply_subject(mail),
        in_reply_to=mail.message_id,
        thread_references=_thread(mail),
        text=review.final_text,
        references=tuple(
            _reference(source, draft) for source in used_sources(review.final_text, sources)
        ),
    )


def used_sources(text: str, sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """The sources whose [n] stands in `text`, by number; raises Unacceptable for an unknown n."""
    numbers = {int(n) for marks in _MARK.findall(text) for n in marks.split(",")}
    unknown = numbers - {source.number for source in sources}
    if unknown:
        names = ", ".join(f"[{number}]" for number in sorted(unknown))
        known = ", ".join(f"[{source.number}]" for source in sources) or "aucune"
        raise Unacceptable(
            f"Le texte renvoie à {names}, qui n'est pas une source de ce brouillon"
            f" (sources : {known})."
        )
    return tuple(source for source in sources if source.number in numbers)


def _decision(draft: StoredDraft, wished: Decision, text: str) -> Decision:
    if wished == "rejected":
        return wished
    if not text.strip():
        raise Unacceptable("Aucun texte à envoyer : rédigez la réponse ou rejetez le brouillon.")
    return "approved" if text.strip() == draft.text.strip() else "edited"


def _review_id(draft: StoredDraft, decision: Decision, text: str) -> UUID:
    return stable_id("review", str(draft.draft_id), decision, sha256(text.encode()))


def _cited(draft: StoredDraft) -> tuple[UUID, ...]:
    parts = draft.ready.parts if draft.ready else ()
    return tuple(dict.fromkeys(passage for part in parts for passage in part.citations))


def _reference(source: Source, draft: StoredDraft) -> Reference:
    audiences = {p.audience for p in draft.data.passages if p.passage_id in source.passage_ids}
    # A source that is not public is named without a link that its reader could not open.
    return Reference(
        number=source.number,
        title=source.title,
        url=source.url if audiences == {"public"} else None,
        page=source.page,
        heading=source.heading_path[-1] if source.heading_path else None,
    )


def _reply_subject(mail: MailBlock) -> str:
    known = _REPLY_PREFIX.match(mail.subject)
    return (mail.subject if known else f"Re: {mail.subject}".rstrip())[:SUBJECT_MOST]


def _thread(mail: MailBlock) -> tuple[str, ...]:
    own = (mail.message_id,) if mail.message_id else ()
    return (*mail.references, *own)[-THREAD_MOST:]


def _event(kind: type[E], parent: UUID, draft: StoredDraft, data: Frozen, time: datetime) -> E:
    return kind.make(
        source=SERVICE,
        subject=str(draft.data.mail.mail_id),
        time=time,
        data=data,
        id=derived_id(parent, kind.TYPE),
        traceparent=draft.traceparent,
    )
