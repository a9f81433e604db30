"""The servers that every other test stands on, and that they are guarded."""

from __future__ import annotations

import uuid
from pathlib import Path

import asyncpg
import httpx
import nats
import pytest
from pydantic import SecretStr

from deploy.local.process import free_ports
from deploy.local.s3 import PORTS, S3Server
from shared.delivery import Unavailable
from shared.objects import Missing, S3Objects
from shared.settings import Objects


async def test_nats_keeps_a_stream(nats_url: str) -> None:
    name = f"T{uuid.uuid4().hex[:8]}"
    connection = await nats.connect(nats_url)
    jetstream = connection.jetstream()
    await jetstream.add_stream(name=name, subjects=[f"{name}.>"])
    ack = await jetstream.publish(f"{name}.a", b"kept", stream=name)
    kept = await jetstream.get_msg(name, ack.seq)
    await jetstream.delete_stream(name)
    await connection.close()
    assert kept.data == b"kept"


async def test_postgres_commits_synchronously(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    await connection.close()


async def test_objects_come_back_and_the_missing_are_named(s3: Objects) -> None:
    store = S3Objects(s3)
    await store.put("a/é.txt", b"bonjour", "text/plain")
    assert await store.get("a/é.txt") == b"bonjour"
    assert [key async for key in store.keys("a/")] == ["a/é.txt"]
    with pytest.raises(Missing, match="no object"):
        await store.get("a/none")


def test_the_s3_servers_inner_ports_take_and_give_nothing(tmp_path: Path) -> None:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    server = S3Server(tmp_path / "s3", tmp_path / "s3.log", ports, "key", "secret-key", "test")
    server.start()
    try:
        place = httpx.get(f"http://127.0.0.1:{ports['master']}/dir/assign").json()
        inner = f"http://{place['url']}/{place['fid']}"
        assert httpx.post(inner, content=b"x").status_code == 401
        assert httpx.get(inner).status_code == 401
        filer = f"http://127.0.0.1:{ports['filer']}/buckets/test/.ready"
        assert httpx.get(filer).status_code in (401, 404)
        assert httpx.put(filer, content=b"x").status_code in (401, 404, 405)
    finally:
        server.stop()


async def test_wrong_keys_are_refused(s3: Objects) -> None:
    wrong = s3.model_copy(update={"secret_key": SecretStr("wrong")})
    with pytest.raises(Unavailable, match="SignatureDoesNotMatch"):
        await S3Objects(wrong).ready()
