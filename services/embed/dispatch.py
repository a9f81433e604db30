"""Brings texts to the one model: interactive ones first, many requests in one batch."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.embed.batching import plan

WINDOW = 256
"""How many of the waiting texts are looked at for a batch of like length."""

Vectors = npt.NDArray[np.float32]
Tokens = list[int]


class Encoder(Protocol):
    """The model. `encode` is one forward pass, called by one thread at a time."""

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens; what is beyond is cut off."""

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, padding included; also how long an urgent text may have to wait."""

    @property
    def batch_items(self) -> int: ...

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Token ids of each text; safe beside `encode`."""

    def encode(self, batch: Sequence[Tokens]) -> Vectors:
        """L2-normalised vectors, shape (len(batch), dimension)."""


@dataclass(eq=False, slots=True)
class _Waiting:
    tokens: Tokens
    vector: asyncio.Future[Vectors]


class Dispatcher:
    """Runs batches one after another in `thread`; use as an async context manager.

    A batch holds texts of one urgency from any number of requests, the oldest among them, so
    an urgent text waits for at most the batch that is running, and none waits for ever.
    """

    def __init__(self, encoder: Encoder, thread: Executor) -> None:
        self._encoder = encoder
        self._thread = thread
        self._urgent: deque[_Waiting] = deque()
        self._patient: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Dispatcher":
        self._runner = asyncio.create_task(self._run(), name="encode batches")
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._runner:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        for waiting in (*self._urgent, *self._patient):
            waiting.vector.cancel()

    async def encode(self, texts: Sequence[str], *, urgent: bool) -> Vectors:
        """L2-normalised vectors, shape (len(texts), dimension), in the order of `texts`."""
        if not texts:
            return np.empty((0, self._encoder.dimension), dtype=np.float32)
        tokens = await asyncio.to_thread(self._encoder.tokenise, texts)
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(each, loop.create_future()) for each in tokens]
        (self._urgent if urgent else self._patient).extend(waiting)
        self._wake.set()
        return np.stack(await asyncio.gather(*(each.vector for each in waiting)))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = self._next(self._urgent) or self._next(self._patient)
            if not batch:
                self._wake.clear()
                await self._wake.wait()
                continue
            tokens = [each.tokens for each in batch]
            try:
                vectors = await loop.run_in_executor(self._thread, self._encoder.encode, tokens)
            except Exception as error:  # noqa: BLE001 - the requests of the batch raise it
                _fail(batch, error)
            except asyncio.CancelledError:
                _cancel(batch)
                raise
            else:
                _deliver(batch, vectors)

    def _next(self, queue: deque[_Waiting]) -> list[_Waiting]:
        """Take the batch of the oldest text from `queue`; texts nobody waits for are dropped."""
        window: list[_Waiting] = []
        while queue and len(window) < WINDOW:
            each = queue.popleft()
            if not each.vector.done():
                window.append(each)
        lengths = [len(each.tokens) for each in window]
        batches = plan(lengths, self._encoder.batch_tokens, self._encoder.batch_items)
        chosen = next((set(batch) for batch in batches if 0 in batch), set())
        queue.extendleft(window[n] for n in reversed(range(len(window))) if n not in chosen)
        return [window[index] for index in sorted(chosen)]


def _deliver(batch: Sequence[_Waiting], vectors: Vectors) -> None:
    for each, vector in zip(batch, vectors, strict=True):
        if not each.vector.done():
            each.vector.set_result(vector)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for each in batch:
        if not each.vector.done():
            each.vector.set_exception(error)


def _cancel(batch: Sequence[_Waiting]) -> None:
    for each in batch:
        each.vector.cancel()
