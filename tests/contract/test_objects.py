"""One contract for the object store in memory and the real S3 server."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.delivery import Invalid, Unavailable
from shared.objects import MemoryObjects, Missing, ObjectStore, S3Objects, TooLarge
from shared.settings import Objects


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    if request.param == "memory":
        return MemoryObjects()
    return S3Objects(request.getfixturevalue("s3"))


async def test_put_get_remove(store: ObjectStore) -> None:
    key = f"mails/é {uuid.uuid4()}.eml"
    assert not await store.exists(key)
    with pytest.raises(Missing, match="no object"):
        await store.get(key)
    await store.put(key, b"one")
    await store.put(key, b"two", "message/rfc822")
    assert await store.get(key) == b"two"
    assert await store.exists(key)
    await store.remove(key)
    await store.remove(key)
    assert not await store.exists(key)


async def test_empty_and_large_bodies(store: ObjectStore) -> None:
    large = bytes(range(256)) * 40_000  # 10 MB
    for body in (b"", large):
        await store.put("documents/body", body)
        assert await store.get("documents/body") == body


async def test_files_go_in_whole_and_come_out_in_pieces_from_anywhere(
    store: ObjectStore, tmp_path: Path
) -> None:
    body = bytes(range(251)) * 150_000  # 38 MB: several parts, several pieces
    file = tmp_path / "model.safetensors"
    file.write_bytes(body)
    seen: list[int] = []
    await store.put_file("models/large", file, seen.append)
    assert sum(seen) == len(body) == await store.size("models/large")
    assert b"".join([piece async for piece in store.stream("models/large")]) == body
    start = 20_000_003
    pieces = [piece async for piece in store.stream("models/large", start)]
    assert len(pieces) > 1
    assert b"".join(pieces) == body[start:]
    with pytest.raises(Missing, match="no object"):
        await store.size("models/none")
    with pytest.raises(Missing, match="no object"):
        await anext(store.stream("models/none"))
    with pytest.raises(FileNotFoundError):
        await store.put_file("models/none", tmp_path / "none")


async def test_more_than_the_reader_takes_is_refused(store: ObjectStore) -> None:
    await store.put("documents/ten", b"0123456789")
    assert await store.get("documents/ten", at_most=10) == b"0123456789"
    with pytest.raises(TooLarge, match="10 bytes, more than 9"):
        await store.get("documents/ten", at_most=9)


async def test_keys_lists_a_prefix(store: ObjectStore) -> None:
    prefix = f"chunks/{uuid.uuid4()}"
    wanted = {f"{prefix}/{n}" for n in range(3)}
    for key in (*wanted, f"{prefix}-other"):
        await store.put(key, b"x")
    assert {key async for key in store.keys(f"{prefix}/")} == wanted


async def test_missing_is_invalid_input() -> None:
    assert issubclass(Missing, Invalid)


async def test_a_store_that_is_down_is_unavailable() -> None:
    gone = S3Objects(Objects(endpoint="127.0.0.1:9", secret_key=SecretStr("none")))
    for call in (gone.get("a"), gone.put("a", b""), gone.ready(), gone.exists("a")):
        with pytest.raises(Unavailable, match="does not answer"):
            await call


async def test_wrong_keys_are_refused(s3: Objects) -> None:
    wrong = S3Objects(s3.model_copy(update={"access_key": "nobody"}))
    with pytest.raises(Unavailable, match="object store"):
        await wrong.get("a")
