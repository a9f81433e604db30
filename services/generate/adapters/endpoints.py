"""Chat with OpenAI-compatible servers (vLLM, TGI, Ollama, llama.cpp…), one or several alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2  # openai speaks through it, and lets its errors through while a stream is read
import openai
import structlog
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from services.generate.adapters import genai
from services.generate.answer import EngineFailed, Refused
from shared.delivery import Unavailable
from shared.records import Message

log = structlog.get_logger()

Heard = Callable[[str], Awaitable[None]]
"""Gets the text so far, at each token; must not raise."""

_FRESH = 15.0
"""Seconds for which a sign of life of an endpoint is believed."""
_SHY = 10.0
"""Seconds for which an endpoint that failed is asked last."""
_REST = 0.25
"""Of the timeout: a server that gave no sign is not asked so long; then one request tries it."""
_SAID = 300
"""Characters of a server's own message that are passed on."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask: ``url`` is one address that ends in ``/v1`` or several separated by commas.

    ``timeout``: seconds without any sign of an answer, so a long answer that comes is none;
    ``backoff``: seconds between tries once every address was tried; ``in_flight``: requests at
    once, over all addresses.
    """

    url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    backoff: tuple[float, ...] = (0.5, 2.0)
    in_flight: int = 16

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses, each once."""
        found = (part.strip().rstrip("/") for part in self.url.split(","))
        return tuple(dict.fromkeys(part for part in found if part))


class Silent(Unavailable):
    """No sign within the timeout: asking the same server again would wait as long again."""


@dataclass(slots=True, eq=False)
class _Server:
    """One address with what is known of it; times are monotonic seconds."""

    url: str
    client: AsyncOpenAI
    rest: float
    """Seconds after a silence."""
    in_flight: int = 0
    counts: bool = True
    """Whether it tells tokens when it is asked to."""
    asked: float = field(default=float("-inf"))
    failed: float = field(default=float("-inf"))
    silent: bool = False
    """Whether its last answer was none within the timeout."""

    def rests(self, now: float) -> bool:
        """Whether a request would only wait as long as those before it did."""
        return self.silent and (self.in_flight > 0 or now - self.failed < self.rest)


