"""The drafts of e-mails on which agents decided, streamed from PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from services.feedback.adapters import rows, sql
from services.feedback.records import StoredDraft
from shared.postgres import Pool, transaction

AHEAD = 64
"""Drafts that the cursor fetches at once, some 20 KB each."""
_OF = """
from feedback.drafts d join feedback.mails m on m.mail_id = d.mail_id and m.erased is null
where ($1::text[] is null or d.mailbox = any($1)) and d.mail_id in (
    select judged.mail_id from feedback.reviews r join feedback.drafts judged using (draft_id)
    where $1::text[] is null or judged.mailbox = any($1))
"""
_COUNT = f"select count(distinct d.mail_id) {_OF}"
# The ids are sorted without their drafts, which are large.
_DRAFTS = (
    sql.DRAFT.replace("select ", "select d.mail_id, ", 1)
    + f"join (select d.draft_id {_OF}) wanted using (draft_id)"
    + " order by d.mail_id, d.created, d.draft_id"
)
_TIMEOUT = 300.0
"""Seconds for the first rows, which are sorted, and for each further piece."""


class PostgresReviewed:
    """What ``mailboxes`` (None: all) hold; one snapshot while a stream runs."""

    def __init__(self, pool: Pool, mailboxes: list[str] | None) -> None:
        self._pool, self._mailboxes = pool, mailboxes

    async def count(self) -> int:
        async with transaction(self._pool) as db:
            return int(await db.fetchval(_COUNT, self._mailboxes, timeout=_TIMEOUT))

    async def mails(self) -> AsyncIterator[Sequence[StoredDraft]]:
        async with transaction(self._pool) as db:
            cursor = db.cursor(_DRAFTS, self._mailboxes, prefetch=AHEAD, timeout=_TIMEOUT)
            mail: UUID | None = None
            drafts: list[StoredDraft] = []
            async for row in cursor:
                if row["mail_id"] != mail and drafts:
                    yield drafts
                    drafts = []
                mail = row["mail_id"]
                drafts.append(rows.draft(row))
            if drafts:
                yield drafts
