"""What retrieve hears and answers."""

from __future__ import annotations

from services.retrieve.indexing import IndexingService
from services.retrieve.service import SearchService
from shared import topology
from shared.bus import Bus
from shared.document_events import DocumentEmbedded, DocumentRemoved
from shared.events import MailEmbedded
from shared.queries import SearchAnswer, SearchQuery


def register(bus: Bus, search: SearchService, indexing: IndexingService) -> None:
    """Connect the two services to their stages."""

    @bus.hears(topology.RETRIEVE_MAIL)
    async def mail_embedded(event: MailEmbedded) -> None:
        await bus.say(await search.take_mail(event))

    @bus.hears(topology.RETRIEVE_DOCUMENT)
    async def document_embedded(event: DocumentEmbedded) -> None:
        await bus.say(await indexing.take_document(event))

    @bus.hears(topology.RETRIEVE_REMOVAL)
    async def document_removed(event: DocumentRemoved) -> None:
        await indexing.take_removal(event)

    @bus.answers(SearchQuery)
    async def search_query(query: SearchQuery) -> SearchAnswer:
        return await search.search(query)
