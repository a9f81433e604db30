"""From an agent's decision to the review and the events that say it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from rapidfuzz.distance import Levenshtein

from services.feedback.access import Viewer
from services.feedback.citing import marks, removed_marks, unknown_marks
from services.feedback.comparing import words_changed
from services.feedback.edits import CLOSED, Held, Kept, Overwritten, opened
from services.feedback.errors import Conflict, Moment, NotFound, Unacceptable, no_draft, used_id
from services.feedback.records import ReviewWish, StoredDraft, StoredReview
from services.feedback.replying import reply_of
from shared.envelope import Event, Frozen
from shared.events import (
    Decision,
    ReplyApproved,
    ReviewRecorded,
    ReviewRecordedData,
)
from shared.identity import derived_id, sha256, stable_id
from shared.records import Source

__all__ = ["Conflict", "NotFound", "Unacceptable", "no_draft", "used_id"]

SERVICE = "feedback"
EVENT_MOST = 500_000
"""Bytes of an event as JSON; a stream takes 512 KiB and would refuse more for ever."""

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Decided:
    """A review, and the events that leave with it; none when it was recorded before."""

    review: StoredReview
    events: tuple[Event, ...]


def decide(
    kept: Kept, wish: ReviewWish, viewer: Viewer, now: datetime, public_url: str | None = None
) -> Decided:
    """What ``wish`` makes of the draft as it is kept; a repetition gives the review there is.

    Raises Conflict when something else was decided, Held when another agent works on the draft,
    Overwritten when the wish rests on an older text than the one kept, Unacceptable when the
    review itself cannot be taken.
    """
    known = kept.draft.review
    if known:
        if not _repeats(known, kept.draft, wish, viewer):
            raise _already(known)
        return Decided(known, ())
    if kept.draft.status != "waiting":
        raise Conflict(
            "Ce brouillon {closed} : il ne peut plus être relu.", closed=CLOSED[kept.draft.status]
        )
    if kept.lock and kept.lock.account != viewer.account:
        raise Held(kept.lock, now)
    edit = kept.edit
    if wish.revision is not None and wish.revision != (edit.revision if edit else 0):
        raise Overwritten(edit)
    review = StoredReview(
        created=now,
        review=review_of(kept, wish, viewer),
        added=edit.added if edit else (),
        numbers=edit.numbers if edit else {},
    )
    return Decided(review, events_of(review, kept, public_url))


def review_of(kept: Kept, wish: ReviewWish, viewer: Viewer) -> ReviewRecordedData:
    """The review that ``wish`` makes.

    Approving a changed text counts as an edit, and an edit that changes nothing as an approval.
    Raises Unacceptable when there is no text to send, or a [n] names no source or one that was
    taken away.
    """
    draft, found = kept.draft, opened(kept)
    text = _text(kept, wish)
    decision = _decision(draft, wish.decision, text)
    if decision != "rejected":
        unknown_marks(text, found.sources)
        removed_marks(text, found.sources, kept.removed)
    wrong = dict.fromkeys((*(kept.edit.wrong if kept.edit else ()), *wish.wrong_passages))
    if any(passage not in {p.passage_id for p in found.passages} for passage in wrong):
        raise Unacceptable("Un passage dit faux n'est pas de ce brouillon.")
    cited = cited_passages(draft)
    used = _used(found.sources, text if decision != "rejected" else "", wrong)
    return ReviewRecordedData(
        mailbox=draft.data.mail.mailbox,
        review_id=wish.review_id or _review_id(draft, decision, text),
        draft_id=draft.draft_id,
        mail_id=draft.data.mail.mail_id,
        decision=decision,
        final_text=text,
        edit_distance=Levenshtein.distance(draft.text, text),
        words_changed=words_changed(draft.text, text),
        reasons=tuple(dict.fromkeys(wish.reasons)),
        note=wish.note.strip(),
        citations_kept=tuple(p for p in cited if p in used),
        citations_dropped=tuple(p for p in cited if p not in used),
        citations_added=tuple(
            p.passage_id for p in (kept.edit.added if kept.edit else ()) if p.passage_id in used
        ),
        wrong_passages=tuple(wrong),
        reviewer=viewer.pseudonym,
        seconds=wish.seconds if wish.seconds is not None else kept.worked,
    )


def events_of(stored: StoredReview, kept: Kept, public_url: str | None) -> tuple[Event, ...]:
    """The events that leave with the review: itself, and the reply unless it was rejected.

    Raises Unacceptable when one is larger than the broker takes.
    """
    draft, review, time = kept.draft, stored.review, stored.created
    events: list[Event] = [said(ReviewRecorded, review.review_id, draft, review, time)]
    if review.decision != "rejected":
        found = opened(kept)
        reply = reply_of(review, draft, found.sources, found.passages, public_url)
        events.append(said(ReplyApproved, review.review_id, draft, reply, time))
    largest = max(len(event.model_dump_json().encode()) for event in events)
    if largest > EVENT_MOST:
        raise Unacceptable(
            "La décision et sa réponse pèsent {size} ko, le maximum est {most} ko :"
            " raccourcissez le texte.",
            size=largest // 1000,
            most=EVENT_MOST // 1000,
        )
    return tuple(events)


def said(kind: type[E], parent: UUID, draft: StoredDraft, data: Frozen, time: datetime) -> E:
    """An event about ``draft``; ``parent`` gives it its id."""
    return kind.make(
        source=SERVICE,
        subject=str(draft.data.mail.mail_id),
        time=time,
        data=data,
        id=derived_id(parent, kind.TYPE),
        traceparent=draft.traceparent,
    )


def cited_passages(draft: StoredDraft) -> tuple[UUID, ...]:
    """The passages that the draft as generate wrote it cites, each once."""
    parts = draft.ready.parts if draft.ready else ()
    return tuple(dict.fromkeys(passage for part in parts for passage in part.citations))


def _text(kept: Kept, wish: ReviewWish) -> str:
    """What is decided on: the text of the wish, else what was typed, else the draft."""
    if wish.final_text is not None:
        return wish.final_text.replace("\r\n", "\n")
    typed = kept.edit and wish.decision != "rejected"
    return kept.edit.text if kept.edit and typed else kept.draft.text


def _decision(draft: StoredDraft, wished: Decision, text: str) -> Decision:
    if wished == "rejected":
        return wished
    if not text.strip():
        raise Unacceptable("Aucun texte à envoyer : rédigez la réponse ou rejetez le brouillon.")
    return "approved" if text.strip() == draft.text.strip() else "edited"


def _used(sources: tuple[Source, ...], text: str, wrong: Collection[UUID]) -> set[UUID]:
    """The passages of the sources that ``text`` cites, but for those called wrong."""
    numbers = marks(text)
    found = {p for source in sources if source.number in numbers for p in source.passage_ids}
    return found - set(wrong)


def _review_id(draft: StoredDraft, decision: Decision, text: str) -> UUID:
    return stable_id("review", str(draft.draft_id), decision, sha256(text.encode()))


def _repeats(known: StoredReview, draft: StoredDraft, wish: ReviewWish, viewer: Viewer) -> bool:
    """Whether ``wish`` asks again for the review that is ``known``."""
    data = known.review
    if data.decision == "unused" or (data.decision == "rejected") != (wish.decision == "rejected"):
        return False
    if wish.final_text is not None:
        return wish.final_text.replace("\r\n", "\n") == data.final_text
    return data.final_text == draft.text or data.reviewer == viewer.pseudonym


def _already(known: StoredReview) -> Conflict:
    return Conflict(
        "Ce brouillon {closed} {when} : cette décision ne peut plus être changée.",
        closed=CLOSED[known.review.decision],
        when=Moment(known.created),
    )
