"""Half a year of decisions, made up, so that figures have something to show in pictures."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta

from shared.clock import utcnow
from tests.browser.conftest import DeskServer

WEEKS = 26
VERSIONS = (
    "qwen2.5-1.5b · p-51aa · e5-small · hybrid",
    "qwen2.5-1.5b-dpo2 · p-7c1e · e5-small · hybrid",
)
REASONS = ("missing-information", "wrong-source", "wrong-tone", "invented", "outdated", "other")
SKIPPED = ("auto-reply", "auto-reply", "list", "list", "empty", "duplicate")
_MAIL = """
insert into feedback.mails (mail_id, mailbox, subject, sender, received, accepted, outcome, reason,
    draft_id) values ($1, $2, 'Question', 'mairie@exemple.example', $3, true, $4, $5, $1)
"""
_DRAFT = """
insert into feedback.drafts (draft_id, mail_id, mailbox, outcome, status, request_id, text,
    evidence, engine, created, cited, data, pipeline)
values ($1, $1, $2, $3, $4, 0, '', 1, 'openai', $5, '{}', '{}', $6)
"""
_REVIEW = """
insert into feedback.reviews (review_id, draft_id, decision, created, data, mailbox, edit_distance,
    words_changed, reasons) values ($1, $1, $2, $3, '{}', $4, $5, $6, $7)
"""


def grow(desk: DeskServer) -> None:
    """Write the history, once."""
    if desk.sql("select from feedback.mails where subject = 'Question' limit 1"):
        return
    chance = random.Random(7)  # noqa: S311 - pictures
    desk.sql_many(
        [step for week in range(WEEKS, 0, -1) for step in _week(chance, week)],
    )


def _week(chance: random.Random, week: int) -> list[tuple[str, tuple[object, ...]]]:
    """The statements of the week that lies ``week`` weeks back."""
    steps: list[tuple[str, tuple[object, ...]]] = []
    learnt = 1 - week / WEEKS  # agents correct less as models learn
    for _ in range(chance.randint(14, 30)):
        one = uuid.uuid4()
        box = chance.choices(("edurenov", "outre-mer"), (4, 1))[0]
        at = utcnow() - timedelta(weeks=week, hours=chance.uniform(0, 100))
        outcome = chance.choices(("draft", "declined", "skipped"), (80, 14 - 8 * learnt, 9))[0]
        why = {"draft": "", "declined": "not-enough-evidence"}.get(outcome)
        why = chance.choice(SKIPPED) if why is None else why
        steps.append((_MAIL, (one, box, at, outcome, why)))
        if outcome == "skipped":
            continue
        version = VERSIONS[week < WEEKS // 2]
        shares = (30 + 40 * learnt, 45 - 20 * learnt, 20 - 14 * learnt, 5)
        decision = chance.choices(("approved", "edited", "rejected", "unused"), shares)[0]
        status = decision if outcome == "draft" else "rejected"
        steps.append((_DRAFT, (one, box, outcome, status, at, version)))
        if outcome == "declined":
            continue
        words = int(chance.lognormvariate(2.6 - learnt, 0.8)) if decision == "edited" else 0
        why_not = [chance.choice(REASONS)] if decision in ("edited", "rejected") else []
        done = at + timedelta(hours=chance.lognormvariate(1.2 - 0.7 * learnt, 0.9))
        steps.append((_REVIEW, (one, decision, done, box, words * 6, words, why_not)))
    return steps
