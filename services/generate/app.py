"""Composition root of generate: settings to engines to service."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.generate.adapters.bus_scorer import BusScorer
from services.generate.adapters.bus_watcher import BusWatcher
from services.generate.adapters.endpoints import ChatClient, Endpoint
from services.generate.adapters.extractive_engine import ExtractiveEngine
from services.generate.adapters.openai_engine import OpenAiEngine
from services.generate.adapters.openai_judge import OpenAiJudge
from services.generate.adapters.prompt_files import PromptFiles
from services.generate.answer import Style
from services.generate.fallback import FallbackEngine
from services.generate.grounding import Gate
from services.generate.handlers import register
from services.generate.service import Engine, GenerateService, Rules
from services.generate.verifying import JudgeRules, Verifier
from shared.bus import Bus
from shared.clock import utcnow
from shared.model_settings import Generation
from shared.runtime import Parts, run
from shared.settings import Misconfigured, Settings


class ContradictorySettings(Misconfigured):
    """Settings of ``[generation]`` that cannot both hold; says which and what to do."""


@asynccontextmanager
async def build(settings: Settings, bus: Bus) -> AsyncIterator[Parts]:
    """The engines of the settings, started, and the service that uses them."""
    client = client_of(settings.generation)
    scorer = BusScorer(bus)
    extractive = ExtractiveEngine(scorer, PromptFiles())
    profile = settings.generation.profile()
    model = OpenAiEngine(client, profile, scorer, BusWatcher(bus)) if client else None
    engines = engines_of(settings.generation, extractive, model)
    judge = judge_of(settings.generation, client)
    reading = settings.generation.judge
    service = GenerateService(
        engines=engines,
        default=settings.generation.engine,
        gate=Gate(scorer, settings.generation.min_grounding),
        verifier=Verifier(scorer, judge, JudgeRules(reading.least, reading.repairs)),
        rules=Rules(
            min_evidence=settings.generation.min_evidence,
            signatures={name: box.signature for name, box in settings.mailboxes.items()},
            styles={name: Style(box.length, box.tone) for name, box in settings.mailboxes.items()},
            categories=settings.triage.categories,
        ),
        clock=utcnow,
        timer=time.perf_counter,
    )
    register(bus, service)
    async with AsyncExitStack() as stack:
        for engine in engines.values():
            await engine.start()
            stack.push_async_callback(engine.stop)
        if judge is not None:
            await judge.start()
            stack.push_async_callback(judge.stop)
        # With a fallback, drafts go on while the endpoint is down: it is not waited for.
        waited = model is not None and "openai" in engines and not settings.generation.fallback
        yield Parts(needs={"endpoint": model.ready} if model and waited else {})


def engines_of(
    generation: Generation, extractive: Engine, model: Engine | None
) -> dict[str, Engine]:
    """Engines by the name that settings and requests use."""
    engines: dict[str, Engine] = {"extractive": extractive}
    if model is not None:
        engines["openai"] = FallbackEngine(model, extractive) if generation.fallback else model
    return engines


def client_of(generation: Generation) -> ChatClient | None:
    """One for engine and judge: ``in_flight`` bounds the requests of both together."""
    endpoint = endpoint_of(generation)
    return ChatClient(endpoint) if endpoint else None


def judge_of(generation: Generation, client: ChatClient | None) -> OpenAiJudge | None:
    """The judge of the settings, if any. Raises ``ContradictorySettings``."""
    if not generation.judge.enabled:
        return None
    if client is None:
        raise ContradictorySettings(
            "[generation.judge] enabled = true needs a model to read drafts: give 'endpoint' and "
            "'model' under [generation], or set enabled = false"
        )
    return OpenAiJudge(client)


def endpoint_of(generation: Generation) -> Endpoint | None:
    """The endpoint of the settings, if any. Raises ``ContradictorySettings``."""
    if generation.endpoint is None and generation.model is None:
        if generation.engine == "openai":
            raise ContradictorySettings(
                "[generation] engine = \"openai\" needs 'endpoint' (http://…/v1) and 'model': "
                'give both, or set engine = "extractive"'
            )
        return None
    if generation.endpoint is None or generation.model is None:
        missing = "endpoint" if generation.endpoint is None else "model"
        raise ContradictorySettings(
            f"[generation] '{missing}' is missing: 'endpoint' and 'model' go together"
        )
    key = generation.api_key
    endpoint = Endpoint(
        url=generation.endpoint,
        model=generation.model,
        api_key=key.get_secret_value() if key else None,
        timeout=generation.timeout,
        in_flight=generation.in_flight,
    )
    wrong = [url for url in endpoint.urls if not url.startswith(("http://", "https://"))]
    if wrong or not endpoint.urls:
        raise ContradictorySettings(
            f"[generation] endpoint = {generation.endpoint!r} is no address: write http://host/v1, "
            "or several of them separated by commas"
        )
    return endpoint


if __name__ == "__main__":
    run("generate", build)
