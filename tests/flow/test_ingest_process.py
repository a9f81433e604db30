"""ingest as a real process on a real broker, object store and database."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import nats
import pyarrow.parquet as pq
import pytest
from nats.js.client import JetStreamContext
from tokenizers import Tokenizer, models, pre_tokenizers

from deploy.local.nats import NatsServer
from deploy.local.process import free_ports, spawn
from deploy.local.service import wait_until_ready
from shared import admin
from shared.document_events import DocumentChunked, DocumentRejected
from shared.events import MailAccepted, MailSkipped
from shared.objects import S3Objects
from shared.registry import decode
from shared.settings import Nats, Objects, Settings, Streams
from tests.fakes.model_folder import model_folder

SMALL = 16 * 1024 * 1024
MAIL = """From: Mairie <mairie@exemple.org>
To: aide@exemple.fr
Subject: =?utf-8?q?=C3=89tude?=
Message-ID: <1@exemple.org>
Content-Type: text/plain; charset=utf-8

Bonjour,

Le programme finance-t-il l'étude préalable de notre école ?
"""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[str]:
    server = NatsServer(tmp_path / "nats", tmp_path / "nats.log", free_ports(1)[0])
    await asyncio.to_thread(server.start)
    await admin.apply(Settings(nats=Nats(url=server.url), streams=Streams(max_bytes=SMALL)))
    yield server.url
    await asyncio.to_thread(server.stop)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = model_folder(tmp_path / "model")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
async def ingest(
    broker: str, postgres_dsn: str, s3: Objects, model: Path, tmp_path: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, subprocess.Popen[bytes]]]:
    port = free_ports(1)[0]
    environment = {
        **os.environ,
        "SOURCIER_CONFIG": str(tmp_path / "none.toml"),
        "SOURCIER_NATS__URL": broker,
        "SOURCIER_STREAMS__MAX_BYTES": str(SMALL),
        "SOURCIER_POSTGRES__DSN": postgres_dsn,
        "SOURCIER_OBJECTS__ENDPOINT": s3.endpoint,
        "SOURCIER_OBJECTS__ACCESS_KEY": s3.access_key,
        "SOURCIER_OBJECTS__SECRET_KEY": s3.secret_key.get_secret_value(),
        "SOURCIER_OBJECTS__BUCKET": s3.bucket,
        "SOURCIER_EMBEDDING__MODEL": str(model),
        "SOURCIER_HTTP__PORT": str(port),
    }
    url, log = f"http://127.0.0.1:{port}", tmp_path / "ingest.log"
    process = spawn([sys.executable, "-m", "services.ingest.app"], log, environment)
    try:
        await asyncio.to_thread(wait_until_ready, url, process, log)
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            yield http, process
    finally:
        process.kill()
        process.wait()


async def said(subscription: JetStreamContext.PushSubscription) -> object:
    return decode((await subscription.next_msg(timeout=30)).data)


async def test_from_http_to_events_and_files(
    broker: str, s3: Objects, ingest: tuple[httpx.AsyncClient, subprocess.Popen[bytes]]
) -> None:
    http, process = ingest
    client = await nats.connect(broker)
    stream = client.jetstream()
    chunked = await stream.subscribe("document.chunked.v1.>", stream="DOCUMENT")
    rejected = await stream.subscribe("document.rejected.v1.>", stream="DOCUMENT")
    accepted = await stream.subscribe("mail.accepted.v1.>", stream="MAIL")
    skipped = await stream.subscribe("mail.skipped.v1.>", stream="MAIL")

    # The bucket may hold documents of other tests.
    rebuilt = await http.post("/v1/index/rebuild", params={"embedding": "e0"})
    before = rebuilt.json()["count"]
    for _ in range(before):
        await said(chunked)

    guide = "# Guide\n\n## Taux\n\nLe taux est de 80 %."
    sent = await http.post("/v1/documents", params={"name": "guide.md"}, content=guide.encode())
    assert sent.status_code == 202
    event = await said(chunked)
    assert isinstance(event, DocumentChunked)
    assert str(event.data.document.document_id) == sent.json()["document_id"]
    rows = pq.read_table(io.BytesIO(await S3Objects(s3).get(event.data.chunks_key))).to_pylist()
    assert [row["text"] for row in rows] == ["Guide\n\nTaux\n\nLe taux est de 80 %."]

    await http.post("/v1/documents", params={"name": "casse.pdf"}, content=b"%PDF-1.7 rien")
    refusal = await said(rejected)
    assert isinstance(refusal, DocumentRejected)
    assert (refusal.data.code, refusal.data.name) == ("broken", "casse.pdf")

    await http.post("/v1/mails", content=MAIL.encode())
    mail = await said(accepted)
    assert isinstance(mail, MailAccepted)
    assert "étude préalable" in mail.data.mail.questions[0]
    automatic = MAIL.replace("To:", "Auto-Submitted: auto-replied\nTo:")
    await http.post("/v1/mails", content=automatic.encode())
    skip = await said(skipped)
    assert isinstance(skip, MailSkipped)
    assert skip.data.reason == "auto-reply"

    again = await http.post("/v1/index/rebuild", params={"embedding": "e5"})
    assert again.json() == {"count": before + 1}
    assert isinstance(await said(chunked), DocumentChunked)

    await client.close()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 30) == 0
