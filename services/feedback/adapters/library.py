"""The library of the desk in PostgreSQL, and the inbox of its files in the object store."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from services.feedback.access import Viewer
from services.feedback.adapters import audit, write
from services.feedback.adapters.text import clean
from services.feedback.library_records import Citing, Entry, Recent, Shelf, Stored, Submission, Wish
from services.feedback.reading_documents import KeptVersion
from services.feedback.reviewing import Unacceptable
from shared.document_events import DocumentRemoved, DocumentSubmitted
from shared.objects import ObjectStore
from shared.postgres import Pool, transaction

PREFIX = "inbox/feedback/"
PIECE = 1 << 20

# $1 audiences, $2 collection, $3 status, $4 text
_SEEN = """
    ($1::text[] is null or l.audience = any($1))
    and ($2 = '' or l.collection = $2) and ($3::text is null or l.status = $3)
    and ($4 = '' or strpos(lower(concat_ws(' ', l.title, l.name, l.url)), lower($4)) > 0)
"""
_COLUMNS = ", ".join(
    f"l.{name}" for name in Entry.model_fields if name not in ("waiting", "flagged")
)
_ENTRY = f"""
select {_COLUMNS}, d.waiting, d.flagged
from feedback.library l left join lateral (
    select count(*) as waiting, count(*) filter (where l.document_id = any(outdated)) as flagged
    from feedback.drafts where status = 'waiting' and cited @> array[l.document_id]
      and ($MAILBOXES::text[] is null or mailbox = any($MAILBOXES))) d on true
"""  # noqa: S608 - constants
ENTRIES = (
    _ENTRY.replace("$MAILBOXES", "$5")
    + f"where {_SEEN} order by l.changed desc, l.document_id limit $6 offset $7"
)
ENTRY = (
    _ENTRY.replace("$MAILBOXES", "$3")
    + "where l.document_id = $1 and ($2::text[] is null or l.audience = any($2))"
)
SHELVES = f"""
select collection, jsonb_object_agg(status, n) as counts from (
    select l.collection, l.status, count(*) as n from feedback.library l where {_SEEN}
    group by 1, 2) t
group by 1 order by 1
"""  # noqa: S608 - constants
VERSIONS = """
select v.*, nullif(l.sha256, v.sha256) as newest
from feedback.library l join feedback.document_versions v using (document_id)
where l.document_id = $1
  and ($2::text[] is null or l.audience = any($2) and v.audience = any($2))
  and (l.removed is null or v.submitted > l.removed)
order by v.submitted desc, v.sha256 desc
"""
CITING = """
select d.draft_id, d.mailbox, m.subject, d.status, d.created, $1 = any(d.outdated) as flagged
from feedback.drafts d join feedback.mails m using (mail_id)
where d.cited @> array[$1::uuid] and ($2::text[] is null or d.mailbox = any($2))
  and exists (select from feedback.library l where l.document_id = $1
              and ($3::text[] is null or l.audience = any($3)))
order by d.status = 'waiting' desc, d.created desc limit $4
"""
# Indexed may also be the same content that was there, which is not read again.
RECENT = """
with s as materialized (
    select * from feedback.submissions
    where account = $1 and submitted >= $2 and ($3::text[] is null or audience = any($3))
    order by submitted desc limit $4)
select s.*, coalesce(case when d.state = 'rejected' and d.submitted = s.submitted then d.detail end,
                     '') as detail,
    case when d.state = 'rejected' and d.submitted = s.submitted then 'rejected'
         when exists (select from feedback.document_versions v
                      where v.document_id = s.document_id and v.sha256 = s.sha256
                        and v.audience = s.audience and coalesce(s.title, v.title) = v.title
                        and v.submitted > coalesce(d.removed, '-infinity')
                        and (v.submitted = s.submitted or v.sha256 = l.sha256)) then 'indexed'
         when d.submitted > s.submitted then 'superseded'
         else 'reading' end as outcome
