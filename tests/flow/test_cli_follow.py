"""Following what was handed in to its outcome, on a real broker with the services played."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import nats
import pytest
from nats.js import JetStreamContext
from typer.testing import CliRunner

from deploy.local.nats import NatsServer
from deploy.local.process import free_ports
from shared import admin
from shared.cli import dead
from shared.cli.adding import Desk, Paper, Result
from shared.cli.client import connected
from shared.cli.documents import _papers
from shared.cli.outcomes import Outcome
from shared.cli.sending import Letter, Post
from shared.clock import utcnow
from shared.document_events import (
    DocumentChunked,
    DocumentChunkedData,
    DocumentIndexed,
    DocumentIndexedData,
    DocumentRejected,
    DocumentRejectedData,
    DocumentSubmitted,
    MessageDead,
    MessageDeadData,
)
from shared.envelope import Event, caused
from shared.events import DraftReady, MailReceived, MailSkipped, MailSkippedData
from shared.identity import document_id, mail_id, sha256
from shared.objects import MemoryObjects
from shared.records import DocumentBlock, DocumentVersion
from shared.registry import decode
from shared.settings import Nats, Settings, Streams
from shared.topology import INGEST_DOCUMENT, INGEST_MAIL, Stage, stream_of
from tests.samples import MAIL, events

Play = Callable[[Event], Awaitable[list[Event]]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A broker of this test's own: streams have fixed names."""
    found = NatsServer(tmp_path / "nats", tmp_path / "nats.log", free_ports(1)[0])
    found.start()
    yield found
    found.stop()


@pytest.fixture
async def config(server: NatsServer) -> Settings:
    found = Settings(nats=Nats(url=server.url), streams=Streams(max_bytes=16 * 1024 * 1024))
    await admin.apply(found)
    return found


@asynccontextmanager
async def played(config: Settings, stage: Stage, play: Play) -> AsyncIterator[None]:
    """``stage`` as ``play`` would have it: what it returns is published, then the input acked."""
    connection = await nats.connect(config.nats.url)
    jetstream = connection.jetstream()
    found = await jetstream.pull_subscribe(
        stage.subject, durable=stage.durable, stream=stage.stream.name
    )

    async def loop() -> None:
        while True:
            try:
                messages = await found.fetch(1, timeout=1)
            except TimeoutError:
                continue
            for message in messages:
                for event in await play(decode(message.data)):
                    await _say(jetstream, event)
                await message.ack_sync()

    task = asyncio.create_task(loop())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await connection.close()


async def _say(jetstream: JetStreamContext, event: Event) -> None:
    stream = stream_of(type(event)).name
    await jetstream.publish(event.nats_subject(), event.model_dump_json().encode(), stream=stream)


def _dead(event: Event, stage: Stage) -> MessageDead:
    data = MessageDeadData(
        stage=stage.durable,
        stream=stage.stream.name,
        sequence=1,
        original_subject=event.nats_subject(),
        attempt=5,
        error="RuntimeError",
        reason="le toit fuit",
        payload=base64.b64encode(event.model_dump_json().encode()),
    )
    return MessageDead.make(source="t", subject="t", time=utcnow(), data=data, id=uuid4())


async def _librarian(event: Event) -> list[Event]:
    """ingest, embed and retrieve in one, by the file's name."""
    assert isinstance(event, DocumentSubmitted)
    data = event.data
    content = data.content or b""
    identity = document_id(data.collection, data.locator())
    block = DocumentBlock(
        document_id=identity,
        version=DocumentVersion(submitted=data.submitted, sha256=sha256(content)),
        collection=data.collection,
        name=data.name,
        title=data.name.upper(),
        media_type="text/plain",
        size=len(content),
        original_key="o",
        text_key="t",
    )
    if data.name.startswith("known"):
        return []
    if data.name.startswith("dies"):
        return [_dead(event, INGEST_DOCUMENT)]
    if data.name.startswith("bad"):
        refused = DocumentRejectedData(
            collection=data.collection,
            document_id=identity,
            name=data.name,
            submitted=data.submitted,
            code="empty",
            detail="Le document est vide.",
        )
        return [caused(event, DocumentRejected, source="ingest", time=utcnow(), data=refused)]
    read = DocumentChunkedData(document=block, chunks_key="c", count=2)
    indexed = DocumentIndexedData(document=block, count=2, embedding="e")
    return [
        caused(event, DocumentChunked, source="ingest", time=utcnow(), data=read),
        caused(event, DocumentIndexed, source="retrieve", time=utcnow(), data=indexed),
    ]


