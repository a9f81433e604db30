"""Retrieval triplets: what agents' changes of citations say about passages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Literal
from uuid import UUID

from services.feedback.records import StoredDraft
from shared.records import Passage

MOST = 24
"""Triplets of one e-mail: an agent's one change must not weigh more than the others' all."""
Triplet = tuple[StoredDraft, tuple[str, ...], dict[str, Any]]


def triplets_of(
    drafts: Sequence[StoredDraft],
) -> Iterator[Triplet | Literal["no-citation-edit", "no-counterpart"]]:
    """Question, a passage that was kept or added, one that was dropped or called wrong.

    Of all drafts of an e-mail together: what is wrong for one is wrong for the next. Gives the
    reason when agents decided and there is no triplet.
    """
    known: dict[UUID, Passage] = {}
    good: dict[UUID, str] = {}
    bad: dict[UUID, str] = {}
    reviewed: StoredDraft | None = None
    for draft in drafts:
        known |= {passage.passage_id: passage for passage in draft.data.passages}
        if draft.review is None:
            continue
        review, reviewed = draft.review.review, draft
        known |= {passage.passage_id: passage for passage in draft.review.added}
        if review.decision in ("approved", "edited"):
            good |= dict.fromkeys(review.citations_kept, "kept")
            good |= dict.fromkeys(review.citations_added, "added")
            bad |= dict.fromkeys(review.citations_dropped, "dropped")
        bad |= dict.fromkeys(review.wrong_passages, "wrong")
    if reviewed is None:
        return
    # Wrong is said of the passage itself; one dropped from a draft may be right in the next.
    good = {i: how for i, how in good.items() if bad.get(i) != "wrong" and i in known}
    bad = {i: how for i, how in bad.items() if i not in good and i in known}
    if not bad and "added" not in good.values():
        yield "no-citation-edit"
        return
    found = list(_combined(reviewed, known, good, bad))[:MOST]
    if not found:
        yield "no-counterpart"
    yield from found


def _combined(
    draft: StoredDraft, known: dict[UUID, Passage], good: dict[UUID, str], bad: dict[UUID, str]
) -> Iterator[Triplet]:
    questions = draft.data.mail.questions
    for right, wrong in product(good, bad):
        first, second = known[right], known[wrong]
        asked = [n for n in first.questions if n in second.questions] or list(first.questions)
        meant = [questions[n] for n in asked[:1] if n < len(questions)] or [" ".join(questions)]
        if first.text == second.text:
            continue
        values = {
            "anchor": meant[0],
            "positive": first.text,
            "negative": second.text,
            "positive_kind": good[right],
            "negative_kind": bad[wrong],
            "positive_id": str(right),
            "negative_id": str(wrong),
            "positive_title": first.title,
            "negative_title": second.title,
            "embedding": draft.data.fingerprints.embedding,
            "retrieval": draft.data.fingerprints.retrieval,
        }
        yield draft, (str(right), str(wrong)), values
