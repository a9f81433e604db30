"""What generate hears and says."""

from __future__ import annotations

from services.generate.service import GenerateService
from shared import topology
from shared.bus import Bus
from shared.events import ContextRetrieved, DraftRequested


def register(bus: Bus, service: GenerateService) -> None:
    """Bind the service's two use cases to their stages."""

    @bus.hears(topology.GENERATE_DRAFT)
    async def context_retrieved(event: ContextRetrieved) -> None:
        await bus.say(await service.draft(event))

    @bus.hears(topology.GENERATE_REQUEST)
    async def draft_requested(event: DraftRequested) -> None:
        await bus.say(await service.redraft(event))
