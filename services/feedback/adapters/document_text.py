"""Versions of documents in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.feedback.reading_documents import KeptVersion, Removed
from shared.postgres import Pool, transaction

# The view says for whom the document is now: an older version was perhaps for more.
VERSION = """
select l.status, l.removed, l.title as named, l.sha256 as newest_sha, v.*
from feedback.library l
left join lateral (
    select * from feedback.document_versions v
    where v.document_id = l.document_id and starts_with(v.sha256, $2)
    order by v.submitted desc limit 1) v on true
where l.document_id = $1
  and ($3::text[] is null
       or l.audience = any($3::text[]) and coalesce(v.audience, l.audience) = any($3::text[]))
"""
KEPT = tuple(name for name in KeptVersion.model_fields if name != "newest")


class PostgresVersions:
    """The Protocol `Versions`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def version(
        self, document_id: UUID, sha_prefix: str, audiences: Sequence[str] | None
    ) -> KeptVersion | None:
        async with transaction(self._pool) as db:
            row = await db.fetchrow(VERSION, document_id, sha_prefix, audiences)
        if row is None:
            return None
        if row["status"] == "removed":
            raise Removed("Le document « {title} » a été retiré.", title=row["named"])
        if row["sha256"] is None:
            return None
        newest = row["newest_sha"] if row["newest_sha"] != row["sha256"] else None
        if row["removed"] and row["submitted"] <= row["removed"]:
            raise Removed(
                "Cette version du document « {title} » a été retirée.", newest, title=row["named"]
            )
        return KeptVersion(**{name: row[name] for name in KEPT}, newest=newest)
