"""Composition root of feedback: settings, PostgreSQL, the service, its API and its relay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.feedback.adapters.audit import PostgresAudit
from services.feedback.adapters.dataset_versions import PostgresVersions as PostgresDatasets
from services.feedback.adapters.document_text import PostgresVersions
from services.feedback.adapters.edits import PostgresEdits
from services.feedback.adapters.erasures import PostgresErasures
from services.feedback.adapters.export_process import ExportProcess
from services.feedback.adapters.figures import PostgresFigures
from services.feedback.adapters.library import PostgresShelves, StoredInbox
from services.feedback.adapters.listening import PostgresChanges
from services.feedback.adapters.mail_reader import PostgresMails
from services.feedback.adapters.postgres import PostgresDrafts
from services.feedback.adapters.queue import PostgresQueue
from services.feedback.adapters.replies import PostgresReplies
from services.feedback.adapters.signing import embedded
from services.feedback.answering import Answering
from services.feedback.api import build_api
from services.feedback.desk.pages import mount
from services.feedback.desk.parts import Desk
from services.feedback.desk.progress import Progress
from services.feedback.editing import Editing
from services.feedback.erasing import Erasing
from services.feedback.following import Live
from services.feedback.handlers import register
from services.feedback.library import Library
from services.feedback.outbox import Relay
from services.feedback.reading_documents import DocumentReading
from services.feedback.reading_mails import MailReading
from services.feedback.service import FeedbackService
from services.feedback.training.versions import Datasets
from shared.bus import Bus
from shared.clock import utcnow
from shared.objects import S3Objects
from shared.postgres import Pool, open_pool
from shared.queries import SearchAnswer, SearchQuery
from shared.runtime import Parts, run
from shared.settings import Settings


@asynccontextmanager
async def build(settings: Settings, bus: Bus) -> AsyncIterator[Parts]:
    """Everything that feedback needs, until it stops."""
    pool = await open_pool(settings.postgres, "feedback")
    drafts = PostgresDrafts(pool)
    relay = Relay(drafts, bus.say)
    service = FeedbackService(drafts, utcnow, relay.wake, settings.desk.public_url)
    answering = Answering(PostgresReplies(pool), utcnow, relay.wake, service.withdraw)
    register(bus, service, answering, Erasing(PostgresErasures(pool), utcnow))
    objects = S3Objects(settings.objects)
    audit = PostgresAudit(pool)
    desk = Desk(
        config=settings,
        signing=embedded(settings, pool, audit),
        audit=audit,
        audit_log=audit,
        feedback=service,
        queue=PostgresQueue(pool),
        live=(live := Live()),
        library=_library(settings, pool, objects, service, relay),
        figures=PostgresFigures(pool),
        reading=DocumentReading(PostgresVersions(pool), objects),
        editing=_editing(settings, pool, bus),
        datasets=Datasets(PostgresDatasets(pool), objects, ExportProcess(), audit, utcnow),
        answering=answering,
        mails=MailReading(PostgresMails(pool), objects),
        progress=_progress(bus),
    )
    api = build_api(desk)
    mount(api)
    running = (
        asyncio.create_task(relay.run(), name="outbox"),
        asyncio.create_task(PostgresChanges(settings.postgres, live.tell).run(), name="live"),
    )
    try:
        yield Parts(api=api, needs={"database": drafts.ready}, stopping=live.close)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await pool.close()


def _editing(settings: Settings, pool: Pool, bus: Bus) -> Editing:
    async def search(query: SearchQuery) -> SearchAnswer:
        return await bus.ask(query, SearchAnswer)

    return Editing(PostgresEdits(pool), search, utcnow, settings.desk.lock_minutes)


def _progress(bus: Bus) -> Progress:
    progress = Progress()
    bus.overhears(progress.hear)
    return progress


def _library(
    settings: Settings, pool: Pool, objects: S3Objects, service: FeedbackService, relay: Relay
) -> Library:
    audiences = {name for box in settings.mailboxes.values() for name in box.audiences}
    return Library(
        PostgresShelves(pool),
        StoredInbox(objects, settings.ingest.document_max_bytes),
        utcnow,
        audiences=audiences,
        said=relay.wake,
        heard=service.record_document,
    )


if __name__ == "__main__":
    run("feedback", build)