class ChatClient:
    """Spreads requests over the servers of ``endpoint`` and tries elsewhere when one fails."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._servers: list[_Server] = []
        self._slots = asyncio.Semaphore(endpoint.in_flight)
        self._alive = float("-inf")

    @property
    def model(self) -> str:
        """What the servers call it."""
        return self._endpoint.model

    async def start(self) -> None:
        """Open the clients; the servers themselves may still be down."""
        if not self._servers:
            rest = self._endpoint.timeout * _REST
            self._servers = [_Server(url, self._client(url), rest) for url in self._endpoint.urls]

    async def stop(self) -> None:
        """Close the connections."""
        servers, self._servers = self._servers, []
        for server in servers:
            await server.client.close()

    async def ready(self) -> None:
        """Raises ``Unavailable`` unless a server generates a token.

        Listing models would not do: it answers while the engine behind is dead.
        """
        if time.monotonic() - self._alive < _FRESH:
            return
        probe = [Message(role="user", content=".")]
        error: Unavailable | None = None
        self.check_started()
        for server in self._servers:
            try:
                await self._stream(server, probe, None, {"max_tokens": 1})
            except Unavailable as failure:
                error = failure
            else:
                return
        raise error or Unavailable("no address of a model server")

    async def ask(
        self, messages: Sequence[Message], heard: Heard | None = None, **options: Any
    ) -> str:
        """The whole text of one answer; ``options`` go into the request as they are.

        Raises ``Unavailable`` when no server answers after bounded tries, ``Refused`` for a
        request that no repetition helps, ``EngineFailed`` for an answer empty or cut off.
        """
        self.check_started()
        tried: set[_Server] = set()
        pauses = iter(self._endpoint.backoff)
        hope = False  # of another try: nobody waits twice for a silent server
        while True:
            try:
                text, reason = await self._once(tried, messages, heard, options)
            except Unavailable as error:
                log.warning("endpoint unavailable", why=str(error))
                hope = hope or not isinstance(error, Silent)
                if len(tried) < len(self._servers):
                    continue
                pause = next(pauses, None) if hope else None
                if pause is None:
                    raise
                tried.clear()
                hope = False
                await asyncio.sleep(pause)
            else:
                return _whole(text, reason, options)

    async def _once(
        self,
        tried: set[_Server],
        messages: Sequence[Message],
        heard: Heard | None,
        options: dict[str, Any],
    ) -> tuple[str, str | None]:
        async with self._slots:
            server = self._least_busy(tried)
            tried.add(server)
            if server.rests(time.monotonic()):
                raise Silent(
                    "le serveur du modèle ne donnait plus signe ; il est réessayé sous peu"
                )
            server.in_flight += 1
            server.asked = time.monotonic()
            try:
                return await self._stream(server, messages, heard, options)
            except Unavailable as error:
                server.failed, server.silent = time.monotonic(), isinstance(error, Silent)
                raise
            finally:
                server.in_flight -= 1

    def _least_busy(self, tried: set[_Server]) -> _Server:
        now = time.monotonic()
        left = [server for server in self._servers if server not in tried]
        return min(left, key=lambda s: (s.rests(now), now - s.failed < _SHY, s.in_flight, s.asked))

    def check_started(self) -> None:
        """Raises ``RuntimeError`` outside start…stop."""
        if not self._servers:
            raise RuntimeError("the model's client is not started")

    async def _stream(
        self,
        server: _Server,
        messages: Sequence[Message],
        heard: Heard | None,
        options: dict[str, Any],
    ) -> tuple[str, str | None]:
        """The answer's text and why it ended. Raises ``Unavailable``, ``EngineFailed``."""
        text, reason, any_sign = "", None, False
        with genai.chat(self._endpoint.model, server.url, options) as seen:
            with _in_words(self._endpoint):
                stream = await self._open(server, messages, options)
                async with stream:  # a reader that leaves ends the generation too
                    async for chunk in stream:
                        self._alive, any_sign, server.silent = time.monotonic(), True, False
                        seen.chunk(chunk)
                        piece, reason = _read(chunk, reason)
                        text += piece
                        if piece and heard:
                            await heard(text)
            if not any_sign:
                raise EngineFailed("le serveur n'a pas renvoyé de réponse de discussion")
            if reason is None:
                raise Unavailable("le serveur du modèle a coupé sa réponse")
        return text, reason

    async def _open(
        self, server: _Server, messages: Sequence[Message], options: dict[str, Any]
    ) -> AsyncStream[ChatCompletionChunk]:
        """Ask; without a count of tokens where the server does not know that wish."""
        sent = [message.model_dump() for message in messages]
        wish: dict[str, Any] = {"extra_headers": genai.headers()}
        if server.counts:
            wish["stream_options"] = {"include_usage": True}
        try:
            stream: AsyncStream[ChatCompletionChunk] = await server.client.chat.completions.create(
                model=self._endpoint.model,
                messages=cast("list[ChatCompletionMessageParam]", sent),
                stream=True,
                **(options | wish),
            )
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if not (server.counts and "stream_options" in str(error)):
                raise
            server.counts = False
            return await self._open(server, messages, options)
        return stream

    def _client(self, url: str) -> AsyncOpenAI:
        return AsyncOpenAI(
            base_url=url,
            api_key=self._endpoint.api_key or "none",
            timeout=self._endpoint.timeout,
            max_retries=0,  # ours are bounded and tell a dead endpoint from a bad request
        )


def _read(chunk: Any, reason: str | None) -> tuple[str, str | None]:
    """The chunk's text and the reason of the end, if known by now; the library checks nothing."""
    if not chunk.choices:
        return "", reason
    choice = chunk.choices[0]
    piece = choice.delta.content if choice.delta else None
    return piece or "", choice.finish_reason or reason


def _whole(text: str, reason: str | None, options: dict[str, Any]) -> str:
    if reason == "length":
        most = options.get("max_tokens")
        raise EngineFailed(f"réponse coupée à max_tokens = {most} : allongez-le dans le profil")
    if reason != "stop":
        raise EngineFailed(f"réponse interrompue ({reason})")
    if not text.strip():
        raise EngineFailed("réponse vide")
    return text


@contextmanager
def _in_words(endpoint: Endpoint) -> Iterator[None]:
    """The library's errors as ours, with what the server said."""
    try:
        yield
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        status = error.status_code
        raise Refused(f"demande refusée par le serveur ({status}){_said(error)}") from error
    except openai.APIStatusError as error:
        raise Unavailable(
            f"le serveur du modèle répond {error.status_code}{_said(error)}"
        ) from error
    except (openai.APITimeoutError, httpx2.TimeoutException) as error:
        raise Silent(f"aucun signe du serveur en {endpoint.timeout:g} s") from error
    except (openai.APIConnectionError, httpx2.TransportError) as error:
        raise Unavailable("le serveur du modèle est injoignable") from error
    except openai.APIError as error:  # told within the stream: the engine behind is in trouble
        raise Unavailable(f"le serveur du modèle échoue{_said(error)}") from error
    except (openai.OpenAIError, ValueError, AttributeError, TypeError, LookupError) as error:
        # The library takes JSON of any form for an answer, and shows it when it is used.
        raise EngineFailed("réponse illisible du serveur du modèle") from error


def _said(error: openai.APIError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    told = message if isinstance(message, str) else error.message
    return f" : {' '.join(told.split())[:_SAID]}"
