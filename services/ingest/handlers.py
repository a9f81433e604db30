"""What ingest hears."""

from __future__ import annotations

from services.ingest.erasing import Erasing
from services.ingest.mail_service import MailIntake
from services.ingest.service import DocumentIntake
from shared import topology
from shared.bus import Bus
from shared.document_events import DocumentRemoved, DocumentSubmitted, MailErased
from shared.events import MailReceived


def register(bus: Bus, documents: DocumentIntake, mails: MailIntake, erasing: Erasing) -> None:
    """Subscribe the use cases to their stages."""

    @bus.hears(topology.INGEST_MAIL)
    async def mail_received(event: MailReceived) -> None:
        await bus.say(await mails.take(event))

    @bus.hears(topology.INGEST_DOCUMENT)
    async def document_submitted(event: DocumentSubmitted) -> None:
        answer = await documents.take(event)
        if answer is not None:
            await bus.say(answer)

    @bus.hears(topology.INGEST_REMOVAL)
    async def document_removed(event: DocumentRemoved) -> None:
        live = await documents.remove(event)
        if live is not None:
            await bus.say(live)

    @bus.hears(topology.INGEST_ERASED)
    async def mail_erased(event: MailErased) -> None:
        await erasing.hear(event)
