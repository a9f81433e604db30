"""What feedback hears."""

from __future__ import annotations

from services.feedback.service import FeedbackService
from shared import topology
from shared.bus import Bus
from shared.document_events import DocumentIndexed, DocumentRejected, DocumentRemoved
from shared.events import DraftDeclined, DraftReady, MailAccepted, MailSkipped


def register(bus: Bus, service: FeedbackService) -> None:
    """Subscribe `service` to its stages."""

    @bus.hears(topology.FEEDBACK_MAIL)
    async def mail_accepted(event: MailAccepted) -> None:
        await service.record_mail(event)

    @bus.hears(topology.FEEDBACK_SKIPPED)
    async def mail_skipped(event: MailSkipped) -> None:
        await service.record_skipped(event)

    @bus.hears(topology.FEEDBACK_DRAFT)
    async def draft_ready(event: DraftReady) -> None:
        await service.record_draft(event)

    @bus.hears(topology.FEEDBACK_DECLINED)
    async def draft_declined(event: DraftDeclined) -> None:
        await service.record_draft(event)

    @bus.hears(topology.FEEDBACK_INDEXED)
    async def document_indexed(event: DocumentIndexed) -> None:
        await service.record_document(event)

    @bus.hears(topology.FEEDBACK_REJECTED)
    async def document_rejected(event: DocumentRejected) -> None:
        await service.record_document(event)

    @bus.hears(topology.FEEDBACK_REMOVAL)
    async def document_removed(event: DocumentRemoved) -> None:
        await service.record_document(event)
