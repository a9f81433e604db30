"""One plausible value of every event, for golden files and for tests that need one."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from shared import document_events as d
from shared import events as e
from shared import records as r
from shared.envelope import Event, Frozen, caused
from shared.identity import document_id, draft_id, mail_id, passage_id, sha256, stable_id

AT = datetime(2026, 11, 3, 9, 12, 0, tzinfo=UTC)
RAW = b"Message-ID: <q1@mairie.example>\r\nSubject: Etude\r\n\r\nQui finance l'etude ?\r\n"
TEXT = "L'étude préalable est financée à 50 % (donnée illustrative)."
DOCUMENT = document_id("default", "https://programme.example/etudes")
VERSION = r.DocumentVersion(submitted=AT - timedelta(days=3), sha256=sha256(TEXT.encode()))
MAIL = r.MailBlock(
    mail_id=mail_id("default", RAW),
    mailbox="default",
    thread_id=stable_id("thread", "default", "<q1@mairie.example>"),
    message_id="<q1@mairie.example>",
    sender=r.Address(address="accueil@mairie.example", name="Mairie de Valombre"),
    subject="Étude",
    date=AT,
    received=AT,
    new_text="Qui finance l'étude préalable ?",
    questions=("Qui finance l'étude préalable ?",),
    raw_key=f"mails/default/{mail_id('default', RAW)}.eml",
    attachments=(
        r.Attachment(name="plan.pdf", media_type="application/pdf", size=1200, state="unreadable"),
    ),
)
PASSAGE = r.Passage(
    passage_id=passage_id(DOCUMENT, VERSION.sha256, 0),
    document_id=DOCUMENT,
    version=VERSION,
    title="Études préalables",
    url="https://programme.example/etudes",
    heading_path=("Financement",),
    page=2,
    start=0,
    end=len(TEXT),
    text=TEXT,
    scores=r.PassageScores(fused=0.5, dense=0.88, bm25=7.1),
    questions=(0,),
)
BLOCK = r.DocumentBlock(
    document_id=DOCUMENT,
    version=VERSION,
    collection="default",
    name="etudes.md",
    title="Études préalables",
    url="https://programme.example/etudes",
    media_type="text/markdown",
    size=len(TEXT.encode()),
    original_key=f"documents/{DOCUMENT}/{VERSION.sha256}/original",
    text_key=f"documents/{DOCUMENT}/{VERSION.sha256}/text.json",
)
PRINTS = r.Fingerprints(model="extractive-1", prompt="p1", embedding="e1", retrieval="r1")
DRAFT = draft_id(MAIL.mail_id, "pipeline", 0)


def received(raw: bytes = RAW, mailbox: str = "default") -> e.MailReceived:
    """The event that a mail system says for ``raw``."""
    body = base64.b64encode(raw)
    return _make(e.MailReceived, e.MailReceivedData(mailbox=mailbox, content=body), sha256(raw))


def _make(kind: type[Event], data: Frozen, seed: str = "") -> Event:
    return kind.make(
        source="sample",
        subject=str(MAIL.mail_id),
        time=AT,
        id=stable_id("sample", kind.TYPE, seed),
        data=data,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def _draft() -> dict[str, object]:
    return {
        "mail": MAIL,
        "draft_id": DRAFT,
        "passages": (PASSAGE,),
        "evidence": 0.8,
        "messages": (r.Message(role="user", content="Qui finance l'étude ?"),),
        "checks": (r.Check(name="citations", passed=True),),
        "engine": "extractive",
        "fingerprints": PRINTS,
        "timings": {"generate": 0.02},
    }


def events() -> tuple[Event, ...]:
    """One of each type, in the order of the journey."""
    source = r.Source(
        number=1,
        document_id=DOCUMENT,
        version=VERSION,
        title=PASSAGE.title,
        url=PASSAGE.url,
        page=2,
        passage_ids=(PASSAGE.passage_id,),
    )
    vectors = r.QuestionVectors(
        dense=(0.6, 0.8), sparse=r.SparseVector(indices=(3, 9), values=(1.0, 1.0))
    )
    first = received()
    of_mail: tuple[tuple[type[Event], Frozen], ...] = (
        (e.MailAccepted, e.OfMail(mail=MAIL)),
        (
            e.MailSkipped,
            e.MailSkippedData(
                mailbox="default",
                mail_id=MAIL.mail_id,
                reason="auto-reply",
                detail="Réponse automatique (Auto-Submitted).",
                received=AT,
            ),
        ),
        (e.MailEmbedded, e.MailEmbeddedData(mail=MAIL, vectors=(vectors,), embedding="e1")),
        (
            e.ContextRetrieved,
            e.ContextRetrievedData(
                mail=MAIL,
                passages=(PASSAGE,),
                evidence=0.8,
                question_evidence=(0.8,),
                embedding="e1",
                retrieval="r1",
            ),
        ),
        (
            e.DraftReady,
            e.DraftReadyData(
                **_draft(),  # type: ignore[arg-type]  # the fields that both draft events share
                greeting="Bonjour,",
                parts=(r.Part(text=TEXT, citations=(PASSAGE.passage_id,)),),
                closing="Cordialement,",
                text=f"Bonjour,\n\n{TEXT} [1]\n\nCordialement,",
                sources=(source,),
            ),
        ),
        (
            e.DraftDeclined,
            e.DraftDeclinedData(
                **_draft(),  # type: ignore[arg-type]  # the fields that both draft events share
                why="not-enough-evidence",
                detail="Les documents ne répondent pas à cette question.",
            ),
        ),
        (
            e.DraftRequested,
            e.DraftRequestedData(
                mail=MAIL,
                request_id=1,
                passages=(PASSAGE,),
                evidence=0.8,
                instruction="Plus court.",
                embedding="e1",
                retrieval="r1",
            ),
        ),
        (
            e.DraftWithdrawn,
            e.DraftWithdrawnData(
                mailbox="default", draft_id=DRAFT, mail_id=MAIL.mail_id, why="newer-mail"
            ),
        ),
    )
    replies = tuple(caused(first, k, source="sample", time=AT, data=v) for k, v in _replies())
    drafts = tuple(caused(first, k, source="sample", time=AT, data=v) for k, v in of_mail)
    return (first, *drafts, *replies, *document_events())


def _replies() -> tuple[tuple[type[Event], Frozen], ...]:
    reply = stable_id("reply", str(DRAFT))
    failed = e.ReplyFailedData(
        mailbox="default", reply_id=reply, mail_id=MAIL.mail_id, why="550 refused"
    )
    return (
        (
            e.ReviewRecorded,
            e.ReviewRecordedData(
                mailbox="default",
                review_id=stable_id("review", "1"),
                draft_id=DRAFT,
                mail_id=MAIL.mail_id,
                decision="approved",
                final_text=TEXT,
                edit_distance=0,
                citations_kept=(PASSAGE.passage_id,),
                reviewer="agent-7f",
            ),
        ),
        (
            e.ReplyApproved,
            e.ReplyApprovedData(
                mailbox="default",
                reply_id=reply,
                mail_id=MAIL.mail_id,
                draft_id=DRAFT,
                recipients=(MAIL.sender,),
                subject="Re: Étude",
                in_reply_to=MAIL.message_id,
                text=TEXT,
                references=(r.Reference(number=1, title=PASSAGE.title, url=PASSAGE.url, page=2),),
            ),
        ),
        (
            e.ReplySent,
            e.ReplySentData(
                mailbox="default",
                reply_id=reply,
                mail_id=MAIL.mail_id,
                message_id="<r1@programme.example>",
                sent=AT,
            ),
        ),
        (e.ReplyFailed, failed),
        (e.ReplyDoubtful, failed),
        (d.MailErased, d.MailErasedData(mail_ids=(MAIL.mail_id,))),
    )


def document_events() -> tuple[Event, ...]:
    """The events of one document, and a dead letter."""
    submitted = _make(
        d.DocumentSubmitted,
        d.DocumentSubmittedData(
            collection="default",
            name="etudes.md",
            url=BLOCK.url,
            submitted=VERSION.submitted,
            content=base64.b64encode(TEXT.encode()),
        ),
    )
    kinds: tuple[tuple[type[Event], Frozen], ...] = (
        (d.DocumentChunked, d.DocumentChunkedData(document=BLOCK, chunks_key="chunks/a", count=1)),
        (
            d.DocumentEmbedded,
            d.DocumentEmbeddedData(
                document=BLOCK, vectors_key="vectors/a", count=1, dimension=2, embedding="e1"
            ),
        ),
        (d.DocumentIndexed, d.DocumentIndexedData(document=BLOCK, count=1, embedding="e1")),
        (
            d.DocumentRejected,
            d.DocumentRejectedData(
                collection="default",
                document_id=DOCUMENT,
                name="etudes.pdf",
                submitted=AT,
                code="encrypted",
                detail="Le PDF est protégé par un mot de passe.",
            ),
        ),
        (
            d.DocumentRemoved,
            d.DocumentRemovedData(collection="default", document_id=DOCUMENT, removed=AT),
        ),
        (
            d.MessageDead,
            d.MessageDeadData(
                stage="ingest-mail",
                stream="MAIL",
                sequence=7,
                original_subject="mail.received.v1.default",
                attempt=1,
                error="Invalid",
                reason="body: Invalid JSON",
                payload=base64.b64encode(b"{"),
            ),
        ),
    )
    said = (caused(submitted, kind, source="sample", time=AT, data=data) for kind, data in kinds)
    return (submitted, *said)
