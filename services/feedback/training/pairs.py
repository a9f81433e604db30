"""From what agents decided to rows of training data: preferences, replies, passages. Pure.

docs/datasets.md says what each kind of row is for. Values hold personal data here; they are
replaced before anything is written (pseudonyms.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from uuid import UUID

from services.feedback.citing import sources_of
from services.feedback.records import StoredDraft, StoredReview
from services.feedback.training.headings import with_headings
from services.feedback.training.prompt_words import WORDS
from services.feedback.training.prompting import Prompt, prose_prompt, wish_in
from services.feedback.training.prose import body, renumbered, same
from services.feedback.training.pseudonyms import Found, people_of, texts_in
from services.feedback.training.triplets import triplets_of
from services.feedback.withdrawing import WITHDRAWN
from shared.identity import stable_id
from shared.records import Passage

Kind = Literal["dpo", "sft", "retrieval"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Reason = Literal[
    "same-body",
    "extractive",
    "declined",
    "rejected-alone",
    "empty-body",
    "no-citation-edit",
    "no-counterpart",
]
"""Why there is no row; card.py says it in words."""
ANSWERED = ("approved", "edited", "unused")


@dataclass(frozen=True, slots=True)
class Row:
    """A row with its columns, before pseudonyms; ``id`` is the same in every version.

    ``texts``: where personal data is looked for. ``people``: names and addresses known from the
    e-mail's header. ``public``: what anyone may read.
    """

    kind: Kind
    id: UUID
    mail_id: UUID
    thread_id: UUID
    values: dict[str, Any]
    texts: tuple[str, ...] = ()
    people: tuple[Found, ...] = ()
    public: str = ""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A draft of which there is no row of this kind."""

    kind: Kind
    reason: Reason
    draft_id: UUID


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made; drafts of the extractive engine are preferences on request only."""

    kinds: frozenset[Kind] = frozenset(KINDS)
    include_extractive: bool = False


def rows_of(drafts: Sequence[StoredDraft], wish: Wish) -> Iterator[Row | Excluded]:
    """All rows that the drafts of one e-mail give, oldest first, and why others are missing."""
    answer = _answer(drafts)
    for draft in drafts:
        if "dpo" in wish.kinds and (pair := _pair(draft, answer, wish)):
            yield pair
        if "sft" in wish.kinds and (reply := _reply(draft)):
            yield reply
    if "retrieval" in wish.kinds:
        for found in triplets_of(drafts):
            if isinstance(found, str):
                yield Excluded("retrieval", found, drafts[0].draft_id)
                continue
            draft, key, values = found
            identity = stable_id("triplet", str(draft.data.mail.mail_id), *key)
            yield _row("retrieval", identity, draft, values, drafts)


def _answer(drafts: Sequence[StoredDraft]) -> StoredDraft | None:
    """The draft whose review tells what the correspondent got."""
    of = [d for d in drafts if d.review and d.review.review.decision in ANSWERED]
    rank = {"unused": 0, "approved": 1, "edited": 1}
    return max(of, key=lambda d: (rank[_decision(d)], d.created, str(d.draft_id)), default=None)


def _pair(draft: StoredDraft, answer: StoredDraft | None, wish: Wish) -> Row | Excluded | None:
    """What was sent against what the model wrote; None for a draft that nobody judged."""
    origin = _origin(draft, answer)
    if origin is None:
        return None
    kind, told = origin
    if draft.ready is None:
        return Excluded("dpo", "declined", draft.draft_id)
    if told is None or told.review is None:
        return Excluded("dpo", "rejected-alone", draft.draft_id)
    if draft.ready.engine == "extractive" and not wish.include_extractive:
        return Excluded("dpo", "extractive", draft.draft_id)
    prompt = _prompt(draft, told)
    chosen = _body(told, told.review.review.final_text, prompt)
    rejected = _body(draft, draft.ready.text, prompt)
    if same(chosen, rejected):
        return Excluded("dpo", "same-body", draft.draft_id)
    if not chosen or not rejected:
        return Excluded("dpo", "empty-body", draft.draft_id)
    values = {
        "prompt": _messages(prompt),
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "kind": kind,
        **_described(draft, draft.review or told.review, prompt),
    }
    return _row("dpo", stable_id("pair", str(draft.draft_id), kind), draft, values, (draft, told))


def _origin(
    draft: StoredDraft, answer: StoredDraft | None
) -> tuple[str, StoredDraft | None] | None:
    """Why the draft is a rejected side, and the draft whose review holds the chosen one."""
    if draft.review and draft.review.review.decision in ANSWERED:
        return _decision(draft), draft
    if draft.status == "rejected":
        return "rejected", answer
    # Another of the same e-mail was approved: this one was there to be taken, and was not.
    passed_over = draft.status == "withdrawn" and answer and _decision(answer) != "unused"
    if passed_over and draft.status_detail == WITHDRAWN["other-approved"]:
        return "passed-over", answer
    return None


def _reply(draft: StoredDraft) -> Row | Excluded | None:
    """What an agent approved, as an example to follow."""
    review = draft.review
    if review is None or review.review.decision not in ("approved", "edited"):
        return None
    prompt = _prompt(draft, draft)
    completion = _body(draft, review.review.final_text, prompt)
    if not completion:
        return Excluded("sft", "empty-body", draft.draft_id)
    values = {
        "prompt": _messages(prompt),
        "completion": [{"role": "assistant", "content": completion}],
        "kind": review.review.decision,
        **_described(draft, review, prompt),
    }
    return _row("sft", stable_id("reply", str(draft.draft_id)), draft, values, (draft,))


def _prompt(draft: StoredDraft, told: StoredDraft) -> Prompt:
    """The prompt of ``draft``, with what the reply of ``told`` cites beyond it."""
    review = told.review
    kept = review.review.citations_kept if review else ()
    cited = [passage for passage in told.data.passages if passage.passage_id in kept]
    added = (*cited, *(review.added if review else ()))
    data = draft.data
    return prose_prompt(data.messages, data.mail, data.passages, added)


def _body(draft: StoredDraft, text: str, prompt: Prompt) -> str:
    """The body of ``text``, a draft's own or its review's, in the form of the prompt."""
    ready, review = draft.ready, draft.review
    mail = draft.data.mail
    bare = body(text, ready.greeting if ready else "", ready.closing if ready else "")
    sources = sources_of(draft, review.added if review else (), review.numbers if review else {})
    numbered = renumbered(bare, ready.parts if ready else (), sources, prompt.numbers)
    return with_headings(numbered, mail.questions, WORDS["en" if mail.language == "en" else "fr"])


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in prompt.messages]


def _described(draft: StoredDraft, stored: StoredReview, prompt: Prompt) -> dict[str, Any]:
    """The columns beside the texts."""
    data, review, prints = draft.data, stored.review, draft.data.fingerprints
    by_number = sorted((number, passage) for passage, number in prompt.numbers.items())
    return {
        "raw_output": data.raw_output,
        "draft_id": str(draft.draft_id),
        "review_id": str(review.review_id),
        "passage_ids": [str(passage) for _, passage in by_number],
        "engine": data.engine,
        "model": prints.model,
        "prompt_fingerprint": prints.prompt,
        "embedding": prints.embedding,
        "retrieval": prints.retrieval,
        "evidence": data.evidence,
        "reasons": list(review.reasons),
        "note": review.note,
        "edit_distance": review.edit_distance,
        "words_changed": review.words_changed,
        "failed_checks": sorted({check.name for check in data.checks if not check.passed}),
        "reviewer": review.reviewer,
        "reviewed": stored.created,
        "seconds": review.seconds,
    }


def _row(
    kind: Kind,
    identity: UUID,
    draft: StoredDraft,
    values: dict[str, Any],
    of: Sequence[StoredDraft],
) -> Row:
    """A row about ``draft``, with passages of the drafts ``of``."""
    mail = draft.data.mail
    shown = {p.passage_id: p for each in of for p in _passages(each)}.values()
    common = {
        "id": str(identity),
        "mail_id": str(mail.mail_id),
        "thread_id": str(mail.thread_id),
        "mailbox": mail.mailbox,
        "category": mail.category,
        "language": mail.language,
    }
    written = [
        values.get(column) for column in ("chosen", "rejected", "completion", "note", "reasons")
    ]
    return Row(
        kind,
        identity,
        mail.mail_id,
        mail.thread_id,
        {**values, **common},
        texts=(
            mail.subject,
            mail.new_text,
            *mail.earlier,
            # Bodies by paragraph: both sides share most of theirs, and each is read once.
            *(part for text in texts_in(written) for part in text.split("\n\n")),
            wish_in(draft.data.messages, mail),
            *(text for p in shown if p.audience != "public" for text in _texts(p)),
        ),
        people=people_of(mail),
        public="\n".join(text for p in shown if p.audience == "public" for text in _texts(p)),
    )


def _passages(draft: StoredDraft) -> tuple[Passage, ...]:
    return (*draft.data.passages, *(draft.review.added if draft.review else ()))


def _texts(passage: Passage) -> tuple[str, ...]:
    return (passage.title, *passage.heading_path, passage.text)


def _decision(draft: StoredDraft) -> str:
    return draft.review.review.decision if draft.review else ""