from s left join feedback.documents d using (document_id)
cross join lateral (select sha256 from feedback.library where document_id = s.document_id) l
order by s.submitted desc
"""
PUT_SUBMISSION = """
insert into feedback.submissions (submission_id, document_id, collection, name, title, url,
    audience, sha256, size, account, submitted)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (submission_id) do nothing
"""


class PostgresShelves:
    """The Protocol `Shelves`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def entries(self, viewer: Viewer, wish: Wish, limit: int, offset: int) -> Sequence[Entry]:
        seen = (viewer.audience_list, clean(wish.collection), wish.status, clean(wish.text.strip()))
        async with transaction(self._pool) as db:
            found = await db.fetch(ENTRIES, *seen, viewer.mailbox_list, limit, offset)
        return [Entry(**row) for row in found]

    async def shelves(self, viewer: Viewer, wish: Wish) -> Sequence[Shelf]:
        async with transaction(self._pool) as db:
            found = await db.fetch(
                SHELVES, viewer.audience_list, "", None, clean(wish.text.strip())
            )
        return [Shelf(collection=c, counts=json.loads(counts)) for c, counts in found]

    async def entry(self, viewer: Viewer, document_id: UUID) -> Entry | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow(ENTRY, document_id, viewer.audience_list, viewer.mailbox_list)
        return Entry(**row) if row else None

    async def versions(self, viewer: Viewer, document_id: UUID) -> Sequence[KeptVersion]:
        async with transaction(self._pool) as db:
            found = await db.fetch(VERSIONS, document_id, viewer.audience_list)
        return [KeptVersion(**row) for row in found]

    async def citing(self, viewer: Viewer, document_id: UUID, limit: int) -> Sequence[Citing]:
        who = (viewer.mailbox_list, viewer.audience_list)
        async with transaction(self._pool) as db:
            found = await db.fetch(CITING, document_id, *who, limit)
        return [Citing(**row) for row in found]

    async def recent(self, viewer: Viewer, since: datetime, limit: int) -> Sequence[Recent]:
        async with transaction(self._pool) as db:
            found = await db.fetch(RECENT, viewer.account, since, viewer.audience_list, limit)
        return [Recent(**row) for row in found]

    async def add_submission(
        self, viewer: Viewer, submission: Submission, event: DocumentSubmitted
    ) -> None:
        values = (clean(v) if isinstance(v, str) else v for v in dict(submission).values())
        async with transaction(self._pool) as db:
            await db.execute(PUT_SUBMISSION, *values)
            await write.put_event(db, event)
            await audit.put(
                db,
                viewer,
                "document.submitted",
                str(submission.document_id),
                name=submission.name,
                collection=submission.collection,
                audience=submission.audience,
                sha256=submission.sha256,
            )

    async def add_removal(self, viewer: Viewer, entry: Entry, event: DocumentRemoved) -> None:
        told = {"name": entry.name, "title": entry.title, "collection": entry.collection}
        async with transaction(self._pool) as db:
            await write.put_event(db, event)
            await audit.put(db, viewer, "document.removed", str(entry.document_id), **told)


class StoredInbox:
    """The Protocol `Inbox`; `most` is the size of a file in bytes."""

    def __init__(self, objects: ObjectStore, most: int) -> None:
        self._objects = objects
        self._most = most

    async def store(self, file: BinaryIO) -> Stored:
        with tempfile.NamedTemporaryFile(prefix="sourcier-") as copy:
            path = Path(copy.name)
            digest, size = await asyncio.to_thread(self._copy, file, path)
            key = f"{PREFIX}{digest}"
            await self._objects.put_file(key, path)
        return Stored(key=key, sha256=digest, size=size)

    def _copy(self, file: BinaryIO, path: Path) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as copy:
            while piece := file.read(PIECE):
                size += len(piece)
                if size > self._most:
                    raise Unacceptable(
                        "Le fichier dépasse la limite de {most} Mio : allégez-le ou découpez-le.",
                        most=f"{self._most / 2**20:.3g}",
                    )
                digest.update(piece)
                copy.write(piece)
        if not size:
            raise Unacceptable("Le fichier est vide.")
        return digest.hexdigest(), size
