"""The dispatcher: order of results, urgency, shared batches, failures, cancellation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from services.embed.dispatch import Dispatcher, Tokens, Vectors
from tests.fakes.encoder import HashEncoder

PASSAGES = [f"passage {n} " + "mot " * (n % 40) for n in range(90)]


class Gated(HashEncoder):
    """Encodes only while `gate` is open, and refuses texts with the word `poison`."""

    def __init__(self, batch_tokens: int = 64) -> None:
        super().__init__(batch_tokens)
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.held: list[Tokens] = []
        self.poison = self.tokenise(["poison"])[0][1]

    def encode(self, batch: Sequence[Tokens]) -> Vectors:
        self.held = list(batch)
        self.entered.set()
        assert self.gate.wait(30)
        self.held = []
        if any(self.poison in tokens for tokens in batch):
            raise RuntimeError("poison")
        return super().encode(batch)


async def until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not happen in 10 s")


async def test_vectors_come_in_the_order_of_the_texts() -> None:
    encoder = HashEncoder(batch_tokens=100)
    expected = np.stack([encoder.encode([t])[0] for t in encoder.tokenise(PASSAGES)])
    encoder.batches.clear()
    with ThreadPoolExecutor(1) as thread:
        async with Dispatcher(encoder, thread) as dispatcher:
            found = await dispatcher.encode(PASSAGES, urgent=False)
            nothing = await dispatcher.encode([], urgent=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert nothing.shape == (0, 384)
    assert all(len(b) * max(map(len, b)) <= 100 for b in encoder.batches if len(b) > 1)


async def test_an_urgent_text_waits_for_one_batch_only() -> None:
    encoder = Gated()
    with ThreadPoolExecutor(1) as thread:
        async with Dispatcher(encoder, thread) as dispatcher:
            document = asyncio.create_task(dispatcher.encode(PASSAGES, urgent=False))
            await until(encoder.entered.is_set)
            question = asyncio.create_task(dispatcher.encode(["la question"], urgent=True))
            await until(lambda: dispatcher._urgent)
            encoder.gate.set()
            await asyncio.gather(document, question)
    urgent = encoder.tokenise(["la question"])
    assert urgent in encoder.batches[:2]
    assert len(encoder.batches) > 10


async def test_questions_that_wait_share_a_batch() -> None:
    encoder = Gated(batch_tokens=1000)
    with ThreadPoolExecutor(1) as thread:
        async with Dispatcher(encoder, thread) as dispatcher:
            asked = [
                asyncio.create_task(dispatcher.encode([f"question {n}"], urgent=True))
                for n in range(20)
            ]
            await until(lambda: len(dispatcher._urgent) + len(encoder.held) == 20)
            encoder.gate.set()
            await asyncio.gather(*asked)
    assert len(encoder.batches) <= 2


async def test_a_failing_batch_fails_its_requests_and_no_other() -> None:
    encoder = Gated(batch_tokens=1)  # one text a batch
    encoder.gate.set()
    with ThreadPoolExecutor(1) as thread:
        async with Dispatcher(encoder, thread) as dispatcher:
            bad = asyncio.create_task(dispatcher.encode(["a poison"], urgent=True))
            good = asyncio.create_task(dispatcher.encode(["a question"], urgent=True))
            with pytest.raises(RuntimeError, match="poison"):
                await bad
            assert (await good).shape == (1, 384)


async def test_texts_of_a_cancelled_request_are_not_encoded() -> None:
    encoder = Gated()
    with ThreadPoolExecutor(1) as thread:
        async with Dispatcher(encoder, thread) as dispatcher:
            first = asyncio.create_task(dispatcher.encode(["une question"], urgent=True))
            await until(encoder.entered.is_set)
            given_up = asyncio.create_task(dispatcher.encode(PASSAGES, urgent=False))
            await until(lambda: dispatcher._patient)
            given_up.cancel()
            encoder.gate.set()
            await first
            await dispatcher.encode(["encore une"], urgent=True)
    assert len(encoder.batches) <= 2


async def test_closing_gives_up_what_waits() -> None:
    encoder = Gated()
    with ThreadPoolExecutor(1) as thread:
        async with Dispatcher(encoder, thread) as dispatcher:
            waiting = asyncio.create_task(dispatcher.encode(PASSAGES, urgent=False))
            await until(lambda: dispatcher._patient)
        encoder.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
