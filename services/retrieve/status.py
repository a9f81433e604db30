"""What the index holds, as JSON values for ``sourcier status``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.retrieve.service import PassageIndex
from services.retrieve.versions import State


async def describe_index(index: PassageIndex) -> dict[str, Any]:
    """Live documents and passages by embedding and collection, and which embedding serves."""
    served = await index.served()
    return {
        "serving": served[0] if served else None,
        "served_before": list(served[1:]),
        "embeddings": [await _describe(index, name) for name in await index.embeddings()],
    }


async def describe_document(index: PassageIndex, document_id: UUID) -> dict[str, Any]:
    """The document's state (live, removed or unknown) in each collection."""
    states: dict[str, Any] = {}
    for embedding in await index.embeddings():
        found = await index.states(embedding, [document_id])
        states[embedding] = _state(found.get(document_id))
    return {"document_id": str(document_id), "embeddings": states}


async def _describe(index: PassageIndex, embedding: str) -> dict[str, Any]:
    tally = await index.tally(embedding)
    names = sorted(tally.documents.keys() | tally.passages.keys())
    return {
        "embedding": embedding,
        "documents": sum(tally.documents.values()),
        "passages": sum(tally.passages.values()),
        "collections": {
            name: {
                "documents": tally.documents.get(name, 0),
                "passages": tally.passages.get(name, 0),
            }
            for name in names
        },
    }


def _state(state: State | None) -> dict[str, Any]:
    if state is None:
        return {"state": "unknown"}
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=state.rank.submitted)
    if not state.live:
        return {"state": "removed", "removed": since.isoformat()}
    return {"state": "live", "submitted": since.isoformat(), "passages": state.count}
