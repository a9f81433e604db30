"""Drafts of the real model behind the real bus, while its replica is killed or freezes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import nats
import pytest
from nats.aio.client import Client

from deploy.local.nats import NatsServer
from deploy.local.process import free_ports
from services.generate.app import build
from shared import admin
from shared.bus import Bus
from shared.events import DraftDeclined, DraftReady
from shared.identity import stable_id
from shared.model_settings import Generation, ModelProfile
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import QuestionVectors, SparseVector
from shared.registry import decode
from shared.settings import Nats, Settings, Streams
from tests.fakes.drafting import STUDY, WORKS, context, mail, passage
from tests.llm.server import MARKS, MODEL, ModelServer

pytestmark = MARKS

MAILS = 12
WITHIN = 400.0
"""Seconds for all outcomes; a replica is loaded again within them."""


@pytest.fixture
async def settings(tmp_path: Path, model_server: ModelServer) -> AsyncIterator[Settings]:
    """Of a broker of the test's own, with the topology applied."""
    broker = NatsServer(tmp_path / "nats", tmp_path / "nats.log", free_ports(1)[0])
    await asyncio.to_thread(broker.start)
    config = Settings(
        nats=Nats(url=broker.url),
        streams=Streams(max_bytes=16 * 1024 * 1024),
        generation=Generation(
            engine="openai",
            endpoint=model_server.url,
            model=MODEL,
            models={MODEL: ModelProfile(form="select", context_tokens=600, max_tokens=200)},
            timeout=300,
            in_flight=2,  # one after another, so that harm comes amidst them
            fallback=False,
        ),
    )
    await admin.apply(config)
    yield config
    await asyncio.to_thread(broker.stop)


async def vectors(query: EmbedQuery) -> EmbedAnswer:
    """embed's part: every text is alike."""
    one = QuestionVectors(dense=(0.6, 0.8), sparse=SparseVector(indices=(), values=()))
    return EmbedAnswer(vectors=(one,) * len(query.texts), embedding="e1")


async def outcomes(client: Client) -> list[DraftReady | DraftDeclined]:
    """What generate has said so far."""
    found = []
    for subject in ("draft.ready.v1.>", "draft.declined.v1.>"):
        count = (await client.jetstream().stream_info("DRAFT", subjects_filter=subject)).state
        if not count.subjects:
            continue
        heard = await client.jetstream().subscribe(subject, stream="DRAFT", ordered_consumer=True)
        for _ in range(sum(count.subjects.values())):
            event = decode((await heard.next_msg(timeout=5)).data)
            assert isinstance(event, DraftReady | DraftDeclined)
            found.append(event)
        await heard.unsubscribe()
    return found


def kill(server: ModelServer) -> None:
    """The replica's process is gone at once."""
    for replica in server.processes("ray::ServeReplica:sourcier:Replica"):
        replica.kill()


def freeze(server: ModelServer) -> None:
    """The engine is there and does nothing: only its missing steps tell."""
    for engine in server.processes("VLLM::EngineCore"):
        engine.suspend()


@pytest.mark.parametrize("harm", [kill, freeze])
async def test_every_mail_gets_its_outcome_though_the_replica_ends(
    settings: Settings, model_server: ModelServer, harm: Callable[[ModelServer], None]
) -> None:
    asked = set[UUID]()
    async with AsyncExitStack() as stack:
        client = await nats.connect(settings.nats.url)
        stack.push_async_callback(client.close)
        embed, generate = Bus("embed", settings), Bus("generate", settings)
        embed.answers(EmbedQuery)(vectors)
        await stack.enter_async_context(build(settings, generate))
        for bus in (embed, generate):
            await bus.connect()
            await bus.start()
            stack.push_async_callback(bus.stop)
        for number in range(MAILS):
            question = f"L'étude préalable de l'école n° {number} est-elle financée ?"
            block = mail([question], mail_id=stable_id("mail", str(number)))
            event = context(block, [passage(STUDY), passage(WORKS, "travaux", questions=())])
            asked.add(block.mail_id)
            await client.jetstream().publish(
                event.nats_subject(), event.model_dump_json().encode(), timeout=5
            )
        deadline = asyncio.get_running_loop().time() + WITHIN
        while not (before := len(await outcomes(client))):
            assert asyncio.get_running_loop().time() < deadline, model_server.log()
            await asyncio.sleep(0.05)
        harm(model_server)
        while len(said := await outcomes(client)) < MAILS:
            assert asyncio.get_running_loop().time() < deadline, model_server.log()
            await asyncio.sleep(0.3)
        dead = await client.jetstream().stream_info("DEAD")
    assert before < MAILS, "all was drafted before any harm was done"
    assert Counter(event.data.mail.mail_id for event in said) == dict.fromkeys(asked, 1)
    assert {event.data.engine for event in said} == {"openai"}
    assert dead.state.messages == 0
    assert len(model_server.processes("VLLM::EngineCore")) == 1, "the old engine ended too"
