"""From decision to review and reply: citations, references, recipients, refusals."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.feedback.access import Viewer
from services.feedback.citing import unknown_marks
from services.feedback.comparing import written
from services.feedback.edits import Edit, Held, Kept, Lock, Overwritten, with_passage
from services.feedback.records import ReviewWish, StoredDraft, stored
from services.feedback.reviewing import Conflict, Decided, Unacceptable, decide
from shared.events import (
    DraftDeclined,
    DraftReady,
    ReplyApproved,
    ReplyApprovedData,
    ReviewRecorded,
    ReviewRecordedData,
)
from shared.records import Address, DocumentVersion, Part, Passage, Reference, Source
from tests import samples

AGENT = Viewer(account="agent", name="Alix", roles=frozenset({"agent"}), pseudonym="p-7f")
OTHER = Viewer(account="agent2", name="Béa", roles=frozenset({"agent"}), pseudonym="p-9c")


def decided(draft: StoredDraft | Kept, wish: ReviewWish, **changes: Any) -> Decided:
    kept = draft if isinstance(draft, Kept) else Kept(draft=draft)
    return decide(kept, wish, AGENT, samples.AT, **changes)


def review_of(draft: StoredDraft | Kept, wish: ReviewWish) -> ReviewRecordedData:
    return decided(draft, wish).review.review


def reply_of(draft: StoredDraft | Kept, wish: ReviewWish, **changes: Any) -> ReplyApprovedData:
    _, reply = decided(draft, wish, **changes).events
    assert isinstance(reply, ReplyApproved)
    return reply.data


def references(kept: StoredDraft | Kept, text: str, **changes: Any) -> tuple[Reference, ...]:
    return reply_of(kept, ReviewWish(decision="edited", final_text=text), **changes).references


def other_passage(**changes: Any) -> Passage:
    values = {"passage_id": uuid4(), "document_id": uuid4(), "title": "Autre guide", **changes}
    return samples.PASSAGE.model_copy(update=values)


def edited(base: StoredDraft, *added: Passage, **changes: Any) -> Kept:
    edit = Edit(draft_id=base.draft_id, account="agent", text=base.text, updated=samples.AT)
    for passage in added:
        edit = with_passage(base, edit, passage)
    return Kept(draft=base, edit=edit.model_copy(update=changes))


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
    (reference,) = references(base, "Deux [2].")
    assert (reference.number, reference.title, reference.page) == (2, "Source 2", 2)
    assert reference.heading == samples.PASSAGE.heading_path[-1]
    assert reference.url == "https://programme.example/s"


def test_several_numbers_in_one_mark() -> None:
    review = review_of(two_sources(), ReviewWish(decision="edited", final_text="Tout [1, 2]."))
    assert len(review.citations_kept) == 2


def test_a_source_that_is_not_public_has_no_link() -> None:
    base = two_sources(audience="agents")
    assert [r.url for r in references(base, base.text)] == ["https://programme.example/s", None]
    shown = references(base, base.text, public_url="https://sources.example")
    assert [bool(r.url) for r in shown] == [True, False]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_nothing_to_send_is_refused(text: str) -> None:
    with pytest.raises(Unacceptable, match="Aucun texte"):
        review_of(draft(), ReviewWish(decision="edited", final_text=text))


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(Unacceptable, match=r"\[7\].*\[1\]"):
        review_of(draft(), ReviewWish(decision="edited", final_text="Voir [7]."))


def test_rejecting_drops_every_citation_and_sends_nothing() -> None:
    base = draft()
    wish = ReviewWish(decision="rejected", reasons=("invented", "other"), note=" Faux. ")
    found = decided(base, wish)
    assert found.review.review.citations_dropped == (samples.PASSAGE.passage_id,)
    (event,) = found.events
    assert isinstance(event, ReviewRecorded)
    assert (event.data.reasons, event.data.note) == (("invented", "other"), "Faux.")


def test_a_declined_draft_can_be_answered_by_hand() -> None:
    base = draft(DraftDeclined)
    with pytest.raises(Unacceptable):
        review_of(base, ReviewWish(decision="approved"))
    review = review_of(base, ReviewWish(decision="edited", final_text="Voici la réponse."))
    assert review.edit_distance == len("Voici la réponse.")
    assert review.words_changed == 3
    assert references(base, "Voici la réponse.") == ()


def test_the_reply_goes_to_reply_to_in_its_thread() -> None:
    mail = samples.MAIL.model_copy(
        update={
            "reply_to": Address(address="travaux@mairie.example"),
            "references": ("<q0@mairie.example>",),
            "subject": "RE: Étude",
        }
    )
    base = draft(mail=mail)
    recorded, reply = decided(base, ReviewWish(decision="approved")).events
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
    first, second = decided(base, wish), decided(base, wish)
    assert first == second
    assert (
        first.review.review.review_id != review_of(base, ReviewWish(decision="rejected")).review_id
    )


def test_a_decision_that_was_taken_is_given_again_or_stays() -> None:
    kept = edited(draft(), text="Corrigé [1].", revision=1)
    first = decided(kept, ReviewWish(decision="edited"))
    assert (first.review.review.decision, first.review.review.final_text) == (
        "edited",
        "Corrigé [1].",
    )
    done = Kept(draft=draft().model_copy(update={"review": first.review, "status": "edited"}))
    for wish in (
        ReviewWish(decision="edited"),
        ReviewWish(decision="approved", final_text="Corrigé [1]."),
    ):
        assert decided(done, wish) == Decided(first.review, ())
    with pytest.raises(Conflict, match="déjà été corrigé"):
        decided(done, ReviewWish(decision="rejected"))
    with pytest.raises(Conflict):
        decide(done, ReviewWish(decision="approved"), OTHER, samples.AT)


def test_a_withdrawn_draft_is_not_reviewed() -> None:
    gone = draft().model_copy(update={"status": "withdrawn"})
    with pytest.raises(Conflict, match="retiré"):
        decided(gone, ReviewWish(decision="approved"))


def test_who_reviewed_is_a_pseudonym_and_the_time_is_that_of_the_lock() -> None:
    lock = Lock(
        draft_id=samples.DRAFT,
        account="agent",
        name="Alix",
        since=samples.AT - timedelta(seconds=95),
        expires=samples.AT + timedelta(minutes=5),
    )
    kept = Kept(draft=draft(), lock=lock, worked=95)
    review = review_of(kept, ReviewWish(decision="approved"))
    assert (review.reviewer, review.seconds) == ("p-7f", 95)
    assert review_of(kept, ReviewWish(decision="approved", seconds=4)).seconds == 4
    with pytest.raises(Held, match=r"Alix travaille.*encore 5 min"):
        decide(kept, ReviewWish(decision="approved"), OTHER, samples.AT)


def test_a_decision_on_an_older_text_is_refused() -> None:
    kept = edited(draft(), text="Mieux [1].", revision=3)
    with pytest.raises(Overwritten):
        decided(kept, ReviewWish(decision="approved", final_text=draft().text, revision=2))
    with pytest.raises(Overwritten):
        decided(draft(), ReviewWish(decision="approved", revision=1))
    assert decided(kept, ReviewWish(decision="edited", revision=3)).events


def test_added_passages_are_cited_by_numbers_of_their_own() -> None:
    new, again = other_passage(page=7), other_passage(document_id=samples.PASSAGE.document_id)
    kept = edited(draft(), new, again)
    review = review_of(kept, ReviewWish(decision="edited", final_text="Un [1], deux [2]."))
    assert review.citations_added == (new.passage_id, again.passage_id)
    assert review.citations_kept == (samples.PASSAGE.passage_id,)
    shown = references(kept, "Deux [2].")
    assert [(r.number, r.title, r.page) for r in shown] == [(2, "Autre guide", 7)]
    with pytest.raises(Unacceptable, match=r"\[3\].*\[1\], \[2\]"):
        references(kept, "Trois [3].")


def test_a_number_once_given_keeps_its_meaning() -> None:
    first, second, third = other_passage(), other_passage(), other_passage()
    base = draft()
    edit = edited(base, first, second).edit
    assert edit is not None
    left = edit.model_copy(update={"added": (second,)})
    edit = with_passage(base, left, third)
    kept = Kept(draft=base, edit=edit)
    shown = references(kept, "[1] [3] [4]")
    assert [r.number for r in shown] == [1, 3, 4]
    assert review_of(kept, ReviewWish(decision="edited", final_text="[3]")).citations_added == (
        second.passage_id,
    )


def test_a_passage_called_wrong_is_not_kept() -> None:
    kept = edited(draft(), wrong=(samples.PASSAGE.passage_id,))
    review = review_of(kept, ReviewWish(decision="approved"))
    assert review.wrong_passages == review.citations_dropped == (samples.PASSAGE.passage_id,)
    assert review.citations_kept == ()
    with pytest.raises(Unacceptable, match="passage"):
        review_of(draft(), ReviewWish(decision="approved", wrong_passages=(uuid4(),)))


def test_references_link_to_the_public_pages() -> None:
    base = two_sources()
    (first, _) = references(base, base.text, public_url="https://sources.example/")
    p = samples.PASSAGE
    assert first.url == (
        f"https://sources.example/sources/{p.document_id}/{p.version.sha256[:16]}"
        f"?p={p.start}-{p.end}#passage"
    )


def test_a_newer_version_that_was_added_is_the_one_referred_to() -> None:
    newer = DocumentVersion(
        submitted=samples.PASSAGE.version.submitted + timedelta(days=1), sha256="f" * 64
    )
    new = other_passage(document_id=samples.PASSAGE.document_id, version=newer, page=9, start=5)
    (reference,) = references(
        edited(draft(), new), "Voir [1].", public_url="https://sources.example"
    )
    assert (reference.number, reference.page) == (1, 9)
    assert reference.url is not None
    assert f"/{'f' * 16}?p=5-" in reference.url


@pytest.mark.parametrize("title", ["", "Sources", "\nSources :"])
def test_many_line_breaks_are_read_in_time(title: str) -> None:
    started = time.perf_counter()
    assert written(f"Bonjour.\n{title}" + "\n" * 100_000 + "Fin").startswith("Bonjour.")
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("title", ["Sources", "  Références :", "\n \nSOURCES :\n"])
def test_a_list_of_sources_is_not_its_authors_text(title: str) -> None:
    assert written(f"Oui [1].\n{title}\n  [1] Guide\n[2] Autre") == "Oui [1]."
    assert written("Les sources\n[1] Guide") == "Les sources\n[1] Guide"


def test_several_marks_are_named_in_the_plural() -> None:
    with pytest.raises(Unacceptable, match=r"\[7\], qui n'est pas une source"):
        unknown_marks("[7]", ())
    with pytest.raises(Unacceptable, match=r"\[7\], \[8\], qui ne sont pas des sources"):
        unknown_marks("[7, 8]", ())
