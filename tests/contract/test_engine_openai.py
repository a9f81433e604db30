"""The openai engine against a real HTTP server: what it sends, and what it makes of answers."""

from __future__ import annotations

import json

import pytest

from services.generate.answer import EngineAnswer, EngineFailed
from services.generate.fallback import FallbackEngine
from services.generate.verifying import Verifier
from shared.delivery import Unavailable
from tests.fakes.drafting import (
    STUDY,
    WORKS,
    NoScorer,
    WordScorer,
    engine_at,
    extractive,
    passage,
    request,
)
from tests.fakes.endpoint import Reply, endpoint, parts, refusal

GOOD = parts(("L'étude préalable est cofinancée à hauteur de 50 %.", [1]))
PASSAGES = [passage(STUDY), passage(WORKS, "travaux")]


async def write(url: str, timeout: float = 5.0) -> EngineAnswer:
    engine = engine_at(url, timeout=timeout)
    await engine.start()
    try:
        return await engine.write(request(PASSAGES))
    finally:
        await engine.stop()


async def test_sends_the_messages_of_the_request_and_the_schema() -> None:
    with endpoint(GOOD) as server:
        answer = await write(server.url)
    sent = server.requests[0]
    assert sent["messages"] == [message.model_dump() for message in answer.messages]
    assert sent["response_format"]["type"] == "json_schema"
    assert sent["max_tokens"] == 800
    assert "https://" not in json.dumps(sent["messages"])


async def test_numbers_of_the_prompt_become_passages_given() -> None:
    order = sorted(range(2), key=lambda i: str(PASSAGES[i].passage_id))
    study = order.index(0) + 1
    with endpoint(parts(("L'étude préalable est cofinancée à 50 %.", [study, 9]))) as server:
        answer = await write(server.url)
    verified = await Verifier(WordScorer()).verify(request(PASSAGES), answer, engine_at("").write)
    assert verified.parts[0].citations == (0,)
    assert [check.passed for check in verified.checks if check.name == "citations"] == [False]


@pytest.mark.parametrize("reason", ["out-of-scope", "unsupported"])
async def test_a_refusal_is_an_answer(reason: str) -> None:
    with endpoint(refusal(reason)) as server:
        answer = await write(server.url)
    assert answer.refusal is not None
    assert answer.refusal.reason == reason


async def test_server_errors_are_tried_again() -> None:
    with endpoint(Reply(status=500), Reply(status=503), GOOD) as server:
        answer = await write(server.url)
    assert answer.parts
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_an_endpoint_that_keeps_failing_is_unavailable(status: int) -> None:
    with endpoint(Reply(status=status)) as server:
        with pytest.raises(Unavailable, match=str(status)):
            await write(server.url)
        assert len(server.requests) == 3


async def test_a_slow_endpoint_is_unavailable() -> None:
    slow = Reply(content="{}", delay=0.5)
    with endpoint(slow) as server, pytest.raises(Unavailable, match=r"0\.1 s"):
        await write(server.url, timeout=0.1)


async def test_a_dead_address_is_unavailable() -> None:
    with endpoint(GOOD) as server:
        url = server.url
    with pytest.raises(Unavailable, match="injoignable"):
        await write(url)


@pytest.mark.parametrize(
    "bad",
    [
        Reply(content="Bonjour, voici la réponse."),
        Reply(content='{"parts": "oui"}'),
        Reply(content='{"parts": []}'),
        Reply(content='{"parts": [{"text": "L\'étu', finish_reason="length"),
        Reply(content='{"parts": []}', finish_reason="content_filter"),
        Reply(content='{"parts": []}', finish_reason="abort"),
        Reply(content=""),
        Reply(body=b"<html>not json</html>"),
        Reply(body=b'{"choices": []}'),
        parts(*[("La même phrase revient encore et encore ici.", [1])] * 8),
    ],
)
async def test_an_unusable_answer_is_asked_for_once_more(bad: Reply) -> None:
    with endpoint(bad, GOOD) as server:
        answer = await write(server.url)
        assert answer.parts
        assert len(server.requests) == 2
    with endpoint(bad) as server:
        with pytest.raises(EngineFailed):
            await write(server.url)
        assert len(server.requests) == 2


async def test_a_fenced_answer_is_read() -> None:
    with endpoint(Reply(content=f"```json\n{GOOD.content}\n```")) as server:
        assert (await write(server.url)).parts


async def test_the_probe_generates_a_token_and_is_believed_for_a_while() -> None:
    with endpoint(Reply(content="a", finish_reason="length")) as server:
        engine = engine_at(server.url)
        await engine.start()
        await engine.ready()
        await engine.ready()
        await engine.stop()
        assert [sent["max_tokens"] for sent in server.requests] == [1]
    with endpoint(Reply(status=500)) as server:
        engine = engine_at(server.url)
        await engine.start()
        with pytest.raises(Unavailable):
            await engine.ready()
        await engine.stop()


@pytest.mark.parametrize(
    ("reply", "why"),
    [(Reply(status=503), "endpoint down"), (Reply(content="?"), "endpoint answer unusable")],
)
async def test_the_fallback_steps_in_and_says_so(reply: Reply, why: str) -> None:
    with endpoint(reply) as server:
        engine = FallbackEngine(engine_at(server.url), extractive())
        await engine.start()
        answer = await engine.write(request(PASSAGES))
        await engine.stop()
    assert engine.name == "openai"
    assert answer.engine == f"extractive ({why})"
    assert answer.parts
    assert [check.name for check in answer.checks if not check.passed] == ["engine"]


async def test_without_sentence_vectors_words_choose_and_a_check_says_so() -> None:
    engine = extractive(NoScorer())
    await engine.start()
    answer = await engine.write(request(PASSAGES))
    assert "50 %" in answer.parts[0].text
    assert [check.name for check in answer.checks if not check.passed] == ["sentence-vectors"]
