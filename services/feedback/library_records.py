"""What the desk knows of documents. Pure."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from services.feedback.reviewing import Unacceptable
from shared.envelope import Frozen
from shared.identity import document_id

Standing = Literal["indexed", "reading", "rejected", "removed"]
PUBLIC = "public"


class Entry(Frozen):
    """A document. ``audience`` None is known by nobody (refused before it ever was indexed).

    ``reading_since`` is a version on its way, ``rejected`` one that was refused since, both also
    beside a version in force; ``waiting`` drafts cite the document, ``flagged`` ones an older
    version of it.
    """

    document_id: UUID
    collection: str
    name: str
    title: str
    url: str | None
    audience: str | None
    status: Standing
    sha256: str
    chunks: int
    indexed: AwareDatetime | None
    reading_since: AwareDatetime | None
    rejected: AwareDatetime | None
    code: str
    detail: str
    removed: AwareDatetime | None
    changed: AwareDatetime
    waiting: int = 0
    flagged: int = 0

    def locator(self) -> tuple[str, str | None]:
        """Name and address under which a new version of this very document is handed in.

        Raises Unacceptable when neither makes its id.
        """
        if self.url and document_id(self.collection, self.url) == self.document_id:
            return self.name or self.url, self.url
        # An address found inside the document is no part of its identity.
        if self.name and document_id(self.collection, self.name) == self.document_id:
            return self.name, None
        raise Unacceptable(
            "Ce document a été déposé sous un nom que l'on ne connaît plus ici : retirez-le, "
            "puis déposez la nouvelle version comme un nouveau document."
        )


class Wish(Frozen):
    """Which documents to list; ``text`` is looked for in titles, names and addresses."""

    collection: str = ""
    status: Standing | None = None
    text: str = ""


class Shelf(Frozen):
    """A collection and how many of its documents stand where."""

    collection: str
    counts: dict[Standing, int]

    @property
    def total(self) -> int:
        """Its documents."""
        return sum(self.counts.values())


class Citing(Frozen):
    """A draft that names the document among its sources."""

    draft_id: UUID
    mailbox: str
    subject: str
    status: str
    created: AwareDatetime
    flagged: bool


class Submission(Frozen):
    """A file that somebody handed in at the desk; ``title`` None keeps the one in it."""

    submission_id: UUID
    document_id: UUID
    collection: str
    name: str
    title: str | None = None
    url: str | None = None
    audience: str
    sha256: str
    size: int
    account: str
    submitted: AwareDatetime


class Recent(Submission):
    """A submission and what became of it; "superseded": a later one or a removal counts."""

    outcome: Literal["reading", "indexed", "rejected", "superseded"]
    detail: str = ""


class Stored(Frozen):
    """A file in the inbox of the object store."""

    key: str
    sha256: str
    size: int = Field(ge=0)


class Form(Frozen):
    """What is said of a file that is handed in."""

    name: str
    collection: str
    audience: str = PUBLIC
    title: str | None = None
    url: str | None = None
    media_type: str | None = None
