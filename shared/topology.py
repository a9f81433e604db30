"""Streams, stages and who may say what: one table that the broker is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared import document_events as d
from shared import events as e
from shared.delivery import Policy
from shared.envelope import Event
from shared.progress import DraftProgress


@dataclass(frozen=True)
class Stream:
    """A JetStream stream; ``max_age`` in days, ``max_bytes`` in MiB are defaults of settings."""

    name: str
    subjects: tuple[str, ...]


MAIL = Stream("MAIL", ("mail.>", "context.>"))
DOCUMENT = Stream("DOCUMENT", ("document.>",))
DRAFT = Stream("DRAFT", ("draft.>", "review.>", "reply.>"))
DEAD = Stream("DEAD", ("dead.>",))
STREAMS = (MAIL, DOCUMENT, DRAFT, DEAD)
DUPLICATE_WINDOW = 600.0
"""Seconds within which the broker drops a repeated Nats-Msg-Id."""


@dataclass(frozen=True)
class Stage:
    """One durable consumer: what it hears, how many at once, how long each may take.

    ``ack_wait`` seconds pass without heartbeat before the broker delivers again; ``cap`` is the
    longest a single run of the handler may take, in seconds.
    """

    service: str
    name: str
    stream: Stream
    event: type[Event]
    workers: int = 4
    ack_wait: float = 30.0
    cap: float = 300.0
    policy: Policy = field(default_factory=Policy)

    @property
    def durable(self) -> str:
        """Name of the consumer, and the last token of its dead letters' subject."""
        return f"{self.service}-{self.name}"

    @property
    def subject(self) -> str:
        """Filter subject: every mailbox or collection."""
        return f"{self.event.nats_prefix()}.>"


INGEST_MAIL = Stage("ingest", "mail", MAIL, e.MailReceived, workers=8)
INGEST_DOCUMENT = Stage("ingest", "document", DOCUMENT, d.DocumentSubmitted, workers=2, cap=900)
INGEST_REMOVAL = Stage("ingest", "removal", DOCUMENT, d.DocumentRemoved, workers=1)
INGEST_ERASED = Stage("ingest", "erased", MAIL, d.MailErased, workers=1)
EMBED_MAIL = Stage("embed", "mail", MAIL, e.MailAccepted, workers=16)
EMBED_DOCUMENT = Stage("embed", "document", DOCUMENT, d.DocumentChunked, workers=8, cap=1800)
EMBED_REMOVAL = Stage("embed", "removal", DOCUMENT, d.DocumentRemoved, workers=1)
RETRIEVE_MAIL = Stage("retrieve", "mail", MAIL, e.MailEmbedded, workers=8)
RETRIEVE_DOCUMENT = Stage("retrieve", "document", DOCUMENT, d.DocumentEmbedded, workers=16, cap=900)
RETRIEVE_REMOVAL = Stage("retrieve", "removal", DOCUMENT, d.DocumentRemoved, workers=1)
GENERATE_DRAFT = Stage("generate", "draft", MAIL, e.ContextRetrieved, workers=16, cap=900)
GENERATE_REQUEST = Stage("generate", "request", DRAFT, e.DraftRequested, workers=4, cap=900)
FEEDBACK_MAIL = Stage("feedback", "mail", MAIL, e.MailAccepted)
FEEDBACK_SKIPPED = Stage("feedback", "skipped", MAIL, e.MailSkipped)
FEEDBACK_ERASED = Stage("feedback", "erased", MAIL, d.MailErased, workers=1)
FEEDBACK_DRAFT = Stage("feedback", "draft", DRAFT, e.DraftReady)
FEEDBACK_DECLINED = Stage("feedback", "declined", DRAFT, e.DraftDeclined)
FEEDBACK_INDEXED = Stage("feedback", "indexed", DOCUMENT, d.DocumentIndexed)
FEEDBACK_REJECTED = Stage("feedback", "rejected", DOCUMENT, d.DocumentRejected)
FEEDBACK_REMOVAL = Stage("feedback", "removal", DOCUMENT, d.DocumentRemoved)
FEEDBACK_SENT = Stage("feedback", "sent", DRAFT, e.ReplySent)
FEEDBACK_FAILED = Stage("feedback", "failed", DRAFT, e.ReplyFailed)
FEEDBACK_DOUBTFUL = Stage("feedback", "doubtful", DRAFT, e.ReplyDoubtful)

