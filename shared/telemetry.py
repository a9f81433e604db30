"""Logs (structlog) and metrics (Prometheus) of every service."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator

import structlog
from prometheus_client import Counter, Gauge, Histogram
from structlog.typing import EventDict, Processor, WrappedLogger

from shared import settings
from shared.delivery import Invalid, Unavailable
from shared.envelope import Event

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
SLOW = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 14400)

HANDLED = Counter("sourcier_handled_total", "Messages finished, by outcome", ["stage", "outcome"])
HELD = Counter("sourcier_held_total", "Waits for a dependency that was down", ["stage"])
IN_HAND = Gauge("sourcier_in_hand", "Messages being worked on", ["stage"])
PENDING = Gauge("sourcier_pending", "Messages waiting in the stream", ["stage"])
OLDEST = Gauge(
    "sourcier_oldest_seconds", "Age in the stream of the oldest message in hand", ["stage"]
)
SECONDS = Histogram(
    "sourcier_handler_seconds", "Time of one run of a handler", ["stage"], buckets=QUICK
)
LATENCY = Histogram(
    "sourcier_latency_seconds",
    "From a message's arrival in the stream to its end: waiting, runs and retries",
    ["stage"],
    buckets=SLOW,
)
SAID = Counter("sourcier_said_total", "Events published", ["type"])
REFUSALS = Counter(
    "sourcier_refusals_total",
    "E-mails skipped, drafts declined and documents rejected, by reason",
    ["type", "reason"],
)
DRAFT_SECONDS = Histogram(
    "sourcier_draft_seconds",
    "From mail.received to the first draft of an e-mail, or to its refusal",
    ["outcome"],
    buckets=SLOW,
)
STREAM_MESSAGES = Gauge("sourcier_stream_messages", "Messages that a stream holds", ["stream"])
STREAM_BYTES = Gauge("sourcier_stream_bytes", "Bytes that a stream holds", ["stream"])
STREAM_LIMIT = Gauge(
    "sourcier_stream_limit_bytes", "Bytes from which a stream refuses more", ["stream"]
)
BATCH = Histogram(
    "sourcier_batch_texts",
    "Texts in one pass of the embedding model",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
MAILBOX_UP = Gauge(
    "sourcier_mailbox_up",
    "1 while the mail server of a mailbox works for us, by way: incoming or outgoing",
    ["way", "mailbox"],
)
MODEL_SECONDS = Histogram(
    "sourcier_model_seconds",
    "One request to a language model, by how it ended",
    ["model", "outcome"],
    buckets=SLOW,
)
MODEL_FIRST = Histogram(
    "sourcier_model_first_token_seconds",
    "From a request to the first token of its answer",
    ["model"],
    buckets=SLOW,
)
MODEL_TOKENS = Counter(
    "sourcier_model_tokens_total", "Tokens as the model's server counts them", ["model", "kind"]
)

_REASONS = {
    "sourcier.mail.skipped.v1": "reason",
    "sourcier.draft.declined.v1": "why",
    "sourcier.document.rejected.v1": "code",
}
_DRAFTED = {"sourcier.draft.ready.v1": "ready", "sourcier.draft.declined.v1": "declined"}


def said(event: Event) -> None:
    """Count an event that the broker took."""
    SAID.labels(event.type).inc()
    if event.type in _REASONS:
        REFUSALS.labels(event.type, str(getattr(event.data, _REASONS[event.type]))).inc()
    if event.type in _DRAFTED and not getattr(event.data, "request_id", 0):
        seconds = (event.time - event.data.mail.received).total_seconds()  # type: ignore[attr-defined]  # of these two types
        DRAFT_SECONDS.labels(_DRAFTED[event.type]).observe(max(0.0, seconds))


def holds(stream: str, messages: int, size: int, limit: int) -> None:
    """What ``stream`` holds, in messages and bytes, and how many bytes it may."""
    STREAM_MESSAGES.labels(stream).set(messages)
    STREAM_BYTES.labels(stream).set(size)
    STREAM_LIMIT.labels(stream).set(limit)


def words(error: BaseException) -> str:
    """``error`` for a log that anybody may read.

    Our own errors in their words; of others, whose words may quote an e-mail (a database quotes
    the row it refuses), the type and the place.
    """
    if isinstance(error, Invalid | Unavailable | settings.Misconfigured):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    return f"{type(error).__name__} in {frames[-1].name}, {frames[-1].filename}:{frames[-1].lineno}"


def configure(config: settings.Log, service: str) -> None:
    """Send all logs, of libraries too, to standard error: JSON lines, or for a person's eyes."""
    level = logging.getLevelNamesMapping()[config.level.upper()]
    shape: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if config.format == "console"
        else [structlog.processors.JSONRenderer()]
    )
    trace = structlog.processors.format_exc_info if level <= logging.DEBUG else _frames
    usual: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*usual, trace, _worded, *shape],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stderr)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*usual, structlog.stdlib.add_logger_name],
            processors=[remove, trace, _worded, *shape],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _worded(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Errors given as they are, in words that may be logged."""
    return {k: words(v) if isinstance(v, BaseException) else v for k, v in event.items()}


def _frames(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """The traceback in ``exc_info`` without the errors' words: types and places only."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_chain(error))
    return event


def _chain(error: BaseException) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _chain(cause)
    yield "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
