"""What embed hears and answers."""

from services.embed.service import EmbedService
from shared import topology
from shared.bus import Bus
from shared.document_events import DocumentChunked, DocumentRemoved
from shared.events import MailAccepted
from shared.queries import EmbedAnswer, EmbedQuery


def register(bus: Bus, service: EmbedService) -> None:
    """Subscribe `service` to its stages and to `query.embed.v1`."""

    @bus.hears(topology.EMBED_MAIL)
    async def mail_accepted(event: MailAccepted) -> None:
        await bus.say(await service.embed_mail(event))

    @bus.hears(topology.EMBED_DOCUMENT)
    async def document_chunked(event: DocumentChunked) -> None:
        embedded = await service.embed_document(event)
        if embedded is not None:
            await bus.say(embedded)

    @bus.hears(topology.EMBED_REMOVAL)
    async def document_removed(event: DocumentRemoved) -> None:
        await service.remove_document(event)

    @bus.answers(EmbedQuery)
    async def embed(query: EmbedQuery) -> EmbedAnswer:
        return await service.answer(query)
