"""What feedback hears."""

from __future__ import annotations

from services.feedback.answering import Answering
from services.feedback.erasing import Erasing
from services.feedback.service import FeedbackService
from shared import topology
from shared.bus import Bus
from shared.document_events import DocumentIndexed, DocumentRejected, DocumentRemoved, MailErased
from shared.events import (
    DraftDeclined,
    DraftReady,
    MailAccepted,
    MailSkipped,
    ReplyDoubtful,
    ReplyFailed,
    ReplySent,
)


def register(bus: Bus, service: FeedbackService, answering: Answering, erasing: Erasing) -> None:
    """Subscribe the use cases to their stages."""

    @bus.hears(topology.FEEDBACK_MAIL)
    async def mail_accepted(event: MailAccepted) -> None:
        await service.record_mail(event)
        mail = event.data.mail
        await answering.mail_came(mail.mailbox, mail.mail_id, mail.message_id)

    @bus.hears(topology.FEEDBACK_SKIPPED)
    async def mail_skipped(event: MailSkipped) -> None:
        await service.record_skipped(event)
        mail = event.data
        await answering.mail_came(mail.mailbox, mail.mail_id, mail.message_id)

    @bus.hears(topology.FEEDBACK_ERASED)
    async def mail_erased(event: MailErased) -> None:
        await erasing.hear(event)

    @bus.hears(topology.FEEDBACK_DRAFT)
    @bus.hears(topology.FEEDBACK_DECLINED)
    async def drafted(event: DraftReady | DraftDeclined) -> None:
        await service.record_draft(event)

    @bus.hears(topology.FEEDBACK_INDEXED)
    @bus.hears(topology.FEEDBACK_REJECTED)
    @bus.hears(topology.FEEDBACK_REMOVAL)
    async def document_changed(
        event: DocumentIndexed | DocumentRejected | DocumentRemoved,
    ) -> None:
        await service.record_document(event)

    @bus.hears(topology.FEEDBACK_SENT)
    @bus.hears(topology.FEEDBACK_FAILED)
    @bus.hears(topology.FEEDBACK_DOUBTFUL)
    async def reply_settled(event: ReplySent | ReplyFailed | ReplyDoubtful) -> None:
        await answering.hear(event)