async def test_each_file_is_followed_to_what_became_of_it(config: Settings, tmp_path: Path) -> None:
    names = ["bad.txt", "dies.txt", *(f"good{i}.txt" for i in range(100)), "known.txt"]
    for name in names:
        (tmp_path / name).write_text(name)
    (tmp_path / "large.txt").write_bytes(b"x" * 300_000)
    papers = [Paper(tmp_path / name, name) for name in [*names, "large.txt", "gone.txt"]]
    objects = MemoryObjects()
    async with connected(config) as client, played(config, INGEST_DOCUMENT, _librarian):
        desk = Desk(client, objects, "default", "public")
        results: dict[str, Result] = {r.name: r async for r in desk.follow(papers)}

    assert len(results) == len(papers)
    assert results["good7.txt"].state == "indexed"
    assert results["good7.txt"].title == "GOOD7.TXT"
    assert results["good7.txt"].chunks == 2
    assert (results["bad.txt"].state, results["bad.txt"].code) == ("rejected", "empty")
    assert results["bad.txt"].detail == "Le document est vide."
    assert results["dies.txt"].state == "dead"
    assert results["dies.txt"].detail == "ingest-document: le toit fuit"
    assert results["known.txt"].state == "unchanged"
    assert results["gone.txt"].state == "rejected"
    assert results["large.txt"].state == "indexed"
    assert list(objects.data) == [f"inbox/cli/{sha256(b'x' * 300_000)}"]


async def test_files_nobody_says_anything_of_are_named_after_the_timeout(
    config: Settings, tmp_path: Path
) -> None:
    async def read_only(event: Event) -> list[Event]:
        """ingest alone: embed and retrieve say nothing."""
        return [each for each in await _librarian(event) if isinstance(each, DocumentChunked)]

    names = [f"good{i}.txt" for i in range(70)]
    for name in [*names, "known.txt"]:
        (tmp_path / name).write_text(name)
    papers = [Paper(tmp_path / name, name) for name in ["known.txt", *names]]
    async with connected(config) as client, played(config, INGEST_DOCUMENT, read_only):
        desk = Desk(client, MemoryObjects(), "default", "public", timeout=1.5)
        found = await asyncio.wait_for(_all(desk, papers), 30)

    assert found.pop("known.txt").state == "unchanged"
    assert sorted(found) == sorted(names)
    assert {each.state for each in found.values()} == {"none"}
    assert found["good0.txt"].detail.startswith("handed in, but nothing moved for 2 s")
    assert found["good69.txt"].detail.startswith("not handed in: nothing moved")


async def test_a_name_that_is_not_utf8_is_refused_and_the_rest_goes_on(
    config: Settings, tmp_path: Path
) -> None:
    (tmp_path / os.fsdecode(b"r\xe8gles.txt")).write_text("latin-1")
    (tmp_path / "good.txt").write_text("good")
    papers = list(_papers([tmp_path], "https://programme.example/"))
    async with connected(config) as client, played(config, INGEST_DOCUMENT, _librarian):
        found = await _all(Desk(client, MemoryObjects(), "default", "public"), papers)

    assert found["good.txt"].state == "indexed"
    refused = found["r\udce8gles.txt"]
    assert (refused.state, refused.code) == ("rejected", "file-name")
    assert "rename" in refused.detail


