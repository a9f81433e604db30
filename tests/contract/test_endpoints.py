"""Several addresses, bounded requests, streams that break: against real HTTP servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.generate.adapters.endpoints import ChatClient, Endpoint
from services.generate.answer import DraftRequest, EngineFailed, Refused
from shared.delivery import Unavailable
from shared.records import Message
from tests.fakes.drafting import STUDY, engine_at, mail, passage, request
from tests.fakes.endpoint import Reply, endpoint, parts, picks

ASKED = [Message(role="user", content="Bonjour ?")]
GOOD = Reply("Une réponse assez longue pour plusieurs morceaux.")


async def client_of(*urls: str, **settings: object) -> ChatClient:
    values = {"model": "m", "timeout": 5.0, "backoff": (0.01, 0.01)} | settings
    client = ChatClient(Endpoint(url=", ".join(urls), **values))  # type: ignore[arg-type]  # a test's own mix
    await client.start()
    return client


async def test_requests_are_spread_over_the_addresses_and_bounded() -> None:
    slow = Reply("Oui.", delay=0.1)
    with endpoint(slow) as one, endpoint(slow) as two:
        client = await client_of(one.url, two.url, in_flight=4)
        await asyncio.gather(*(client.ask(ASKED) for _ in range(12)))
        await client.stop()
    assert len(one.requests) + len(two.requests) == 12
    for server in (one, two):  # a server may see a request's end a moment after its asker
        assert 4 <= len(server.requests) <= 8
        assert 1 <= server.busiest <= 3


@pytest.mark.parametrize(
    "broken",
    [
        Reply(status=500),
        Reply(status=503),
        Reply(status=429),
        Reply("Une réponse qui sera coupée.", cut=True),
        Reply("Une réponse qui échoue.", trouble="EngineDeadError"),
        Reply("trop tard", delay=2),
    ],
)
async def test_what_one_server_fails_another_answers(broken: Reply) -> None:
    with endpoint(broken) as bad, endpoint(GOOD) as good:
        client = await client_of(bad.url, good.url, timeout=5 if broken.delay == 0 else 1)
        assert await client.ask(ASKED) == GOOD.content
        for _ in range(3):  # the one that failed is not asked first again
            assert await client.ask(ASKED) == GOOD.content
        await client.stop()
    assert len(bad.requests) == 1
    assert len(good.requests) == 4


async def test_a_dead_address_is_passed_over() -> None:
    with endpoint(GOOD) as gone:
        dead = gone.url
    with endpoint(GOOD) as good:
        client = await client_of(dead, good.url)
        assert await client.ask(ASKED) == GOOD.content
        await client.ready()
        await client.stop()


@pytest.mark.parametrize(
    ("broken", "said", "times"),
    [
        (Reply("Une réponse qui sera coupée.", cut=True), "injoignable|coupé", 3),
        (Reply("Une réponse qui échoue.", trouble="EngineDeadError"), "EngineDeadError", 3),
        (Reply(status=404, said="The model `x` does not exist."), "`x` does not exist", 3),
        # Silence cost a whole timeout: the next try is somebody else's.
        (Reply("lent", pause=0.6), "0.3 s", 1),
    ],
)
async def test_the_only_server_is_tried_a_bounded_number_of_times(
    broken: Reply, said: str, times: int
) -> None:
    with endpoint(broken) as server:
        client = await client_of(server.url, timeout=0.3 if broken.pause else 5)
        with pytest.raises(Unavailable, match=said):
            await client.ask(ASKED)
        await client.stop()
    assert len(server.requests) == times


async def test_a_silent_server_costs_one_timeout_and_is_tried_again_by_one_request() -> None:
    with endpoint(Reply("lent", delay=4.0), Reply("lent", delay=4.0), GOOD) as server:
        client = await client_of(server.url, timeout=2.0)
        for _ in range(3):  # the first waits, the others are told at once
            with pytest.raises(Unavailable):
                await client.ask(ASKED)
        assert len(server.requests) == 1
        await asyncio.sleep(0.5)
        tries = await asyncio.gather(*(client.ask(ASKED) for _ in range(4)), return_exceptions=True)
        assert all(isinstance(error, Unavailable) for error in tries)
        assert len(server.requests) == 2
        await asyncio.sleep(0.5)
        assert await client.ask(ASKED) == GOOD.content
        assert await client.ask(ASKED) == GOOD.content
        await client.stop()


async def test_a_silent_server_takes_no_tries_from_the_others() -> None:
    with (
        endpoint(Reply("lent", delay=6.0)) as silent,
        endpoint(GOOD, Reply(status=503), GOOD) as other,
    ):
        client = await client_of(silent.url, other.url, timeout=4.0)
        for _ in range(2):  # the second finds the one resting, and the other busy for a moment
            assert await client.ask(ASKED) == GOOD.content
        await client.stop()
    assert len(silent.requests) == 1
    assert len(other.requests) == 3


async def test_a_long_answer_that_comes_is_no_timeout() -> None:
    with endpoint(Reply("mot " * 60, pause=0.06)) as server:
        client = await client_of(server.url, timeout=0.4)
        assert (await client.ask(ASKED)).startswith("mot")
        await client.stop()


@pytest.mark.parametrize("status", [400, 422])
async def test_a_prompt_that_is_too_long_fails_at_once_in_the_servers_words(status: int) -> None:
    said = "This model's maximum context length is 2048 tokens. However, you requested 3100."
    with endpoint(Reply(status=status, said=said)) as server:
        engine = engine_at(server.url)
        await engine.start()
        with pytest.raises(Refused, match="maximum context length is 2048"):
            await engine.write(request([passage(STUDY)]))
        await engine.stop()
        assert len(server.requests) == 1


async def test_an_answer_cut_at_its_limit_says_what_to_change() -> None:
    with endpoint(Reply("Une répon", finish_reason="length")) as server:
        client = await client_of(server.url)
        with pytest.raises(EngineFailed, match="max_tokens = 7"):
            await client.ask(ASKED, max_tokens=7)
        await client.stop()


# -- a draft in progress ---------------------------------------------------------------------


class Reader:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.ended = 0

    async def writing(self, request: DraftRequest, engine: str, text: Callable[[], str]) -> None:
        self.texts.append(text())

    async def done(self, request: DraftRequest, engine: str) -> None:
        self.ended += 1


async def test_a_watcher_reads_along() -> None:
    said = "Le plafond de l'aide est de 40 000 € par projet."
    reader = Reader()
    with endpoint(Reply(content="?"), parts((said, [1]))) as server:
        engine = engine_at(server.url, watcher=reader)
        await engine.start()
        await engine.write(request([passage(STUDY)]))
        await engine.stop()
    assert reader.texts[-1] == said
    assert all(said.startswith(text) for text in reader.texts)
    assert len(set(reader.texts)) > 2
    assert reader.ended == 1


async def test_of_a_choice_a_watcher_learns_the_question() -> None:
    reader = Reader()
    with endpoint(picks(q1=[1], q2=[1])) as server:
        engine = engine_at(server.url, "select", watcher=reader)
        await engine.start()
        await engine.write(request([passage(STUDY)], mail(("Une aide ?", "Quel plafond ?"))))
        await engine.stop()
    assert reader.texts[-1] == "Choix des phrases, question 2 sur 2"


def test_a_key_is_not_shown() -> None:
    assert "geheim" not in repr(Endpoint(url="http://h/v1", model="m", api_key="geheim"))
