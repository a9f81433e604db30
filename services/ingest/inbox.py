"""What comes over HTTP becomes the same events that mail systems and the bus bring."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.delivery import Invalid
from shared.document_events import DocumentSubmitted, DocumentSubmittedData
from shared.events import MailReceived, MailReceivedData
from shared.identity import document_id, mail_id, sha256, stable_id
from shared.objects import ObjectStore

SOURCE = "ingest"
PREFIX = "inbox/http/"


@dataclass(frozen=True, slots=True)
class Upload:
    """A document handed in over HTTP."""

    data: bytes
    name: str
    collection: str = "default"
    url: str | None = None
    title: str | None = None
    audience: str = "public"
    media_type: str | None = None


class HttpInbox:
    """Stores a body under its hash and makes the event that names it."""

    def __init__(
        self, objects: ObjectStore, clock: Callable[[], datetime], mailboxes: Collection[str]
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._mailboxes = mailboxes

    async def mail(self, raw: bytes, mailbox: str) -> tuple[UUID, MailReceived]:
        """The e-mail's id and its event; the same e-mail twice makes the same event.

        Raises Invalid (unknown mailbox, nothing sent), Unavailable.
        """
        if mailbox not in self._mailboxes:
            known = ", ".join(sorted(self._mailboxes))
            raise Invalid(f"Boîte inconnue : {mailbox}. Boîtes configurées : {known}.")
        key = await self._stored(raw, "message/rfc822")
        identity = mail_id(mailbox, raw)
        event = MailReceived.make(
            source=SOURCE,
            subject=str(identity),
            time=self._clock(),
            data=MailReceivedData(mailbox=mailbox, key=key),
            id=stable_id("http-mail", str(identity)),
        )
        return identity, event

    async def document(self, upload: Upload) -> tuple[UUID, DocumentSubmitted]:
        """The document's id and its event. Raises Invalid (wrong field), Unavailable."""
        now = self._clock()
        key = await self._stored(upload.data, upload.media_type or "application/octet-stream")
        submitted = DocumentSubmittedData(
            key=key,
            name=upload.name,
            collection=upload.collection,
            url=upload.url,
            title=upload.title,
            audience=upload.audience,
            media_type=upload.media_type,
            submitted=now,
        )
        identity = document_id(submitted.collection, submitted.locator())
        event = DocumentSubmitted.make(
            source=SOURCE,
            subject=str(identity),
            time=now,
            data=submitted,
            id=stable_id("http-document", str(identity), key, now.isoformat()),
        )
        return identity, event

    async def _stored(self, data: bytes, media_type: str) -> str:
        if not data:
            raise Invalid("Le corps de la requête est vide.")
        key = f"{PREFIX}{sha256(data)}"
        await self._objects.put(key, data, media_type)
        return key
