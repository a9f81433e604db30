"""A chat model behind an OpenAI-compatible endpoint as an engine, in the form that suits it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import structlog

from services.generate import checks, parsing, prompting, schemas
from services.generate.adapters.endpoints import ChatClient, Heard
from services.generate.adapters.prompt_files import PromptFiles
from services.generate.answer import (
    DraftRequest,
    EngineAnswer,
    EngineFailed,
    Refusal,
    Refused,
)
from services.generate.prompting import Layout
from services.generate.ranking import SentenceScorer, rank
from shared.identity import short_hash
from shared.model_settings import ModelProfile
from shared.records import Check

log = structlog.get_logger()


class Watcher(Protocol):
    """Told how far a draft is; must not raise, and may leave out what comes too fast."""

    async def writing(
        self, request: DraftRequest, engine: str, text: Callable[[], str]
    ) -> None: ...

    async def done(self, request: DraftRequest, engine: str) -> None: ...


class OpenAiEngine:
    """Asks a model in the form of its profile; ``scorer`` preselects sentences for ``select``."""

    name = "openai"

    def __init__(
        self,
        client: ChatClient,
        profile: ModelProfile,
        scorer: SentenceScorer,
        watcher: Watcher | None = None,
    ) -> None:
        self._client = client
        self._profile = profile
        self._scorer = scorer
        self._watcher = watcher
        self._prompts = PromptFiles(profile.form, examples=profile.examples)
        self.prompt = self._prompts.fingerprint
        # Not the address, which may change without changing drafts.
        self.fingerprint = f"{client.model}-{short_hash(profile.model_dump_json())}"

    async def start(self) -> None:
        """Open the clients; the endpoint itself may still be down."""
        await self._client.start()

    async def stop(self) -> None:
        """Close the connections."""
        await self._client.stop()

    async def ready(self) -> None:
        """Raises ``Unavailable`` unless the endpoint generates a token."""
        await self._client.ready()

    async def write(self, request: DraftRequest) -> EngineAnswer:
        """The model's parts or refusal. Raises ``Unavailable`` or ``EngineFailed``."""
        self._client.check_started()
        layout, found = await self._layout(request)
        if layout.form == "select" and not layout.shown:
            refusal = Refusal("unsupported")
            return EngineAnswer(self.name, self.fingerprint, refusal=refusal, checks=found)
        try:
            return await self._tried(layout, found)
        finally:
            if self._watcher:
                await self._watcher.done(request, self.name)

    async def _tried(self, layout: Layout, found: tuple[Check, ...]) -> EngineAnswer:
        """One answer; an unusable one is asked for once more."""
        try:
            return await self._answer(layout, found, seed=0)
        except Refused:
            raise
        except EngineFailed as error:
            log.warning("engine answer unusable", why=str(error))
            return await self._answer(layout, found, seed=1)

    async def _layout(self, request: DraftRequest) -> tuple[Layout, tuple[Check, ...]]:
        tokens = self._profile.context_tokens
        if self._profile.form != "select":
            return prompting.of_passages(request, self._profile.form, tokens), ()
        ranking = await rank(request, self._scorer)
        return prompting.of_sentences(request, ranking, tokens), ranking.checks

    async def _answer(self, layout: Layout, found: tuple[Check, ...], seed: int) -> EngineAnswer:
        messages = self._prompts.messages(layout)
        raw = await self._client.ask(
            messages,
            self._heard(layout),
            max_tokens=self._profile.max_tokens,
            # A second try at the same temperature would fail the same way.
            temperature=self._profile.temperature + 0.3 * seed,
            seed=seed,
            **_response_format(layout),
        )
        read = parsing.read(raw, layout)
        if checks.degenerate([part.text for part in read.parts if not part.connective]):
            raise EngineFailed("réponse qui se répète")
        return EngineAnswer(
            engine=self.name,
            model=self.fingerprint,
            parts=read.parts,
            refusal=read.refusal,
            unanswered=read.unanswered,
            checks=found,
            raw=raw,
            messages=messages,
            prompt=self.prompt,
        )

    def _heard(self, layout: Layout) -> Heard | None:
        watcher = self._watcher
        if watcher is None:
            return None

        async def heard(raw: str) -> None:
            await watcher.writing(layout.request, self.name, lambda: parsing.so_far(raw, layout))

        return heard


def _response_format(layout: Layout) -> dict[str, Any]:
    schema = schemas.of(layout)
    if schema is None:
        return {}
    named = {"name": "draft", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
