"""From decision to review and reply: citations, references, recipients, refusals."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from services.feedback.records import ReviewWish, StoredDraft, stored
from services.feedback.reviewing import (
    Unacceptable,
    events_of,
    reply_of,
    review_of,
    same_review,
)
from shared.events import DraftDeclined, DraftReady, ReplyApproved, ReviewRecorded
from shared.records import Address, Part, Source
from tests import samples


def draft(kind: type = DraftReady, **changes: Any) -> StoredDraft:
    (event,) = (event for event in samples.events() if isinstance(event, kind))
    data = event.data.model_copy(update=changes)
    return stored(event.model_copy(update={"data": data}))


def two_sources(audience: str = "public") -> StoredDraft:
    second = samples.PASSAGE.model_copy(update={"passage_id": uuid4(), "audience": audience})
    sources = tuple(
        Source(
            number=number,
            document_id=passage.document_id,
            version=passage.version,
            title=f"Source {number}",
            url="https://programme.example/s",
            heading_path=("Aides", "Études"),
            page=number,
            passage_ids=(passage.passage_id,),
        )
        for number, passage in ((1, samples.PASSAGE), (2, second))
    )
    return draft(
        passages=(samples.PASSAGE, second),
        parts=tuple(Part(text="x", citations=source.passage_ids) for source in sources),
        sources=sources,
        text="Un [1]. Deux [2].",
    )


def test_approving_the_draft_as_it_is() -> None:
    review = review_of(draft(), ReviewWish(decision="approved"))
    assert (review.decision, review.edit_distance) == ("approved", 0)
    assert review.final_text == draft().text
    assert review.citations_kept == (samples.PASSAGE.passage_id,)
    assert review.citations_dropped == ()


def test_the_text_decides_between_approved_and_edited() -> None:
    changed = ReviewWish(decision="approved", final_text=draft().text + "!!")
    assert review_of(draft(), changed).decision == "edited"
    assert review_of(draft(), changed).edit_distance == 2
    same = ReviewWish(decision="edited", final_text=draft().text.replace("\n", "\r\n"))
    assert review_of(draft(), same).decision == "approved"


def test_references_are_those_still_cited() -> None:
    base = two_sources()
    review = review_of(base, ReviewWish(decision="edited", final_text="Deux [2]."))
    assert base.ready is not None
    assert review.citations_kept == base.ready.sources[1].passage_ids
    assert review.citations_dropped == base.ready.sources[0].passage_ids
    (reference,) = reply_of(review, base).references
    assert (reference.number, reference.title, reference.page) == (2, "Source 2", 2)
    assert reference.heading == "Études"
    assert reference.url == "https://programme.example/s"


def test_several_numbers_in_one_mark() -> None:
    review = review_of(two_sources(), ReviewWish(decision="edited", final_text="Tout [1, 2]."))
    assert len(review.citations_kept) == 2


def test_a_source_that_is_not_public_has_no_link() -> None:
    base = two_sources(audience="agents")
    review = review_of(base, ReviewWish(decision="approved"))
    assert [r.url for r in reply_of(review, base).references] == [
        "https://programme.example/s",
        None,
    ]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_nothing_to_send_is_refused(text: str) -> None:
    with pytest.raises(Unacceptable, match="Aucun texte"):
        review_of(draft(), ReviewWish(decision="edited", final_text=text))


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(Unacceptable, match=r"\[7\].*\[1\]"):
        review_of(draft(), ReviewWish(decision="edited", final_text="Voir [7]."))


def test_rejecting_drops_every_citation_and_sends_nothing() -> None:
    base = draft()
    review = review_of(base, ReviewWish(decision="rejected", final_text="", reasons=("faux",)))
    assert review.citations_dropped == (samples.PASSAGE.passage_id,)
    (event,) = events_of(review, base, samples.AT)
    assert isinstance(event, ReviewRecorded)


def test_a_declined_draft_can_be_answered_by_hand() -> None:
    base = draft(DraftDeclined)
    with pytest.raises(Unacceptable):
        review_of(base, ReviewWish(decision="approved"))
    review = review_of(base, ReviewWish(decision="edited", final_text="Voici la réponse."))
    assert review.edit_distance == len("Voici la réponse.")
    assert reply_of(review, base).references == ()


def test_the_reply_goes_to_reply_to_in_its_thread() -> None:
    mail = samples.MAIL.model_copy(
        update={
            "reply_to": Address(address="travaux@mairie.example"),
            "references": ("<q0@mairie.example>",),
            "subject": "RE: Étude",
        }
    )
    base = draft(mail=mail)
    review = review_of(base, ReviewWish(decision="approved"))
    recorded, reply = events_of(review, base, samples.AT)
    assert isinstance(reply, ReplyApproved)
    assert [address.address for address in reply.data.recipients] == ["travaux@mairie.example"]
    assert reply.data.subject == "RE: Étude"
    assert reply.data.in_reply_to == samples.MAIL.message_id
    assert reply.data.thread_references == ("<q0@mairie.example>", samples.MAIL.message_id)
    assert recorded.traceparent == reply.traceparent == base.traceparent
    assert recorded.subject == str(mail.mail_id)


def test_repeated_decisions_have_the_same_ids() -> None:
    base = draft()
    wish = ReviewWish(decision="approved")
    first, second = review_of(base, wish), review_of(base, wish)
    assert first == second
    assert [e.id for e in events_of(first, base, samples.AT)] == [
        e.id for e in events_of(second, base, samples.AT)
    ]
    other = review_of(base, ReviewWish(decision="rejected"))
    assert not same_review(first, other)
    assert first.review_id != other.review_id
