"""The model server at its address: answers, batches, limits, refusals, what it opens."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jsonschema
import psutil
import pytest

from tests.llm.server import (
    ADAPTER,
    BATCH,
    LONGEST,
    MARKS,
    MODEL,
    QUEUE,
    ModelServer,
    body,
    problem,
)

pytestmark = MARKS

PARTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "parts": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "maxLength": 60},
                    "citations": {
                        "type": "array",
                        "items": {"type": "integer", "enum": [1, 2]},
                        "maxItems": 2,
                    },
                },
                "required": ["text", "citations"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["parts"],
    "additionalProperties": False,
}
LONG = {"max_tokens": 150, "ignore_eos": True}


def test_answers_keep_to_a_schema(model_server: ModelServer) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "draft", "schema": PARTS}}
    answer = model_server.chat(
        "[1] Le prêt finance les travaux. [2] L'étude est gratuite.\nQui finance les travaux ?",
        max_tokens=300,
        response_format=wanted,
    )
    assert answer.status_code == 200, answer.text
    choice = answer.json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    jsonschema.validate(json.loads(choice["message"]["content"]), PARTS)


def test_an_answer_streams(model_server: ModelServer) -> None:
    wanted = body("Count from one to ten.", stream=True, max_tokens=24, ignore_eos=True)
    pieces = []
    with httpx.stream(
        "POST", f"{model_server.url}/chat/completions", json=wanted, timeout=120
    ) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                pieces.append(json.loads(line[6:])["choices"][0]["delta"].get("content"))
    assert len([piece for piece in pieces if piece]) > 3


def test_requests_are_batched_and_a_full_queue_is_said(model_server: ModelServer) -> None:
    """More at once than replica and queue hold: vLLM's own counter, and 503 for the rest."""
    count = BATCH + QUEUE + 12
    most = 0.0
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(model_server.chat, f"Count to {n}.", **LONG) for n in range(count)]
        while not all(one.done() for one in asked):
            most = max(most, model_server.counter("vllm:num_requests_running"))
            time.sleep(0.2)
    answers = [one.result() for one in asked]
    assert most >= 4
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 503}
    assert codes.count(200) >= BATCH + QUEUE
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert "queue is full" in problem(refused)
    assert refused.headers["Retry-After"] == "5"


def test_a_repeated_beginning_comes_from_the_cache(model_server: ModelServer) -> None:
    long = "Voici les pièces du dossier, une à une. " * 40
    model_server.chat(long + "Question une.", max_tokens=1)
    again = model_server.chat(long + "Question deux.", max_tokens=1).json()["usage"]
    assert again["prompt_tokens_details"]["cached_tokens"] > again["prompt_tokens"] / 2


def test_an_adapter_answers_by_its_name(model_server: ModelServer) -> None:
    plain, adapted = (model_server.chat(model=name) for name in (MODEL, ADAPTER))
    assert adapted.status_code == 200, adapted.text
    assert adapted.json()["model"] == ADAPTER
    texts = [answer.json()["choices"][0]["message"]["content"] for answer in (plain, adapted)]
    assert texts[0] != texts[1]
    listed = httpx.get(f"{model_server.url}/models", timeout=30).json()["data"]
    assert {model["id"] for model in listed} == {MODEL, ADAPTER}


def test_what_cannot_be_answered_is_refused_in_words(model_server: ModelServer) -> None:
    unknown = model_server.chat(model="inconnu")
    assert unknown.status_code == 404
    assert "'inconnu'" in problem(unknown)
    assert ADAPTER in problem(unknown)
    oversize = model_server.chat("mot " * 3 * LONGEST)
    assert oversize.status_code == 400
    assert f"maximum context length is {LONGEST}" in problem(oversize)
    malformed = model_server.chat(max_tokens="beaucoup")
    assert malformed.status_code == 400
    assert "max_tokens" in problem(malformed)


def test_nothing_listens_beyond_this_machine(model_server: ModelServer) -> None:
    addresses = set()
    for process in [psutil.Process(model_server.process.pid), *model_server.processes()]:
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                addresses.add(connection.laddr.ip)
    assert addresses
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.parametrize("secret", ["Valombre-les-Bains"])
def test_no_text_of_a_request_is_logged(model_server: ModelServer, secret: str) -> None:
    model_server.chat(f"La commune de {secret} demande un prêt.")
    model_server.chat(f"La commune de {secret}.", model="inconnu")
    model_server.chat(f"La commune de {secret}. " * LONGEST)
    assert secret not in model_server.log()
