"""Traces of an e-mail across the bus (OpenTelemetry); sent where OTEL_EXPORTER_OTLP_… says.

Without such a variable nothing is recorded and nothing of the SDK is imported; trace ids still
travel from event to event, so that the logs of all services can be read by them. No text of an
e-mail enters a span.

Source: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.envelope import Event, EventT
from shared.identifiers import identifiers
from shared.topology import Stage

if TYPE_CHECKING:  # the SDK takes 0.1 s to import
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator

log = structlog.get_logger()

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FLUSH_SECONDS = 3.0
"""Given to the last spans when a service stops: a collector that is down does not hold it."""

_tracer = trace.get_tracer("sourcier")
_propagator = TraceContextTextMapPropagator()
_first: ContextVar[int | None] = ContextVar("trace id of the next root span", default=None)
_provider: TracerProvider | None = None


def configure(service: str, environment: str) -> None:
    """Send spans over OTLP/HTTP when the environment names a collector."""
    global _provider
    if not wanted(os.environ):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create(
        {
            "service.name": f"sourcier-{service}",
            "service.namespace": "sourcier",
            "service.version": _version(),
            "service.instance.id": f"{os.uname().nodename}-{os.getpid()}",
            "deployment.environment.name": environment,
        }
    )
    _provider = TracerProvider(resource=resource, id_generator=ids(), shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(_provider)
    # Each of its retries is a warning; that a batch was lost is an error, which stays.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)


def ids() -> IdGenerator:
    """Random ids, but for a first event's trace."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _first.get() or super().generate_trace_id()

    return Ids()


def _version() -> str:
    try:
        return version("sourcier")
    except PackageNotFoundError:  # an image holds the code, not the package
        return "unknown"


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether spans are to be sent. What cannot be done as it is set is said, and left out."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "otlp")
    if exporter == "none" or not any(environment.get(name) for name in ENDPOINTS):
        return False
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
    )
    if exporter != "otlp":
        log.error(f"no traces: set OTEL_TRACES_EXPORTER to otlp or none, not {exporter!r}")
    elif protocol != "http/protobuf":
        log.error(
            "no traces: set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf (usually port 4318), "
            f"not {protocol!r}"
        )
    return exporter == "otlp" and protocol == "http/protobuf"


def finish() -> None:
    """Send the spans that wait, for a few seconds at most."""
    if _provider:
        sending = threading.Thread(target=_provider.shutdown, daemon=True)
        sending.start()
        sending.join(FLUSH_SECONDS)


def traceparent() -> str | None:
    """The active span as a W3C traceparent."""
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def named(event: Event) -> dict[str, str]:
    """``trace_id`` of an event, for logs; nothing when it has none."""
    found = trace.get_current_span(_context(event.traceparent)).get_span_context()
    return {"trace_id": f"{found.trace_id:032x}"} if found.is_valid else {}


def enter(event: Event) -> str:
    """Make the trace of ``event`` the current one of this task, to its end; returns its id.

    An event without a trace begins one whose id follows from its own, so that a redelivery
    begins the same.
    """
    if event.traceparent:
        context = _context(event.traceparent)
        found = trace.get_current_span(context).get_span_context()
        if found.is_valid:
            contexts.attach(context)
            return f"{found.trace_id:032x}"
    first = _trace_of(event.id)
    _first.set(first)
    if _provider is None:
        own = SpanContext(first, first & (2**64 - 1) or 1, is_remote=False)
        contexts.attach(trace.set_span_in_context(NonRecordingSpan(own), Context()))
    return f"{first:032x}"


@contextmanager
def working(stage: Stage, event: Event) -> Iterator[None]:
    """The span of one run of the stage's handler, a child of who said ``event``."""
    if _provider is None:
        yield
        return
    attributes = {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": stage.durable,
        "sourcier.stage": stage.durable,
        **_of(event),
    }
    with _span(f"process {stage.durable}", SpanKind.CONSUMER, attributes):
        yield


@contextmanager
def saying(event: EventT) -> Iterator[EventT]:
    """``event`` with the trace that it is said in: that of the active span.

    Outside of any (an outbox, an HTTP API), a span of its own continues the event's trace.
    """
    current = traceparent() or (event.traceparent if _provider is None else None)
    if current is not None or _provider is None:
        same = current == event.traceparent
        yield event if same else event.model_copy(update={"traceparent": current})
        return
    token = contexts.attach(_context(event.traceparent))
    first = _first.set(_first.get() or _trace_of(event.id))
    attributes = {"messaging.operation.name": "send", "messaging.operation.type": "send"}
    name = f"send {event.nats_prefix()}"
    try:
        with _span(name, SpanKind.PRODUCER, attributes | _of(event)):
            yield event.model_copy(update={"traceparent": traceparent() or event.traceparent})
    finally:
        _first.reset(first)
        contexts.detach(token)


@contextmanager
def joining(parent: str | None) -> Iterator[None]:
    """What is said meanwhile belongs to the caller's trace, if it has one."""
    token = contexts.attach(_context(parent)) if parent else None
    try:
        yield
    finally:
        if token:
            contexts.detach(token)


@contextmanager
def answering(subject: str, parent: str | None) -> Iterator[None]:
    """The span of the answer to an interactive request."""
    token = contexts.attach(_context(parent))
    attributes = {"messaging.operation.name": "process", "messaging.destination.name": subject}
    try:
        with _span(f"process {subject}", SpanKind.SERVER, attributes):
            yield
    finally:
        contexts.detach(token)


@contextmanager
def calling(name: str, attributes: Mapping[str, str | int | float]) -> Iterator[Span]:
    """The span of a request to something that is not ours."""
    with _span(name, SpanKind.CLIENT, dict(attributes), system=None) as span:
        yield span


@contextmanager
def _span(
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, str | int | float],
    system: str | None = "nats",
) -> Iterator[Span]:
    """A current span; a failure leaves its type in it, never its words, which may quote."""
    known = {"messaging.system": system} if system else {}
    with _tracer.start_as_current_span(
        name,
        kind=kind,
        attributes={**known, **attributes},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
            raise


def _of(event: Event) -> dict[str, str]:
    told = {
        "messaging.destination.name": event.nats_subject(),
        "messaging.message.id": str(event.id),
        "cloudevents.event_id": str(event.id),
        "cloudevents.event_source": event.source,
        "cloudevents.event_type": event.type,
    }
    return told | {f"sourcier.{name}": value for name, value in identifiers(event).items()}


def _context(parent: str | None) -> Context:
    """The context of a traceparent; an empty one for none and for what is none."""
    return _propagator.extract({"traceparent": parent} if parent else {}, Context())


def _trace_of(event: UUID) -> int:
    """A trace id: hashed, as samplers take a share by the low bits, which a UUID fixes."""
    return int.from_bytes(sha256(event.bytes).digest()[:16], "big")
