"""ingest as a process sorts e-mails by the answers of embed, and holds them while there is none."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
import nats
import pytest
from nats.aio.msg import Msg

from shared.events import MailAccepted, MailSkipped
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import QuestionVectors, SparseVector

from .test_ingest_process import MAIL, broker, ingest, model, said

__all__ = ["broker", "ingest", "model"]
CATEGORIES = """
[triage.categories.etude]
description = "étude"
collections = ["etudes"]
[triage.categories.merci]
description = "merci"
draft = false
"""
Process = tuple[httpx.AsyncClient, asyncio.subprocess.Process]


@pytest.fixture(autouse=True)
def categories(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text(CATEGORIES)  # where the fixture `ingest` looks


async def answered(message: Msg) -> None:
    query = EmbedQuery.model_validate_json(message.data)
    sparse = SparseVector(indices=(), values=())
    rows = [(1.0, 0.0) if "tude" in text else (0.0, 1.0) for text in query.texts]
    vectors = tuple(QuestionVectors(dense=row, sparse=sparse) for row in rows)
    answer = EmbedAnswer(vectors=vectors, embedding="e5")
    await message.respond(answer.model_dump_json().encode())


async def explained(folder: Path, broker: str, url: str) -> str:
    """What `mails explain` says of the e-mail that came already."""
    file = folder / "mail.eml"
    file.write_text(MAIL)
    environment = {
        **os.environ,
        "SOURCIER_CONFIG": str(folder / "none.toml"),
        "SOURCIER_NATS__URL": broker,
        "SOURCIER_INGEST_URL": url,
    }
    tool = (sys.executable, "-m", "services.ingest.explain", str(file))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*tool, env=environment, stdout=pipe)
    return (await process.communicate())[0].decode()


async def test_held_while_embed_is_down_then_sorted(
    broker: str, ingest: Process, tmp_path: Path
) -> None:
    http, _ = ingest
    client = await nats.connect(broker)
    stream = client.jetstream()
    accepted = await stream.subscribe("mail.accepted.v1.>", stream="MAIL")
    skipped = await stream.subscribe("mail.skipped.v1.>", stream="MAIL")
    dead = await stream.subscribe("dead.>", stream="DEAD")

    await http.post("/v1/mails", content=MAIL.encode())
    with pytest.raises(TimeoutError):
        await accepted.next_msg(timeout=3)
    assert "embed" in (await http.get("/readyz")).text
    await client.subscribe("query.embed.v1", cb=answered)
    mail = await said(accepted)
    assert isinstance(mail, MailAccepted)
    assert (mail.data.mail.category, mail.data.mail.collections) == ("etude", ("etudes",))

    thanks = MAIL.replace("<1@", "<2@").split("Le programme")[0].replace("=C3=89tude", "Salut")
    await http.post(
        "/v1/mails", content=f"{thanks}Notre maire salue toute votre belle équipe.\n".encode()
    )
    skip = await said(skipped)
    assert isinstance(skip, MailSkipped)
    assert (skip.data.reason, "« merci »" in skip.data.detail) == ("category", True)
    assert (await dead.consumer_info()).num_pending == 0

    told = await explained(tmp_path, broker, str(http.base_url))
    assert "category: etude" in told
    assert "100% etude" in told
    assert "skipped as duplicate" in told
    await client.close()
