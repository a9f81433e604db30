"""Figures in PostgreSQL: one statement each, grouped, with the whole scope's line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import asyncpg

from services.feedback.access import Viewer
from services.feedback.adapters.text import clean
from services.feedback.figuring import (
    Arrivals,
    Choices,
    Decisions,
    Delays,
    Edits,
    Group,
    Grouping,
    Reason,
    Scope,
)
from shared.postgres import Pool, transaction

G = TypeVar("G", bound=Group)

# $1 the viewer's mailboxes, $2 mailbox, $3 pipeline, $4 weeks, $5 time zone; `d` is a draft.
_SCOPE = """
    ($1::text[] is null or {of}.mailbox = any($1)) and ($2 = '' or {of}.mailbox = $2)
    and ($3 = '' or d.pipeline = $3)
    and ($4::int is null or {at} >= (date_trunc('week', now() at time zone $5::text)
                                     - make_interval(weeks => $4 - 1)) at time zone $5::text)
"""
_LABEL: dict[Grouping, str] = {
    "week": "to_char(date_trunc('week', {at} at time zone $5::text), 'YYYY-MM-DD')",
    "mailbox": "{of}.mailbox",
    "pipeline": "coalesce(d.pipeline, '')",
}
_ORDER: dict[Grouping, str] = {
    "week": "label",
    "mailbox": "n desc, label",
    "pipeline": "n desc, label",
}

_REVIEWS = "feedback.reviews r join feedback.drafts d using (draft_id)"
DECISIONS = """
    count(*) filter (where r.decision = 'approved') as approved,
    count(*) filter (where r.decision = 'edited') as edited,
    count(*) filter (where r.decision = 'rejected') as rejected,
    count(*) filter (where r.decision = 'unused') as unused
"""
EDITS = """
    count(*) as count,
    percentile_cont(.5) within group (order by r.edit_distance) as characters,
    percentile_cont(.9) within group (order by r.edit_distance) as characters_p90,
    percentile_cont(.5) within group (order by r.words_changed) as words,
    percentile_cont(.9) within group (order by r.words_changed) as words_p90
"""
ARRIVALS = """
    count(*) filter (where m.outcome = 'draft') as drafted,
    count(*) filter (where m.outcome = 'declined') as declined,
    count(*) filter (where m.outcome = 'skipped') as skipped,
    count(*) filter (where m.outcome = 'pending') as pending
"""
_WAITED = "extract(epoch from coalesce(p.sent, r.created) - m.received)::float"
DELAYS = f"""
    count(*) as count,
    percentile_cont(.5) within group (order by {_WAITED}) as median,
    percentile_cont(.9) within group (order by {_WAITED}) as p90
"""
_ANSWERED = f"""{_REVIEWS} join feedback.mails m on m.mail_id = d.mail_id
left join (select draft_id, min(settled) as sent from feedback.replies where state = 'sent'
           group by 1) p on p.draft_id = d.draft_id"""  # noqa: S608 - constants
_SENT = "(r.decision in ('approved', 'edited') or r.decision = 'unused' and p.sent is not null) and"

_BY_REVIEW = _SCOPE.format(of="d", at="r.created")
_BY_MAIL = _SCOPE.format(of="m", at="m.received")
REASONS = f"""
select 'review' as kind, reason, count(*) as count
from {_REVIEWS} cross join unnest(r.reasons) reason
where r.decision in ('rejected', 'edited') and {_BY_REVIEW} group by 2
union all
select m.outcome, m.reason, count(*)
from feedback.mails m left join feedback.drafts d on d.draft_id = m.draft_id
where m.outcome in ('declined', 'skipped') and {_BY_MAIL} group by 1, 2
order by 3 desc, 2
"""  # noqa: S608 - constants
# One step of an index for each value, however many rows there are.
CHOICES = """
with recursive boxes (mailbox) as (
    select min(mailbox) from feedback.drafts
    union all
    select (select min(d.mailbox) from feedback.drafts d where d.mailbox > boxes.mailbox)
    from boxes where boxes.mailbox is not null
), pipelines (pipeline) as (
    select min(pipeline) from feedback.drafts where $1::text[] is null or mailbox = any($1)
    union all
    select (select min(d.pipeline) from feedback.drafts d where d.pipeline > pipelines.pipeline
            and ($1::text[] is null or d.mailbox = any($1)))
    from pipelines where pipelines.pipeline is not null
)
select array(select mailbox from boxes
             where mailbox is not null and ($1::text[] is null or mailbox = any($1))) as mailboxes,
       array(select pipeline from pipelines where pipeline <> '') as pipelines
"""


def _statement(by: Grouping, what: str, source: str, where: str, of: str, at: str) -> str:
    label = _LABEL[by].format(of=of, at=at)
    return f"""
select case grouping({label}) when 0 then {label} end as label, {what}, count(*) as n
from {source} where {where} group by grouping sets (({label}), ())
order by grouping({label}), {_ORDER[by]}
"""  # noqa: S608 - constants


def _values(viewer: Viewer, scope: Scope) -> tuple[object, ...]:
    named = (clean(scope.mailbox), clean(scope.pipeline))
    return (viewer.mailbox_list, *named, scope.weeks, scope.zone)


class PostgresFigures:
    """The Protocol `Figuring`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def decisions(self, viewer: Viewer, scope: Scope) -> Sequence[Decisions]:
        asked = _statement(scope.by, DECISIONS, _REVIEWS, _BY_REVIEW, "d", "r.created")
        return await self._groups(Decisions, asked, viewer, scope)

    async def edits(self, viewer: Viewer, scope: Scope) -> Sequence[Edits]:
        where = f"r.decision = 'edited' and {_BY_REVIEW}"
        asked = _statement(scope.by, EDITS, _REVIEWS, where, "d", "r.created")
        return await self._groups(Edits, asked, viewer, scope)

    async def arrivals(self, viewer: Viewer, scope: Scope) -> Sequence[Arrivals]:
        source = "feedback.mails m left join feedback.drafts d on d.draft_id = m.draft_id"
        asked = _statement(scope.by, ARRIVALS, source, _BY_MAIL, "m", "m.received")
        return await self._groups(Arrivals, asked, viewer, scope)

    async def delays(self, viewer: Viewer, scope: Scope) -> Sequence[Delays]:
        where = f"{_SENT} {_BY_REVIEW}"
        asked = _statement(scope.by, DELAYS, _ANSWERED, where, "d", "r.created")
        return await self._groups(Delays, asked, viewer, scope)

    async def reasons(self, viewer: Viewer, scope: Scope) -> Sequence[Reason]:
        found = await self._fetch(REASONS, *_values(viewer, scope))
        return [Reason(**row) for row in found]

    async def choices(self, viewer: Viewer) -> Choices:
        (row,) = await self._fetch(CHOICES, viewer.mailbox_list)
        return Choices(mailboxes=tuple(row["mailboxes"]), pipelines=tuple(row["pipelines"]))

    async def _groups(
        self, kind: type[G], statement: str, viewer: Viewer, scope: Scope
    ) -> Sequence[G]:
        found = await self._fetch(statement, *_values(viewer, scope))
        return [kind(**row) for row in found if row["label"] is not None or row["n"]]

    async def _fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        async with transaction(self._pool) as db:
            return list(await db.fetch(statement, *values))