async def _all(desk: Desk, papers: list[Paper]) -> dict[str, Result]:
    return {result.name: result async for result in desk.follow(papers)}


def _raw(name: str) -> bytes:
    return f"Message-ID: <{name}@mairie.example>\r\nSubject: {name}\r\n\r\nQui ?\r\n".encode()


async def _clerk(event: Event) -> list[Event]:
    """All services in one, by the e-mail's subject."""
    assert isinstance(event, MailReceived)
    raw = event.data.content or b""
    identity = mail_id(event.data.mailbox, raw)
    if b"Subject: lost" in raw:
        return []
    if b"Subject: dies" in raw:
        return [_dead(event, INGEST_MAIL)]
    if b"Subject: robot" in raw:
        skipped = MailSkippedData(
            mailbox="default",
            mail_id=identity,
            reason="auto-reply",
            detail="Réponse automatique.",
            received=utcnow(),
        )
        return [caused(event, MailSkipped, source="ingest", time=utcnow(), data=skipped)]
    sample = next(each for each in events() if isinstance(each, DraftReady))
    mail = MAIL.model_copy(update={"mail_id": identity})
    data = sample.data.model_copy(update={"mail": mail})
    return [caused(event, DraftReady, source="generate", time=utcnow(), data=data)]


async def test_each_mail_is_followed_to_its_outcome(config: Settings) -> None:
    names = ["dies", "lost", "question", "robot"]
    letters = [Letter(name, _raw(name)) for name in [*names, "question"]]
    async with connected(config) as client, played(config, INGEST_MAIL, _clerk):
        post = Post(client, MemoryObjects(), "default", timeout=4)
        told: dict[str, Outcome] = {o["file"]: o async for o in post.follow(letters)}

    assert sorted(told) == names, "identical e-mails are one"
    assert {name: told[name]["outcome"] for name in names} == {
        "dies": "dead",
        "lost": "none",
        "question": "draft",
        "robot": "skipped",
    }
    draft = told["question"]
    assert draft["mail_id"] == str(mail_id("default", _raw("question")))
    assert "[1]" in draft["text"]
    assert draft["sources"][0] | {"document_id": ""} == {
        "number": 1,
        "document_id": "",
        "title": "Études préalables",
        "url": "https://programme.example/etudes",
        "page": 2,
        "heading": "",
    }
    assert draft["passages"][0]["rank"] == 1
    assert draft["passages"][0]["heading"] == "Financement"
    assert draft["passages"][0]["score"] == 0.5
    assert draft["timings"]["generate"] == 0.02
    assert 0 < draft["timings"]["total"] < 4
    assert told["robot"]["reason"] == "auto-reply"
    assert told["dies"]["detail"] == "ingest-mail: le toit fuit"
    json.dumps(list(told.values()))


async def test_a_dead_letter_is_shown_and_handed_in_again(
    config: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    received = next(each for each in events() if isinstance(each, MailReceived))
    letter = _dead(received, INGEST_MAIL)
    connection = await nats.connect(config.nats.url)
    jetstream = connection.jetstream()
    await _say(jetstream, received)
    await _say(jetstream, letter)
    monkeypatch.setenv("SOURCIER_NATS__URL", config.nats.url)
    monkeypatch.chdir(tmp_path)

    async def run(*words: str) -> str:
        done = await asyncio.to_thread(CliRunner().invoke, dead.app, list(words))
        assert done.exit_code == 0, done.output
        return str(done.output)

    assert json.loads(await run("list", "--json"))["reason"] == "le toit fuit"
    assert json.loads(await run("show", "1"))["payload"] == json.loads(received.model_dump_json())
    assert "1 replayed" in await run("replay", "1")
    assert "0 dead letters" in await run("list")
    again = await jetstream.get_msg("MAIL", 2)
    await connection.close()
    assert again.subject == received.nats_subject()
    assert again.data == received.model_dump_json().encode()
