"""Makes a version of the datasets: streamed from the reviews, one e-mail after another.

At no time more than a few e-mails are in memory. A row that is made from the same as in the version
before is taken from there, with its pseudonyms: to look for personal data is the slow part.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from services.feedback.records import StoredDraft
from services.feedback.training.pairs import Excluded, Kind, Row, Wish, rows_of
from services.feedback.training.pseudonyms import Entity, Pseudonyms, Recogniser, replaced_in
from services.feedback.training.splitting import Split, split_of
from shared.identity import short_hash

BATCH = 32
"""E-mails that are looked through for personal data at once."""


class Drafts(Protocol):
    """Where drafts and their reviews are."""

    async def count(self) -> int:
        """E-mails of which agents decided on a draft."""

    def mails(self) -> AsyncIterator[Sequence[StoredDraft]]:
        """The drafts of each such e-mail, oldest first; e-mails by id."""


class Parent(Protocol):
    """The rows of the version before, if there is one. ``mail_id`` only ever grows."""

    def rows(self, kind: Kind, split: Split, mail_id: UUID) -> dict[str, dict[str, Any]]:
        """Those of one e-mail, by id."""


class Output(Protocol):
    """Where rows go."""

    def add(self, kind: Kind, split: Split, values: dict[str, Any]) -> None:
        """Write a row."""

    def leave_out(self, excluded: Excluded) -> None:
        """Note why there is no row."""


Replace = Callable[[Sequence[Row]], Awaitable[Sequence[dict[str, Any]]]]
"""The values of rows with pseudonyms, here or in another process."""
Told = Callable[[int], Awaitable[None]]
"""Called with the number of e-mails done so far."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make, and how rows are dealt."""

    wish: Wish
    seed: str
    validation: float
    test: float
    pseudonyms: str
    """Fingerprint of what finds personal data."""

    def split(self, thread: UUID) -> Split:
        """The side of a thread."""
        return split_of(thread, self.seed, self.validation, self.test)


@dataclass(slots=True)
class Tally:
    """What was made; the manifest tells it."""

    rows: Counter[tuple[Kind, Split]] = field(default_factory=Counter)
    excluded: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    changes: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    replaced: Counter[Entity] = field(default_factory=Counter)
    touched: int = 0
    mails: int = 0


@dataclass(slots=True)
class _Waiting:
    """A batch of e-mails: their rows in order, those to be looked through, and the outcome."""

    rows: list[tuple[Row, str, dict[str, Any] | None]]
    mails: int
    replaced: Awaitable[Sequence[dict[str, Any]]] | None = None


async def export(
    drafts: Drafts,
    parent: Parent,
    output: Output,
    replace: Replace,
    plan: Plan,
    told: Told,
    ahead: int = 1,
) -> Tally:
    """Write all rows of ``plan``; ``ahead`` batches are looked through at a time.

    Raises Unavailable when the database goes away: nothing is kept of the version then.
    """
    tally, waiting = Tally(), deque[_Waiting]()
    batch = _Waiting([], 0)
    async for mail in drafts.mails():
        _collect(batch, mail, parent, output, plan, tally)
        if batch.mails >= BATCH:
            waiting.append(_begun(batch, replace))
            batch = _Waiting([], 0)
        while len(waiting) > ahead:
            await _finish(waiting.popleft(), output, plan, tally, told)
    waiting.append(_begun(batch, replace))
    for each in waiting:
        await _finish(each, output, plan, tally, told)
    return tally


def _collect(
    batch: _Waiting,
    mail: Sequence[StoredDraft],
    parent: Parent,
    output: Output,
    plan: Plan,
    tally: Tally,
) -> None:
    batch.mails += 1
    for found in rows_of(mail, plan.wish):
        if isinstance(found, Excluded):
            tally.excluded[found.kind, found.reason] += 1
            output.leave_out(found)
            continue
        split = plan.split(found.thread_id)
        source = fingerprint(found, plan.pseudonyms)
        before = parent.rows(found.kind, split, found.mail_id).get(str(found.id))
        same = before is not None and before["source"] == source
        change = "unchanged" if same else "changed" if before else "added"
        tally.changes[found.kind, change] += 1
        batch.rows.append((found, source, before if same else None))


def _begun(batch: _Waiting, replace: Replace) -> _Waiting:
    new = [row for row, _, known in batch.rows if known is None]
    batch.replaced = replace(new) if new else None
    return batch


async def _finish(batch: _Waiting, output: Output, plan: Plan, tally: Tally, told: Told) -> None:
    made = iter(await batch.replaced if batch.replaced else ())
    for row, source, known in batch.rows:
        values = known or {**next(made), "source": source}
        split = plan.split(row.thread_id)
        output.add(row.kind, split, values)
        tally.rows[row.kind, split] += 1
        tally.touched += bool(values["replaced"])
        for each in values["replaced"]:
            tally.replaced[each["entity"]] += each["count"]
    tally.mails += batch.mails
    await told(tally.mails)


def fingerprint(row: Row, pseudonyms: str) -> str:
    """Changes with whatever the row is made from."""
    made = json.dumps(row.values, sort_keys=True, default=_plain, ensure_ascii=False)
    return short_hash(made, *row.texts, *(f.text for f in row.people), row.public, pseudonyms)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def without_persons(rows: Sequence[Row], recogniser: Recogniser) -> list[dict[str, Any]]:
    """The values of ``rows``, pseudonyms in place of personal data; each text is read once."""
    texts = list(dict.fromkeys(text for row in rows for text in row.texts if text.strip()))
    found = dict(zip(texts, recogniser.find(texts), strict=True))
    return [_replaced(row, found, recogniser) for row in rows]


_HELD = (
    "prompt",
    "chosen",
    "rejected",
    "completion",
    "note",
    "reasons",
    "raw_output",
    "anchor",
    "positive",
    "negative",
    "positive_title",
    "negative_title",
)


def _replaced(row: Row, found: dict[str, Any], recogniser: Recogniser) -> dict[str, Any]:
    known = [*row.people, *(each for text in row.texts for each in found.get(text, ()))]
    # What a model wrote and nobody kept: its names come from the e-mail, its numbers show.
    known += recogniser.certain(str(row.values.get("raw_output") or ""))
    names = Pseudonyms(known, row.public, recogniser.keeps)
    values = dict(row.values)
    for column in _HELD:
        if column in values:
            values[column] = replaced_in(values[column], names)
    counts = sorted(names.replaced.items())
    return {**values, "replaced": [{"entity": e, "count": n} for e, n in counts]}
