"""What ingest remembers of each document: its live version, or that it was removed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.ingest.formats.model import MAX_TITLE, shorten
from shared.document_events import DocumentChunkedData, DocumentSubmittedData
from shared.envelope import Frozen
from shared.records import DocumentVersion

PREFIX = "documents/"
_NAME = "catalogue.json"


class Entry(Frozen):
    """The catalogue object of one document. `event_id` is the event that made it so."""

    event_id: UUID
    chunked: DocumentChunkedData | None = None
    """What `document.chunked` says of the live version; None after a removal."""
    removed: datetime | None = None

    def supersedes(self, version: DocumentVersion) -> bool:
        """Whether this entry is newer than `version`, which must then be ignored."""
        if self.chunked is None:
            return self.removed is not None and self.removed >= version.submitted
        return self.chunked.document.version.is_after(version)

    def is_of(self, event_id: UUID, sha256: str) -> bool:
        """Whether the live version came of this event with this content."""
        if self.chunked is None or self.event_id != event_id:
            return False
        return self.chunked.document.version.sha256 == sha256

    def holds(self, submitted: DocumentSubmittedData, sha256: str) -> bool:
        """Whether the live version is this content under the same description."""
        if self.chunked is None:
            return False
        live = self.chunked.document
        # A title or address that is not submitted comes from the content, which is the same.
        return (
            live.version.sha256 == sha256
            and live.audience == submitted.audience
            and (not submitted.title or shorten(submitted.title, MAX_TITLE) == live.title)
            and (not submitted.url or submitted.url == live.url)
        )

    def renewed(self, submitted: datetime) -> Entry:
        """The same live version, submitted again at `submitted`."""
        if self.chunked is None:
            raise ValueError("a removed document has no version to renew")
        block = self.chunked.document
        latest = max(submitted, block.version.submitted)
        version = block.version.model_copy(update={"submitted": latest})
        block = block.model_copy(update={"version": version})
        return self.model_copy(
            update={"chunked": self.chunked.model_copy(update={"document": block})}
        )


def entry_key(document_id: UUID) -> str:
    """Where the document's entry is stored."""
    return f"{PREFIX}{document_id}/{_NAME}"


def is_entry(key: str) -> bool:
    """Whether an object under `PREFIX` is a catalogue entry."""
    return key.endswith(f"/{_NAME}")


def content_key(document_id: UUID, sha256: str, name: str) -> str:
    """Where an object of one version is stored: its original, or its text."""
    return f"{PREFIX}{document_id}/{sha256}/{name}"


def chunks_prefix(document_id: UUID) -> str:
    """Where the chunk files of the document's versions are stored."""
    return f"chunks/{document_id}/"
