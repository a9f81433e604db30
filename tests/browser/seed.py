"""Fills a desk with the examples: documents and e-mails read by ingest itself, drafts composed
by generate's own rules from statements of ours, reviews taken by the service."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import pyarrow.parquet as pq

from services.feedback.access import Viewer
from services.feedback.adapters.postgres import PostgresDrafts
from services.feedback.records import ReviewWish
from services.feedback.service import FeedbackService
from services.generate.answer import DraftRequest, EngineAnswer, EnginePart
from services.generate.composing import compose
from services.ingest.mail_service import MailIntake
from services.ingest.mime import MailLimits
from services.ingest.service import DocumentIntake
from services.ingest.triage import Sorter
from shared import events as e
from shared.categories import Triage
from shared.clock import utcnow
from shared.delivery import Unavailable
from shared.document_events import (
    DocumentChunked,
    DocumentIndexed,
    DocumentIndexedData,
    DocumentRejected,
    DocumentSubmitted,
    DocumentSubmittedData,
)
from shared.envelope import Event, Frozen
from shared.identity import draft_id
from shared.objects import S3Objects
from shared.postgres import Pool, open_pool
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import Check, Fingerprints, MailBlock, Message, Passage, PassageScores
from shared.settings import Mailbox, Objects, Postgres
from tests.browser.seed_texts import CASES, Case
from tests.fakes.intake_memory import DirectReader, MemoryIntake, WordCounter

EXAMPLES = Path(__file__).parents[2] / "examples"
BOXES = {
    "edurenov": Mailbox(signature="Le guichet EduRénov"),
    "outre-mer": Mailbox(signature="Le guichet EduRénov outre-mer"),
}
PRINTS = Fingerprints(
    model="qwen2.5-1.5b", prompt="p-7c1e", embedding="e5-small", retrieval="hybrid"
)
SITE = "https://edurenov-demo.example"
REVIEWER = Viewer(
    account="agent", name="Camille Agent", roles=frozenset({"agent"}), pseudonym="p-5e1f0c2a9d31"
)
Said = TypeVar("Said", bound=Event)


@dataclass
class Seeded:
    """What a test may name: ids by the case's name, passages by document."""

    drafts: dict[str, UUID] = field(default_factory=dict)
    mails: dict[str, UUID] = field(default_factory=dict)
    documents: dict[str, UUID] = field(default_factory=dict)
    passages: dict[str, list[Passage]] = field(default_factory=dict)
    blocks: dict[str, MailBlock] = field(default_factory=dict)

    def passage(self, document: str, phrase: str) -> Passage:
        """The passage of the document that says ``phrase``."""
        wanted = " ".join(phrase.split())
        for passage in self.passages[document]:
            if wanted in " ".join(passage.text.split()):
                return passage
        raise LookupError(f"{document} nowhere says {phrase!r}")


async def seed(dsn: str, store: Objects) -> Seeded:
    """Write everything; the database and the bucket are empty before."""
    pool = await open_pool(cast(Any, Postgres)(dsn=dsn), "seed")
    try:
        return await _Seeding(pool, store).run()
    finally:
        await pool.close()


class _Seeding:
    def __init__(self, pool: Pool, store: Objects) -> None:
        self._pool = pool
        self._objects = S3Objects(store)
        self._service = FeedbackService(PostgresDrafts(pool), self._now, lambda: None)
        self._at = utcnow()
        self._found = Seeded()
        reader = DirectReader(WordCounter())
        self._documents = DocumentIntake(
            self._objects, reader, MemoryIntake(), self._now, "words", 10**8
        )
        self._mails = MailIntake(
            self._objects,
            reader,
            MemoryIntake(),
            self._now,
            BOXES,
            MailLimits(max_bytes=10**7, max_parts=100, max_depth=10),
            1000,
            Sorter(Triage(), _nobody),
        )

    def _now(self) -> datetime:
        return self._at

    async def run(self) -> Seeded:
        began = utcnow()
        for days, path in enumerate(sorted((EXAMPLES / "documents").iterdir())):
            self._at = began - timedelta(days=30 + days, hours=3)
            await self._document(path.name, path.read_bytes(), path.suffix != ".eml")
        self._at = began - timedelta(days=1)
        await self._broken()
        for case in sorted(CASES, key=lambda case: -case.hours):
            self._at = began - timedelta(hours=case.hours)
            await self._case(case)
        await self._marks(began)
        return self._found

    async def _document(self, name: str, content: bytes, linked: bool) -> None:
        data = DocumentSubmittedData(
            name=name,
            collection="edurenov",
            submitted=self._at,
            content=base64.b64encode(content),
            url=f"{SITE}/documents/{name}" if linked else None,
        )
        event = say(DocumentSubmitted, self._at, data)
        said = await self._documents.take(event)
        assert isinstance(said, DocumentChunked), said
        block, count = said.data.document, said.data.count
        indexed = DocumentIndexedData(document=block, count=count, embedding="e5-small")
        await self._service.record_document(say(DocumentIndexed, self._at, indexed))
        rows = pq.read_table(io.BytesIO(await self._objects.get(said.data.chunks_key))).to_pylist()
        self._found.documents[name] = block.document_id
        self._found.passages[name] = [
            Passage(
                passage_id=row["passage_id"],
                document_id=block.document_id,
                version=block.version,
                title=block.title,
                url=block.url,
                heading_path=tuple(row["heading_path"] or ()),
                page=row["page"],
                start=row["start"],
                end=row["end"],
                text=row["text"],
                collection="edurenov",
                scores=PassageScores(fused=0.5, dense=0.86, bm25=6.4),
                questions=(0,),
            )
            for row in rows
        ]

    async def _broken(self) -> None:
        data = DocumentSubmittedData(
            name="convention-2025.pdf",
            collection="edurenov",
            submitted=self._at,
            content=base64.b64encode(b"%PDF-1.7\nnothing that a reader could follow"),
        )
        event = say(DocumentSubmitted, self._at, data)
        said = await self._documents.take(event)
        assert isinstance(said, DocumentRejected), said
        await self._service.record_document(said)

    async def _case(self, case: Case) -> None:
        said = await self._mails.take(_received(case, self._at))
        self._found.mails[case.name] = (
            said.data.mail_id if isinstance(said, e.MailSkipped) else said.data.mail.mail_id
        )
        if isinstance(said, e.MailSkipped):
            await self._service.record_skipped(said)
            return
        mail = said.data.mail.model_copy(
            update={"category": case.category, "received": self._at, "collections": ("edurenov",)}
        )
        self._found.blocks[case.name] = mail
        await self._service.record_mail(say(e.MailAccepted, self._at, e.OfMail(mail=mail)))
        if case.said or case.declined:
            self._at += timedelta(seconds=42)
            event = drafted(self._found, case, mail, self._at)
            self._found.drafts[case.name] = event.data.draft_id
            await self._service.record_draft(event)
            await self._decide(case, event)

    async def _decide(self, case: Case, event: e.DraftReady | e.DraftDeclined) -> None:
        if not case.then:
            return
        self._at += timedelta(minutes=35)
        text = event.data.text if isinstance(event, e.DraftReady) else ""
        final = text.replace(*case.final) if case.then == "edited" else None
        wish: dict[str, Any] = {
            "decision": case.then,
            "final_text": final,
            "reasons": case.reasons,
            "seconds": 94.0,
        }
        await self._service.review(REVIEWER, event.data.draft_id, ReviewWish(**wish))

    async def _marks(self, now: datetime) -> None:
        """What time would bring: a lock of a colleague, a newer version of a cited document."""
        async with self._pool.acquire() as db:
            await db.execute(
                "insert into feedback.locks (draft_id, account, name, since, expires)"
                " values ($1, 'agent2', 'Dominique Agent', $2, $3)",
                self._found.drafts["bretagne"],
                now - timedelta(minutes=3),
                now + timedelta(days=2),
            )
            await db.execute(
                "update feedback.drafts set outdated = $2 where draft_id = $1",
                self._found.drafts["creche"],
                [self._found.documents["batiments-eligibles.html"]],
            )