STAGES = (
    INGEST_MAIL,
    INGEST_DOCUMENT,
    INGEST_REMOVAL,
    INGEST_ERASED,
    EMBED_MAIL,
    EMBED_DOCUMENT,
    EMBED_REMOVAL,
    RETRIEVE_MAIL,
    RETRIEVE_DOCUMENT,
    RETRIEVE_REMOVAL,
    GENERATE_DRAFT,
    GENERATE_REQUEST,
    FEEDBACK_MAIL,
    FEEDBACK_SKIPPED,
    FEEDBACK_ERASED,
    FEEDBACK_DRAFT,
    FEEDBACK_DECLINED,
    FEEDBACK_INDEXED,
    FEEDBACK_REJECTED,
    FEEDBACK_REMOVAL,
    FEEDBACK_SENT,
    FEEDBACK_FAILED,
    FEEDBACK_DOUBTFUL,
)

MAIL_REPLY = Stage(
    "mail",
    "reply",
    DRAFT,
    e.ReplyApproved,
    cap=900,
    # A server that puts an e-mail off (greylisting, a full mailbox) is asked again for a day; one
    # that is away keeps the replies of other mailboxes waiting for two vain tries only.
    policy=Policy(attempts=110, backoff=(10.0, 60.0, 300.0, 900.0), patience=2),
)
BRIDGE_STAGES = (MAIL_REPLY,)
"""Declared only where the bridge is configured: elsewhere replies would wait there for nobody."""

SAYS: dict[str, tuple[type[Event], ...]] = {
    "ingest": (
        e.MailReceived,
        e.MailAccepted,
        e.MailSkipped,
        d.DocumentSubmitted,
        d.DocumentChunked,
        d.DocumentRejected,
    ),
    "embed": (e.MailEmbedded, d.DocumentEmbedded),
    "retrieve": (e.ContextRetrieved, d.DocumentIndexed),
    "generate": (e.DraftReady, e.DraftDeclined),
    "feedback": (
        e.DraftRequested,
        e.DraftWithdrawn,
        e.ReviewRecorded,
        e.ReplyApproved,
        # for mail systems that tell of replies by the HTTP API
        e.ReplySent,
        e.ReplyFailed,
        e.ReplyDoubtful,
        d.DocumentSubmitted,
        d.DocumentRemoved,
        d.MailErased,
    ),
    "mail": (e.MailReceived, e.ReplySent, e.ReplyFailed, e.ReplyDoubtful),
}
"""What each service may publish; its dead letters and interactive requests come on top."""

ASKS: dict[str, tuple[str, ...]] = {
    "ingest": ("query.embed.v1",),
    "retrieve": ("query.embed.v1",),
    "generate": ("query.embed.v1",),
    "feedback": ("query.search.v1",),
}
"""Interactive requests that a service may make."""

ANSWERS: dict[str, tuple[str, ...]] = {
    "embed": ("query.embed.v1",),
    "retrieve": ("query.search.v1",),
}
"""Interactive requests that a service answers."""

TELLS: dict[str, tuple[str, ...]] = {"generate": (DraftProgress.PREFIX,)}
"""Progress that a service tells on core NATS, by prefix of the subject."""

FOLLOWS: dict[str, tuple[str, ...]] = {"feedback": (DraftProgress.PREFIX,)}
"""Progress that a service may listen to."""


def stream_of(event: type[Event]) -> Stream:
    """The stream that captures ``event``. Raises ``LookupError`` when none does."""
    first = event.nats_prefix().split(".")[0]
    if first == "message":
        return DEAD
    for stream in STREAMS:
        if f"{first}.>" in stream.subjects:
            return stream
    raise LookupError(f"no stream captures {event.TYPE}")


def stages_of(service: str) -> tuple[Stage, ...]:
    """The stages of one service."""
    return tuple(stage for stage in (*STAGES, *BRIDGE_STAGES) if stage.service == service)
