"""What is seen of a request to a language model: its span and figures, never its text.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.trace import Span

from shared import telemetry, tracing

_OPTIONS = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "seed": "gen_ai.request.seed",
}
_USAGE = {"prompt_tokens": "input", "completion_tokens": "output"}


class Seen:
    """What the chunks of one answer say of it."""

    def __init__(self, span: Span, model: str) -> None:
        self._span = span
        self._model = model
        self._began = time.monotonic()
        self._first = False
        self._tokens: dict[str, int] = {}

    def chunk(self, chunk: Any) -> None:
        """Take note of a chunk; the library checks nothing of what a server sends."""
        if not self._first and chunk.choices:
            self._first = True
            waited = time.monotonic() - self._began
            telemetry.MODEL_FIRST.labels(self._model).observe(waited)
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", waited)
            self._note("gen_ai.response.id", chunk.id)
            self._note("gen_ai.response.model", chunk.model)
        for choice in chunk.choices or ():
            if isinstance(choice.finish_reason, str):
                self._span.set_attribute("gen_ai.response.finish_reasons", [choice.finish_reason])
        for name, kind in _USAGE.items():
            count = getattr(getattr(chunk, "usage", None), name, None)
            if isinstance(count, int):  # some servers count on in each chunk: the last one holds
                self._tokens[kind] = count

    def end(self, outcome: str) -> None:
        """The request ended, well or not."""
        telemetry.MODEL_SECONDS.labels(self._model, outcome).observe(time.monotonic() - self._began)
        for kind, count in self._tokens.items():
            telemetry.MODEL_TOKENS.labels(self._model, kind).inc(count)
            self._span.set_attribute(f"gen_ai.usage.{kind}_tokens", count)

    def _note(self, name: str, value: object) -> None:
        if isinstance(value, str):
            self._span.set_attribute(name, value)


def headers() -> dict[str, str]:
    """By which a server that traces itself (vLLM can) continues our trace."""
    parent = tracing.traceparent()
    return {"traceparent": parent} if parent else {}


@contextmanager
def chat(model: str, url: str, options: Mapping[str, Any]) -> Iterator[Seen]:
    """One chat request to the server at ``url``; ``options`` are those of the request."""
    address = urlsplit(url)
    attributes: dict[str, str | int | float] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",  # the protocol that it speaks
        "gen_ai.request.model": model,
        "gen_ai.output.type": "json" if "response_format" in options else "text",
        "server.address": address.hostname or "",
    }
    if address.port:
        attributes["server.port"] = address.port
    attributes |= {told: options[name] for name, told in _OPTIONS.items() if name in options}
    with tracing.calling(f"chat {model}", attributes) as span:
        seen = Seen(span, model)
        try:
            yield seen
        except BaseException as error:
            seen.end(type(error).__name__)
            raise
        seen.end("answered")