def say(kind: type[Said], at: datetime, data: Frozen) -> Said:
    """An event of ours."""
    return kind.make(source="seed", id=uuid4(), subject="x", time=at, data=data)


async def _nobody(query: EmbedQuery) -> EmbedAnswer:
    raise Unavailable("nobody answers query.embed.v1")


def _received(case: Case, at: datetime) -> e.MailReceived:
    raw = (EXAMPLES / "mails" / case.file).read_bytes() if case.file else _letter(case, at)
    data = e.MailReceivedData(mailbox=case.mailbox, content=base64.b64encode(raw))
    return say(e.MailReceived, at, data)


def _letter(case: Case, at: datetime) -> bytes:
    message = EmailMessage()
    message["From"] = case.sender
    message["To"] = "guichet@edurenov-demo.example"
    message["Subject"] = case.subject
    message["Date"] = at.astimezone(UTC)
    message["Message-ID"] = f"<{case.name}@seed.example>"
    message.set_content(case.text)
    return message.as_bytes()


def drafted(
    found: Seeded, case: Case, mail: MailBlock, at: datetime, request_id: int = 0
) -> e.DraftReady | e.DraftDeclined:
    """The draft of ``case`` as generate would say it."""
    cited = [found.passage(*where) for said in case.said for where in said.where]
    near = [found.passage(*where) for where in case.near]
    others = [found.passages[name][1] for name in ("foire-aux-questions.html", "glossaire.html")]
    passages = tuple({p.passage_id: p for p in (*cited, *near, *others)}.values())
    common: dict[str, Any] = {
        "mail": mail,
        "draft_id": draft_id(mail.mail_id, "seed", request_id),
        "request_id": request_id,
        "passages": passages,
        "evidence": 0.2 if case.declined else 0.87,
        "messages": (
            Message(role="system", content="Réponds en t'appuyant sur les passages."),
            Message(role="user", content=mail.new_text),
        ),
        "engine": case.engine,
        "fingerprints": PRINTS,
        "raw_output": "",
        "timings": {"retrieve": 0.04, "generate": 6.2},
    }
    checks = tuple(Check(name=name, passed=False, detail=detail) for name, detail in case.failed)
    passed = Check(name="appui", passed=True, detail="Chaque phrase est appuyée par un passage.")
    if case.declined:
        declined = e.DraftDeclinedData(
            **common, checks=(), why=cast(Any, case.declined), detail=case.detail
        )
        return say(e.DraftDeclined, at, declined)
    order = [passage.passage_id for passage in passages]
    parts = tuple(
        EnginePart(
            said.text, tuple(order.index(found.passage(*where).passage_id) for where in said.where)
        )
        for said in case.said
    )
    questions = tuple(range(len(mail.questions)))
    request = DraftRequest(mail=mail, passages=passages, questions=questions)
    answer = EngineAnswer(case.engine, model="seed", parts=parts)
    composed = compose(request, answer, BOXES[mail.mailbox].signature)
    ready = e.DraftReadyData(
        **common,
        checks=(passed, *checks),
        greeting=composed.greeting,
        parts=composed.parts,
        closing=composed.closing,
        text=composed.text,
        sources=composed.sources,
        unanswered=composed.unanswered,
    )
    return say(e.DraftReady, at, ready)


def digest(token: str) -> bytes:
    """What a session's row keeps of its cookie."""
    return hashlib.sha256(token.encode()).digest()
