"""Any OpenAI-compatible endpoint (vLLM, TGI, Ollama, llama.cpp…) as an engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import openai
import structlog
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from services.generate import checks, parsing, prompting
from services.generate.adapters.prompt_files import PromptFiles
from services.generate.answer import DraftRequest, EngineAnswer, EngineFailed
from shared.delivery import Unavailable
from shared.identity import short_hash
from shared.records import Message

log = structlog.get_logger()

_TRIES_AT_OUTPUT = 2
"""How often an unusable answer is asked for again, once with another seed."""
_FRESH = 15.0
"""Seconds for which a successful probe is believed."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to ask; ``timeout`` and ``backoff`` in seconds, ``url`` ends in ``/v1``."""

    url: str
    model: str
    api_key: str | None = None
    timeout: float = 120.0
    max_tokens: int = 800
    temperature: float = 0.1
    backoff: tuple[float, ...] = (0.5, 2.0)

    @property
    def fingerprint(self) -> str:
        """Model and sampling; not the address, which may change without changing drafts."""
        return f"{self.model}-{short_hash(str(self.max_tokens), str(self.temperature))}"


class OpenAiEngine:
    """Asks a chat model for JSON under a schema."""

    name = "openai"

    def __init__(self, endpoint: Endpoint, prompts: PromptFiles) -> None:
        self._endpoint = endpoint
        self._prompts = prompts
        self.prompt = prompts.fingerprint
        self.fingerprint = endpoint.fingerprint
        self._client: AsyncOpenAI | None = None
        self._probed = float("-inf")

    async def start(self) -> None:
        """Open the client; the endpoint itself may still be down."""
        self._client = AsyncOpenAI(
            base_url=self._endpoint.url,
            api_key=self._endpoint.api_key or "none",
            timeout=self._endpoint.timeout,
            max_retries=0,  # ours are bounded and tell a dead endpoint from a bad request
        )

    async def stop(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ready(self) -> None:
        """Raises ``Unavailable`` unless the endpoint generates a token.

        Listing models would not do: it answers while the engine behind is dead.
        """
        if time.monotonic() - self._probed < _FRESH:
            return
        await self._once([{"role": "user", "content": "."}], max_tokens=1)
        self._probed = time.monotonic()

    async def write(self, request: DraftRequest) -> EngineAnswer:
        """The model's parts or refusal. Raises ``Unavailable`` or ``EngineFailed``."""
        order = prompting.order(request.passages)
        messages = self._prompts.messages(request)
        for attempt in range(_TRIES_AT_OUTPUT):
            try:
                return await self._answer(messages, order, seed=attempt)
            except EngineFailed as error:
                log.warning("engine answer unusable", why=str(error), attempt=attempt + 1)
                if attempt + 1 == _TRIES_AT_OUTPUT:
                    raise
        raise AssertionError("unreachable")  # pragma: no cover

    async def _answer(
        self, messages: tuple[Message, ...], order: Sequence[int], seed: int
    ) -> EngineAnswer:
        reply = await self._asked(
            [message.model_dump() for message in messages],
            max_tokens=self._endpoint.max_tokens,
            # A second try at the same temperature would fail the same way.
            temperature=self._endpoint.temperature + 0.3 * seed,
            seed=seed,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "draft", "strict": True, "schema": parsing.SCHEMA},
            },
        )
        raw = _content(reply)
        parts, refusal = parsing.read(raw, order)
        if checks.degenerate([part.text for part in parts]):
            raise EngineFailed("réponse qui se répète")
        return EngineAnswer(
            engine=self.name,
            model=self.fingerprint,
            parts=parts,
            refusal=refusal,
            raw=raw,
            messages=messages,
            prompt=self.prompt,
        )

    async def _asked(self, messages: list[dict[str, Any]], **options: Any) -> ChatCompletion:
        """One answer, with pauses while the endpoint is down or busy."""
        for pause in self._endpoint.backoff:
            try:
                return await self._once(messages, **options)
            except Unavailable as error:
                log.warning("endpoint unavailable", why=str(error), pause=pause)
                await asyncio.sleep(pause)
        return await self._once(messages, **options)

    async def _once(self, messages: list[dict[str, Any]], **options: Any) -> ChatCompletion:
        if self._client is None:
            raise RuntimeError("the openai engine is not started")
        try:
            reply = await self._client.chat.completions.create(
                model=self._endpoint.model,
                messages=cast("list[ChatCompletionMessageParam]", messages),
                **options,
            )
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            raise EngineFailed(f"demande refusée par le serveur ({error.status_code})") from error
        except openai.APIStatusError as error:
            raise Unavailable(f"le serveur du modèle répond {error.status_code}") from error
        except openai.APITimeoutError as error:
            raise Unavailable(f"pas de réponse en {self._endpoint.timeout:g} s") from error
        except openai.APIConnectionError as error:
            raise Unavailable("le serveur du modèle est injoignable") from error
        except (openai.OpenAIError, ValueError) as error:
            # The library lets a body that is no JSON through as a plain ValueError.
            raise EngineFailed("réponse illisible du serveur du modèle") from error
        if not isinstance(reply, ChatCompletion):
            raise EngineFailed("le serveur n'a pas renvoyé de réponse de discussion")
        return reply


def _content(reply: ChatCompletion) -> str:
    """The whole text of the answer. Raises ``EngineFailed`` when it was cut off or filtered."""
    if not reply.choices:
        raise EngineFailed("réponse vide")
    choice = reply.choices[0]
    if str(choice.finish_reason) != "stop":
        raise EngineFailed(f"réponse interrompue ({choice.finish_reason})")
    content = choice.message.content
    if not content or not content.strip():
        raise EngineFailed("réponse vide")
    return content
