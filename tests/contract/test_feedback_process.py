"""feedback as a real process: events from a real broker, its HTTP API, its outbox, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import nats
import pytest
from nats.aio.client import Client

from deploy.local.nats import NatsServer
from deploy.local.process import free_ports
from shared import admin
from shared.events import DraftReady, ReplyApproved, ReplyDoubtful, ReplyFailedData
from shared.identity import stable_id
from shared.registry import decode
from shared.settings import Nats, Settings, Streams
from tests import samples

TOKEN = "the-token-of-an-operator-0123456789"
HEARD = ("sourcier.mail.accepted.v1", "sourcier.draft.ready.v1", "sourcier.document.indexed.v1")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[str]:
    server = NatsServer(tmp_path / "nats", tmp_path / "nats.log", free_ports(1)[0])
    await asyncio.to_thread(server.start)
    small = Streams(max_bytes=16 * 1024 * 1024)
    await admin.apply(Settings(nats=Nats(url=server.url), streams=small))
    yield server.url
    await asyncio.to_thread(server.stop)


@pytest.fixture
async def feedback(
    broker: str, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    database = await asyncpg.connect(postgres_dsn)
    await database.execute("truncate feedback.mails, feedback.documents, feedback.outbox cascade")
    await database.close()
    port = free_ports(1)[0]
    token = tmp_path / "token"
    token.write_text(TOKEN)
    environment = {
        **os.environ,
        "SOURCIER_CONFIG": str(tmp_path / "none.toml"),
        "SOURCIER_NATS__URL": broker,
        "SOURCIER_STREAMS__MAX_BYTES": str(16 * 1024 * 1024),
        "SOURCIER_POSTGRES__DSN": postgres_dsn,
        "SOURCIER_OBJECTS__SECRET_KEY": "there is no store",
        "SOURCIER_DESK__OPERATOR_TOKEN": str(token),
        "SOURCIER_DESK__ACCOUNTS": str(tmp_path / "accounts.toml"),
        "SOURCIER_HTTP__PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.feedback.app", env=environment
    )
    yield f"http://127.0.0.1:{port}", process
    if process.returncode is None:
        process.kill()
        await process.wait()
    database = await asyncpg.connect(postgres_dsn)
    await database.execute("truncate feedback.erasures")  # others use the same e-mail
    await database.close()


async def eventually(client: httpx.AsyncClient, path: str, status: int = 200) -> httpx.Response:
    for _ in range(300):
        try:
            answer = await client.get(path)
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code == status:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} never answered {status}: {answer and answer.text}")


async def publish(client: Client) -> None:
    for event in samples.events():
        if event.type in HEARD:
            await client.jetstream().publish(
                event.nats_subject(), event.model_dump_json().encode(), timeout=5
            )


async def told_of_the_reply(client: Client, http: httpx.AsyncClient, reply: ReplyApproved) -> None:
    """What the mail system says, by event and by HTTP, ends up with the reply."""
    data = ReplyFailedData(
        mailbox="default", reply_id=reply.data.reply_id, mail_id=reply.data.mail_id, why="451"
    )
    doubtful = ReplyDoubtful.make(
        source="mail", subject="x", time=reply.time, data=data, id=stable_id("doubt")
    )
    body = doubtful.model_dump_json().encode()
    await client.jetstream().publish(doubtful.nats_subject(), body, timeout=5)
    word = {"state": "sent", "message_id": "<r@x>", "text": reply.data.text}
    for wanted in ("doubtful", "sent"):
        for _ in range(100):
            (shown,) = (await http.get("/v1/replies")).json()
            if shown["state"] == wanted:
                break
            await asyncio.sleep(0.1)
        assert shown["state"] == wanted
        told = await http.post(f"/v1/mails/{samples.MAIL.mail_id}/reply", json=word)
        assert told.status_code == 202, told.text
    assert (shown["message_id"], shown["comparison"]["words_changed"]) == ("<r@x>", 0)


async def erased(broker: str, http: httpx.AsyncClient, folder: Path) -> None:
    """The operator's command, and feedback hears it."""
    repository = str(Path(__file__).parents[2])
    here = {"SOURCIER_CONFIG": "none.toml", "SOURCIER_NATS__URL": broker, "PYTHONPATH": repository}
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.cli.main", "erase", str(samples.MAIL.mail_id)),
        env={**os.environ, **here},
        cwd=folder,  # where no stack runs
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await command.communicate()
    assert (command.returncode, b"mail.erased is said" in said) == (0, True)
    for _ in range(100):
        mail = (await http.get(f"/v1/mails/{samples.MAIL.mail_id}")).json()
        if not mail["subject"]:
            break
        await asyncio.sleep(0.1)
    assert (mail["subject"], mail["sender"]["address"], mail["outcome"]) == ("", "", "draft")
    draft = (await http.get(f"/v1/drafts/{samples.DRAFT}")).json()
    assert (draft["status"], draft["ready"]["text"]) == ("approved", "")


async def test_from_draft_event_to_approved_reply(
    broker: str, feedback: tuple[str, asyncio.subprocess.Process], tmp_path: Path
) -> None:
    url, process = feedback
    client = await nats.connect(broker)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, timeout=5, headers=headers) as http:
        await eventually(http, "/readyz")
        replies = await client.jetstream().subscribe("reply.>", stream="DRAFT")
        await publish(client)
        shown = await eventually(http, f"/v1/drafts/{samples.DRAFT}")
        (draft,) = (event for event in samples.events() if isinstance(event, DraftReady))
        assert shown.json()["ready"]["text"] == draft.data.text
        reviewed = await http.post(
            f"/v1/drafts/{samples.DRAFT}/review", json={"decision": "approved"}
        )
        assert reviewed.status_code == 200, reviewed.text
        message = await replies.next_msg(timeout=10)
        reply = decode(message.data)
        assert isinstance(reply, ReplyApproved)
        assert reply.data.text == draft.data.text
        assert message.headers == (message.headers or {}) | {"Nats-Msg-Id": str(reply.id)}
        for _ in range(50):
            figures = (await http.get("/v1/figures")).json()
            if figures["outbox"] == 0:
                break
            await asyncio.sleep(0.1)
        assert figures["outbox"] == 0
        assert figures["statuses"] == {"approved": 1}
        await told_of_the_reply(client, http, reply)
        await erased(broker, http, tmp_path)
    await client.close()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0
