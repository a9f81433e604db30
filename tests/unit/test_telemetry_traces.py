"""Traces: who is whose parent, what travels without an exporter, and what a span may hold."""

from __future__ import annotations

import contextvars
import uuid
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from shared import tracing
from shared.envelope import Event, caused
from shared.events import MailSkipped, MailSkippedData
from shared.topology import INGEST_MAIL
from tests.samples import AT, received

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


def alone(work: Callable[[], Event]) -> Event:
    """``work`` as one message's task runs it: in a context of its own."""
    return contextvars.copy_context().run(work)


def handled(event: Event, fails: bool = False) -> Event:
    """The event that a handler says on ``event``, as it travels."""

    def work() -> Event:
        tracing.enter(event)
        try:
            with tracing.working(INGEST_MAIL, event):
                if fails:
                    raise ValueError("Madame Lefèvre")
                with tracing.saying(outcome(event)) as carried:
                    return carried
        except ValueError:
            with tracing.saying(outcome(event)) as carried:  # a dead letter, say
                return carried

    return alone(work)


def outcome(event: Event) -> MailSkipped:
    data = MailSkippedData(
        mailbox="default", mail_id=uuid.uuid4(), reason="empty", detail="vide", received=AT
    )
    return caused(event, MailSkipped, source="ingest", time=AT, data=data)


def first() -> Event:
    """An e-mail as mail systems hand it in that know of no traces."""
    return received().model_copy(update={"traceparent": None})


def trace_of(event: Event) -> str:
    assert event.traceparent is not None
    return event.traceparent.split("-")[1]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[ReadableSpan, ...]]:
    """What is recorded from now on."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(id_generator=tracing.ids())
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr(tracing, "_provider", provider)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    return memory.get_finished_spans


def test_without_an_exporter_the_trace_travels_unchanged() -> None:
    event = first().model_copy(update={"traceparent": PARENT})
    assert handled(event).traceparent == PARENT


def test_without_an_exporter_a_first_event_begins_the_same_trace_each_time() -> None:
    event = first()
    said, again = handled(event), handled(event)
    assert said.traceparent == again.traceparent
    assert (said.traceparent or "").endswith("-00"), "recorded by nobody"
    assert trace_of(handled(said)) == trace_of(said)


def test_a_broken_traceparent_is_as_none() -> None:
    event = first().model_copy(update={"traceparent": "00-zz-1"})
    assert trace_of(handled(event)) == trace_of(handled(first()))


def test_a_stage_is_the_child_of_who_said_its_event(
    spans: Callable[[], tuple[ReadableSpan, ...]],
) -> None:
    said = handled(first())
    handled(said)
    one, two = spans()
    assert one.parent is None
    assert two.parent is not None
    assert one.context is not None
    assert two.parent.span_id == one.context.span_id
    assert f"{one.context.span_id:016x}" in (said.traceparent or "")
    assert one.name == "process ingest-mail"
    attributes = dict(one.attributes or {})
    assert attributes["messaging.destination.name"] == "mail.received.v1.default"
    assert attributes["cloudevents.event_type"] == "sourcier.mail.received.v1"


def test_an_event_said_outside_of_a_stage_continues_its_trace(
    spans: Callable[[], tuple[ReadableSpan, ...]],
) -> None:
    """As the outbox does, minutes or days later."""
    waiting = outcome(first().model_copy(update={"traceparent": PARENT}))

    def relay() -> Event:
        with tracing.saying(waiting) as carried:
            return carried

    said = alone(relay)
    (span,) = spans()
    assert span.name == "send mail.skipped.v1"
    assert span.parent is not None
    assert span.parent.span_id == 0xB7AD6B7169203331
    assert trace_of(said) == trace_of(waiting)
    assert said.traceparent != waiting.traceparent


def test_an_event_said_for_an_http_caller_is_in_its_trace() -> None:
    def handed_in() -> Event:
        with tracing.joining(PARENT), tracing.saying(first()) as carried:
            return carried

    assert alone(handed_in).traceparent == PARENT
    with tracing.joining("nonsense"), tracing.saying(first()) as carried:
        assert carried.traceparent is None


def test_a_failure_leaves_its_type_and_no_words(
    spans: Callable[[], tuple[ReadableSpan, ...]],
) -> None:
    event = first()
    dead = handled(event, fails=True)
    failed, sent = spans()
    assert not failed.status.is_ok
    assert dict(failed.attributes or {})["error.type"] == "ValueError"
    assert "Lefèvre" not in failed.to_json(indent=None) + sent.to_json(indent=None)
    assert trace_of(dead) == trace_of(handled(event)), "the dead letter is in its e-mail's trace"


def test_a_share_of_traces_can_be_taken() -> None:
    """UUIDs fix the bits that samplers look at: trace ids must not be UUIDs."""
    sampler, taken = TraceIdRatioBased(0.25), 0
    for _ in range(400):
        event = first().model_copy(update={"id": uuid.uuid4()})
        number = int(trace_of(handled(event)), 16)
        taken += sampler.should_sample(None, number, "x").decision.is_sampled()
    assert 50 < taken < 150


@pytest.mark.parametrize(
    ("environment", "sent"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h/v1/traces"}, True),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "zipkin"}, False),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_the_environment_decides(environment: dict[str, str], sent: bool) -> None:
    assert tracing.wanted(environment) is sent
