"""Which version of a document readers see: an order over versions and removals, no clock.

A document has one state record in each collection of the index. It only ever moves forward in
the order of ``Rank``; see docs/decisions/0005-live-versions.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from shared.document_events import DocumentEmbedded, DocumentRemoved
from shared.identity import short_hash, stable_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIE_DIGITS = 13
_BEFORE_ANY_VERSION = -1


@dataclass(frozen=True, order=True)
class Rank:
    """Place of a version or removal in a document's history; the greater one wins.

    ``submitted`` and ``built`` are microseconds since 1970; ``tie`` is the start of the content
    hash as a number. All three are below 2**53, because the index compares them as float64.
    ``built`` lets the same version be indexed anew, from other chunks or vectors.
    """

    submitted: int
    tie: int
    built: int


@dataclass(frozen=True)
class State:
    """What a collection holds of a document: the live build, or a tombstone (no ``token``)."""

    document_id: UUID
    rank: Rank
    token: str = ""
    count: int = 0
    collection: str = ""
    audience: str = ""

    @property
    def live(self) -> bool:
        """Whether readers see the document."""
        return bool(self.token)


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970; exact, unlike ``timestamp()``."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def embedded_state(event: DocumentEmbedded) -> State:
    """The state that ``event`` asks for: its version, live."""
    document, version = event.data.document, event.data.document.version
    rank = Rank(
        microseconds(version.submitted),
        int(version.sha256[:_TIE_DIGITS], 16),
        microseconds(event.time),
    )
    token = short_hash(document.model_dump_json(), event.data.vectors_key)
    return State(
        document.document_id, rank, token, event.data.count, document.collection, document.audience
    )


def removed_state(event: DocumentRemoved) -> State:
    """The tombstone that ``event`` asks for; a version of the same instant survives it."""
    rank = Rank(microseconds(event.data.removed), _BEFORE_ANY_VERSION, 0)
    return State(event.data.document_id, rank, collection=event.data.collection)


def state_point_id(document_id: UUID) -> str:
    """Id of the point that keeps a document's state."""
    return str(stable_id("state", str(document_id)))


def point_id(document_id: UUID, token: str, ordinal: int) -> str:
    """Id of a passage's point: no two builds share points, so none can overwrite another's."""
    return str(stable_id("point", str(document_id), token, str(ordinal)))


def rank_payload(rank: Rank) -> dict[str, Any]:
    """A rank as payload fields, in the order in which they are compared."""
    return {"submitted": rank.submitted, "tie": rank.tie, "built": rank.built}


def rank_of(payload: Mapping[str, Any]) -> Rank:
    """The rank that ``rank_payload`` wrote."""
    return Rank(int(payload["submitted"]), int(payload["tie"]), int(payload["built"]))


def state_payload(state: State) -> dict[str, Any]:
    """The payload of a document's state point."""
    return {
        "kind": "state",
        "live": "live" if state.live else "removed",
        "document_id": str(state.document_id),
        **rank_payload(state.rank),
        "token": state.token,
        "count": state.count,
        "collection": state.collection,
        "audience": state.audience,
    }


def state_of(payload: Mapping[str, Any]) -> State:
    """The state that ``state_payload`` wrote."""
    return State(
        document_id=UUID(payload["document_id"]),
        rank=rank_of(payload),
        token=payload["token"],
        count=int(payload["count"]),
        collection=payload["collection"],
        audience=payload["audience"],
    )
