"""Composition root of ingest: settings, stores, reader processes, use cases, HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.ingest.adapters.postgres import PostgresIntake
from services.ingest.adapters.reader_process import ProcessReader, Setup
from services.ingest.adapters.tokenizer import tokenizer_file
from services.ingest.api import add_preview, build_api
from services.ingest.erasing import Erasing
from services.ingest.formats.model import Limits
from services.ingest.handlers import register
from services.ingest.inbox import HttpInbox
from services.ingest.mail_service import MailIntake
from services.ingest.mime import MailLimits
from services.ingest.service import DocumentIntake
from services.ingest.triage import Sorter
from shared.bus import Bus, Probe
from shared.clock import utcnow
from shared.identity import short_hash
from shared.models.local import awaited, local
from shared.objects import S3Objects
from shared.postgres import open_pool
from shared.queries import EmbedAnswer
from shared.runtime import Parts, run
from shared.settings import Ingest, Settings


@asynccontextmanager
async def build(settings: Settings, bus: Bus) -> AsyncIterator[Parts]:
    """Everything that ingest needs, until it stops."""
    config = settings.ingest
    objects = S3Objects(settings.objects)
    pool = await open_pool(settings.postgres, "ingest")
    intake = PostgresIntake(pool)
    model = settings.embedding.model
    reader = ProcessReader(_setup(config, await awaited(lambda: local(model, objects))))
    cut = short_hash(model, str(config.chunk_tokens))
    documents = DocumentIntake(
        objects, reader, intake, utcnow, fingerprint=cut, max_bytes=config.document_max_bytes
    )
    limits = MailLimits(
        max_bytes=config.mail_max_bytes,
        max_parts=config.mail_max_parts,
        max_depth=config.mail_max_depth,
        seconds=config.mail_seconds,
    )
    sorter = Sorter(settings.triage, lambda query: bus.ask(query, EmbedAnswer))
    mails = MailIntake(
        objects,
        reader,
        intake,
        utcnow,
        mailboxes=settings.mailboxes,
        limits=limits,
        per_sender=config.drafts_per_sender_hour,
        sorter=sorter,
    )
    register(bus, documents, mails, Erasing(objects, intake, tuple(settings.mailboxes)))
    api = build_api(HttpInbox(objects, utcnow, settings.mailboxes), documents, bus.say, config)
    add_preview(api, mails, config)
    try:
        yield Parts(api=api, needs=_needs(objects, intake, sorter))
    finally:
        reader.close()
        await pool.close()


def _needs(objects: S3Objects, intake: PostgresIntake, sorter: Sorter) -> dict[str, Probe]:
    return {"objects": objects.ready, "database": intake.ready, "embed": sorter.ready}


def _setup(config: Ingest, directory: Path) -> Setup:
    tokenizer_file(directory)  # says now, not at the first document, when it is missing
    limits = Limits(max_bytes=config.document_max_bytes, max_expanded=config.unpacked_max_bytes)
    return Setup(directory, config.chunk_tokens, limits)


if __name__ == "__main__":
    run("ingest", build)
