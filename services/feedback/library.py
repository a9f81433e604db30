"""The documents as the desk shows, takes in and takes away; the Protocols behind it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import BinaryIO, Protocol
from uuid import UUID

from services.feedback.access import Viewer
from services.feedback.library_records import (
    PUBLIC,
    Citing,
    Entry,
    Form,
    Recent,
    Shelf,
    Stored,
    Submission,
    Wish,
)
from services.feedback.reading_documents import KeptVersion
from services.feedback.reviewing import SERVICE, NotFound, Unacceptable
from shared.document_events import (
    DocumentRemoved,
    DocumentRemovedData,
    DocumentSubmitted,
    DocumentSubmittedData,
)
from shared.identity import document_id, stable_id

NAME_MOST = 255
_SLUG = re.compile(r"[a-z0-9-]{1,64}")


class Inbox(Protocol):
    """Where files wait to be read."""

    async def store(self, file: BinaryIO) -> Stored:
        """Keep ``file`` under its content's hash, without holding it in memory.

        Raises Unacceptable (empty, too large), Unavailable.
        """


class Shelves(Protocol):
    """What is known of documents. ``viewer`` sees those of its audiences; raises Unavailable."""

    async def entries(self, viewer: Viewer, wish: Wish, limit: int, offset: int) -> Sequence[Entry]:
        """Those that ``wish`` names, the last changed first."""

    async def shelves(self, viewer: Viewer, wish: Wish) -> Sequence[Shelf]:
        """Counts by collection and standing; ``wish.collection`` and ``.status`` do not matter."""

    async def entry(self, viewer: Viewer, document_id: UUID) -> Entry | None:
        """One document."""

    async def versions(self, viewer: Viewer, document_id: UUID) -> Sequence[KeptVersion]:
        """Its versions, newest first, of the viewer's audiences."""

    async def citing(self, viewer: Viewer, document_id: UUID, limit: int) -> Sequence[Citing]:
        """Drafts of the viewer's mailboxes that cite the document; waiting ones first."""

    async def recent(self, viewer: Viewer, since: datetime, limit: int) -> Sequence[Recent]:
        """What the viewer's account handed in since then, newest first."""

    async def add_submission(
        self, viewer: Viewer, submission: Submission, event: DocumentSubmitted
    ) -> None:
        """Remember a submission, who made it, and leave its event, in one transaction."""

    async def add_removal(self, viewer: Viewer, entry: Entry, event: DocumentRemoved) -> None:
        """Remember who takes the document away, and leave the event, in one transaction."""


class Library:
    """The use cases. ``said`` is called after events entered the outbox; ``heard`` takes a
    removal at once, as the broker will bring it."""

    def __init__(
        self,
        shelves: Shelves,
        inbox: Inbox,
        clock: Callable[[], datetime],
        *,
        audiences: Collection[str],
        said: Callable[[], None],
        heard: Callable[[DocumentRemoved], Awaitable[None]],
    ) -> None:
        self.shelves = shelves
        self._inbox = inbox
        self._clock = clock
        self._audiences = frozenset(audiences) | {PUBLIC}
        self._said = said
        self._heard = heard

    def audiences(self, viewer: Viewer) -> list[str]:
        """For whom ``viewer`` may hand in documents: those that a mailbox reads."""
        mine = self._audiences
        return sorted(mine if viewer.audiences is None else mine & viewer.audiences)

    async def entry(self, viewer: Viewer, document: UUID) -> Entry:
        """One document. Raises NotFound, Unavailable."""
        found = await self.shelves.entry(viewer, document)
        if found is None:
            raise NotFound("Ce document n'est pas connu, ou n'est pas de ceux que vous voyez.")
        return found

    async def hand_in(self, viewer: Viewer, form: Form, file: BinaryIO) -> Submission:
        """Take a file in; what comes of it, the library shows.

        Raises Unacceptable (form, empty, too large), Unavailable.
        """
        identity = await self._checked(viewer, form)
        stored = await self._inbox.store(file)
        now = self._clock()
        submission = Submission(
            submission_id=stable_id("desk-document", str(identity), stored.key, now.isoformat()),
            document_id=identity,
            account=viewer.account,
            submitted=now,
            sha256=stored.sha256,
            size=stored.size,
            **form.model_dump(exclude={"media_type"}),
        )
        await self.shelves.add_submission(
            viewer, submission, _submitted(submission, form, stored.key)
        )
        self._said()
        return submission

    async def replace(
        self, viewer: Viewer, document: UUID, file: BinaryIO, media_type: str | None
    ) -> Submission:
        """Hand in a new version of a document: the same collection, name, address, audience.

        Raises NotFound, Unacceptable, Unavailable.
        """
        known = await self.entry(viewer, document)
        name, url = known.locator()
        form = Form(
            name=name,
            url=url,
            collection=known.collection,
            audience=known.audience or PUBLIC,
            media_type=media_type,
        )
        return await self.hand_in(viewer, form, file)

    async def remove(self, viewer: Viewer, document: UUID) -> Entry:
        """Take a document away; drafts that wait and cite it are withdrawn.

        Raises NotFound, Unavailable. One that is removed stays so.
        """
        known = await self.entry(viewer, document)
        if known.status == "removed":
            return known
        now = self._clock()
        event = DocumentRemoved.make(
            source=SERVICE,
            subject=str(document),
            time=now,
            data=DocumentRemovedData(
                collection=known.collection, document_id=document, removed=now
            ),
            id=stable_id("desk-removal", str(document), now.isoformat()),
        )
        await self.shelves.add_removal(viewer, known, event)
        self._said()
        await self._heard(event)
        return known

    async def _checked(self, viewer: Viewer, form: Form) -> UUID:
        """The id of the document that ``form`` names. Raises Unacceptable."""
        if not _SLUG.fullmatch(form.collection):
            raise Unacceptable(
                "Le nom d'une collection a des lettres minuscules sans accent, des chiffres et "
                "des tirets, 64 au plus : par exemple « aides-2026 »."
            )
        if form.audience not in self.audiences(viewer):
            raise Unacceptable(
                "Le public « {audience} » n'est pas de ceux que vous servez.",
                audience=form.audience,
            )
        if not form.name.strip() or len(form.name) > NAME_MOST:
            raise Unacceptable(
                "Le nom du fichier doit avoir de 1 à {most} caractères.", most=NAME_MOST
            )
        identity = document_id(form.collection, form.url or form.name)
        # A name that another audience's document has would replace that unseen.
        everyone = viewer.model_copy(update={"audiences": None})
        known = await self.shelves.entry(everyone, identity)
        if known and not await self.shelves.entry(viewer, identity):
            raise Unacceptable(
                "Un document de ce nom existe dans cette collection pour un autre public : "
                "donnez un autre nom au fichier."
            )
        return identity


def _submitted(submission: Submission, form: Form, key: str) -> DocumentSubmitted:
    data = DocumentSubmittedData(key=key, submitted=submission.submitted, **form.model_dump())
    return DocumentSubmitted.make(
        source=SERVICE,
        subject=str(submission.document_id),
        time=submission.submitted,
        data=data,
        id=submission.submission_id,
    )
