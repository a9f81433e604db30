"""The e-mail behind a draft: as it came, its attachments' text, its conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, Protocol
from uuid import UUID

from pydantic import AwareDatetime

from services.feedback.access import Viewer
from services.feedback.records import Outcome, Status
from services.feedback.reviewing import NotFound
from services.feedback.whole_mail import WholeMail, read_whole
from shared.envelope import Frozen
from shared.objects import Missing, ObjectStore, TooLarge
from shared.records import Address, Attachment, MailBlock

RAW_MOST = 64 * 2**20
"""Bytes of an e-mail that are read to be shown."""
TEXT_MOST = 8 * 2**20
SHOWN_MOST = 200_000
"""Characters of an attachment that are shown."""

ReplyState = Literal["approved", "sent", "failed", "doubtful"]


class KeptMail(Frozen):
    """What is kept of an e-mail; ``block`` is None for one that was skipped."""

    mail_id: UUID
    subject: str
    sender: Address
    received: AwareDatetime
    raw_key: str | None
    block: MailBlock | None


class Exchanged(Frozen):
    """Another e-mail of the conversation, and what was answered; ``text`` is its beginning."""

    mail_id: UUID
    sender: Address
    subject: str
    received: AwareDatetime
    outcome: Outcome
    detail: str
    text: str
    draft_id: UUID | None = None
    status: Status | None = None
    reply: str | None = None
    replied: AwareDatetime | None = None
    reply_state: ReplyState | None = None


class Sibling(Frozen):
    """A draft of the same e-mail."""

    draft_id: UUID
    request_id: int
    outcome: Literal["draft", "declined"]
    status: Status
    engine: str
    created: AwareDatetime


class Newest(Frozen):
    """Where a document stands now."""

    state: Literal["indexed", "rejected", "removed"]
    submitted: AwareDatetime
    sha256: str


class AttachmentText(Frozen):
    """The text of an attachment; ``cut``: it goes on."""

    attachment: Attachment
    text: str
    cut: bool


class MailStore(Protocol):
    """What PostgreSQL keeps around a draft, within the viewer's mailboxes. Raises Unavailable."""

    async def mail(self, viewer: Viewer, mail_id: UUID) -> KeptMail | None:
        """One e-mail."""

    async def thread(self, viewer: Viewer, mail_id: UUID) -> Sequence[Exchanged]:
        """The other e-mails of its conversation, newest first."""

    async def siblings(self, viewer: Viewer, mail_id: UUID) -> Sequence[Sibling]:
        """All drafts of an e-mail, newest first."""

    async def newest(self, documents: Sequence[UUID]) -> dict[UUID, Newest]:
        """Where documents stand now."""

    async def reply_state(self, viewer: Viewer, draft_id: UUID) -> ReplyState | None:
        """What became of the reply that was approved from a draft."""

    async def next_waiting(self, viewer: Viewer, draft_id: UUID) -> UUID | None:
        """The waiting draft that comes after this one, else the first; none that another holds."""


class MailReading:
    """Reads e-mails for the desk."""

    def __init__(self, store: MailStore, objects: ObjectStore) -> None:
        self.store = store
        self._objects = objects

    async def mail(self, viewer: Viewer, mail_id: UUID) -> KeptMail:
        """One e-mail; raises NotFound, Unavailable."""
        found = await self.store.mail(viewer, mail_id)
        if found is None:
            raise NotFound("Aucun e-mail {id} n'est connu.", id=mail_id)
        return found

    async def whole(self, viewer: Viewer, mail_id: UUID) -> tuple[KeptMail, WholeMail]:
        """The e-mail as it came, safe to show. Raises NotFound, Unavailable."""
        mail = await self.mail(viewer, mail_id)
        if mail.raw_key is None:
            raise NotFound("Le message d'origine n'a pas été conservé.")
        raw = await self._get(mail.raw_key, RAW_MOST)
        return mail, await asyncio.to_thread(read_whole, raw)

    async def attachment(self, viewer: Viewer, mail_id: UUID, number: int) -> AttachmentText:
        """The text of attachment ``number`` (from 0). Raises NotFound, Unavailable."""
        mail = await self.mail(viewer, mail_id)
        attachments = mail.block.attachments if mail.block else ()
        if number >= len(attachments) or attachments[number].text_key is None:
            raise NotFound("Cette pièce jointe n'existe pas, ou son texte n'a pas pu être lu.")
        found = attachments[number]
        text = (await self._get(found.text_key or "", TEXT_MOST)).decode(errors="replace")
        cut = len(text) > SHOWN_MOST
        return AttachmentText(attachment=found, text=text[:SHOWN_MOST], cut=cut)

    async def _get(self, key: str, at_most: int) -> bytes:
        try:
            return await self._objects.get(key, at_most=at_most)
        except Missing as error:
            raise NotFound("Ce contenu n'est plus conservé.") from error
        except TooLarge as error:
            limit = at_most // 2**20
            raise NotFound(
                "Ce contenu dépasse {most} Mio : il n'est pas affiché ici.", most=limit
            ) from error
