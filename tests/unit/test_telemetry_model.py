"""Spans and figures of requests to a model, by the conventions for generative AI."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from services.generate.adapters.endpoints import ChatClient, Endpoint
from services.generate.answer import Refused
from shared import tracing
from shared.delivery import Unavailable
from shared.records import Message
from tests.fakes.endpoint import Reply, endpoint

ASKED = [Message(role="user", content="Madame Lefèvre demande un prêt")]
ANSWER = "Une réponse assez longue pour plusieurs morceaux."


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    return exporter


async def asked(url: str, model: str) -> str:
    client = ChatClient(Endpoint(url=url, model=model, timeout=5.0, backoff=()))
    await client.start()
    try:
        return await client.ask(ASKED, max_tokens=64, temperature=0.2, seed=0)
    finally:
        await client.stop()


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def only(memory: InMemorySpanExporter) -> ReadableSpan:
    (span,) = memory.get_finished_spans()
    assert "Lefèvre" not in span.to_json()
    assert "réponse" not in span.to_json()
    return span


async def test_an_answer_is_a_span_with_its_tokens(memory: InMemorySpanExporter) -> None:
    with endpoint(Reply(ANSWER, usage=(321, 12))) as server:
        assert await asked(server.url, "counted") == ANSWER
        (request,), (parent,) = server.requests, server.traces
    assert request["stream_options"] == {"include_usage": True}
    span = only(memory)
    assert span.name == "chat counted"
    assert span.context is not None
    assert parent is not None
    assert parent.split("-")[2] == f"{span.context.span_id:016x}"
    attributes = dict(span.attributes or {})
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "counted",
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.seed": 0,
        "gen_ai.response.model": "m",
        "gen_ai.response.id": "c",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 321,
        "gen_ai.usage.output_tokens": 12,
        "server.address": "127.0.0.1",
    }
    assert expected.items() <= attributes.items()
    assert value("sourcier_model_tokens_total", model="counted", kind="input") == 321
    assert value("sourcier_model_tokens_total", model="counted", kind="output") == 12
    assert value("sourcier_model_seconds_count", model="counted", outcome="answered") == 1
    assert value("sourcier_model_first_token_seconds_count", model="counted") == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [(Reply(status=500), "Unavailable"), (Reply("Une réponse coupée", cut=True), "Unavailable")],
)
async def test_a_failure_is_told_by_its_type(
    memory: InMemorySpanExporter, reply: Reply, error: str
) -> None:
    before = value("sourcier_model_seconds_count", model="fails", outcome=error)
    with endpoint(reply) as server, pytest.raises(Unavailable):
        await asked(server.url, "fails")
    assert dict(only(memory).attributes or {})["error.type"] == error
    assert value("sourcier_model_seconds_count", model="fails", outcome=error) == before + 1


async def test_a_server_that_cannot_count_is_asked_without_it(memory: InMemorySpanExporter) -> None:
    refuses = Reply(status=400, said="extra fields not permitted: stream_options")
    with endpoint(refuses, Reply(ANSWER)) as server:
        client = ChatClient(Endpoint(url=server.url, model="old", timeout=5.0, backoff=()))
        await client.start()
        assert await client.ask(ASKED) == ANSWER
        assert await client.ask(ASKED) == ANSWER
        await client.stop()
        wishes = ["stream_options" in request for request in server.requests]
    assert wishes == [True, False, False]


async def test_another_refusal_is_not_asked_again() -> None:
    with endpoint(Reply(status=400, said="too long")) as server, pytest.raises(Refused):
        await asked(server.url, "refuses")
    assert len(server.requests) == 1
