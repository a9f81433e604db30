"""Models in the object store, in memory and on the real S3 server: stored, found, resumed."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.clock import utcnow
from shared.delivery import Unavailable
from shared.models import directory, stored
from shared.models.local import ModelMissing, is_cached, local, staging
from shared.models.manifest import Manifest
from shared.models.policy import Refused
from shared.objects import MemoryObjects, ObjectStore, S3Objects
from shared.settings import Objects, model_cache
from tests.fakes.model_folder import model_folder

NAME = "petit-modele"
DOWN = S3Objects(Objects(endpoint="127.0.0.1:9", secret_key=SecretStr("none")))
VALUES = 3_000_000
"""12 MB: several pieces."""


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """One without models."""
    if request.param == "memory":
        return MemoryObjects()
    found = S3Objects(request.getfixturevalue("s3"))

    async def empty() -> None:
        for key in [key async for key in found.keys(stored.PREFIX)]:
            await found.remove(key)

    asyncio.run(empty())
    return found


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOURCIER_CACHE", str(tmp_path / "cache"))
    return model_cache()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "made", VALUES)


def described(folder: Path, name: str = NAME) -> Manifest:
    return directory.describe(folder, name, {"directory": "made"}, "apache-2.0", utcnow())


def publish(store: ObjectStore, folder: Path, name: str = NAME) -> Manifest:
    manifest = described(folder, name)
    asyncio.run(stored.publish(store, folder, manifest))
    return manifest


def contents(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in directory.check(folder).items()}


def test_a_model_goes_in_and_comes_out(store: ObjectStore, folder: Path, cache: Path) -> None:
    assert asyncio.run(stored.current(store, NAME)) is None
    seen: list[int] = []
    manifest = described(folder)
    asyncio.run(stored.publish(store, folder, manifest, seen.append))
    assert sum(seen) == manifest.size
    assert asyncio.run(stored.names(store)) == [NAME]
    assert asyncio.run(stored.current(store, NAME)) == manifest
    assert asyncio.run(stored.damaged(store, manifest)) == []
    found = local(NAME, store)
    assert found == cache / NAME
    assert contents(found) == contents(folder)
    assert directory.changed(found, directory.written(found)) == []
    assert {path.name for path in cache.iterdir()} == {NAME, f"{NAME}.lock"}


def test_what_is_stored_already_is_not_stored_again(
    store: ObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = publish(store, folder)
    key = stored.key_of(manifest, "config.json")
    asyncio.run(store.remove(key))
    put: list[str] = []
    real = store.put_file
    monkeypatch.setattr(store, "put_file", lambda key, *a: put.append(key) or real(key, *a))
    publish(store, folder)
    assert put == [key]


def test_a_new_version_replaces_the_cached_one(
    store: ObjectStore, folder: Path, cache: Path
) -> None:
    first = publish(store, folder)
    local(NAME, store)
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    second = publish(store, folder)
    assert second.digest != first.digest
    assert directory.written(local(NAME, store)) == second
    assert local("Org/Petit-Modele", None) == cache / NAME
    assert asyncio.run(stored.damaged(store, first)) == []  # the old one stays


class Breaks:
    """A store whose connection breaks once, in the midst of the weights."""

    def __init__(self, store: ObjectStore) -> None:
        self._store, self.broken, self.starts = store, False, list[int]()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def stream(self, key: str, start: int = 0) -> AsyncIterator[bytes]:
        weights = key.endswith(".safetensors")
        if weights:
            self.starts.append(start)
        async for piece in self._store.stream(key, start):
            yield piece
            if weights and not self.broken:
                self.broken = True
                raise Unavailable("connection lost")


def test_an_interrupted_download_goes_on_where_it_was(store: ObjectStore, folder: Path) -> None:
    publish(store, folder)
    breaks = Breaks(store)
    with pytest.raises(Unavailable, match="connection lost"):
        local(NAME, breaks)  # type: ignore[arg-type]  # it forwards the rest
    assert contents(local(NAME, breaks)) == contents(folder)  # type: ignore[arg-type]  # the same
    first, second = breaks.starts
    assert first == 0
    assert 0 < second < (folder / "model.safetensors").stat().st_size


def test_what_an_interrupted_run_left_wrong_is_not_used(store: ObjectStore, folder: Path) -> None:
    manifest = publish(store, folder)
    begun = staging(NAME) / manifest.digest
    begun.mkdir()
    (begun / "model.safetensors").write_bytes(b"other bytes")
    (staging(NAME) / "older-version").mkdir()
    with pytest.raises(Refused, match=r"model\.safetensors .* SHA-256"):
        local(NAME, store)
    assert contents(local(NAME, store)) == contents(folder)  # loaded anew


def test_a_file_that_was_changed_in_the_store_is_refused(
    store: ObjectStore, folder: Path, cache: Path
) -> None:
    manifest = publish(store, folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    asyncio.run(store.put(stored.key_of(manifest, "model.safetensors"), bytes(weights)))
    assert asyncio.run(stored.damaged(store, manifest)) == ["model.safetensors"]
    with pytest.raises(Refused, match=r"model\.safetensors .*SHA-256 .*import the model again"):
        local(NAME, store)
    assert not is_cached(cache / NAME)
    asyncio.run(store.remove(stored.key_of(manifest, "README.md")))
    assert asyncio.run(stored.damaged(store, manifest)) == ["README.md", "model.safetensors"]


@pytest.mark.parametrize("name", ["../../evil.json", "model.py", "/etc/x.json"])
def test_a_manifest_may_name_only_what_the_policy_lets_in(
    store: ObjectStore, folder: Path, cache: Path, name: str
) -> None:
    manifest = described(folder)
    files = {**manifest.files, name: manifest.files["config.json"]}
    forged = manifest.model_copy(update={"files": files})
    pointer = json.dumps({"digest": forged.digest}).encode()
    asyncio.run(store.put(f"models/{NAME}/current.json", pointer))
    body = forged.model_dump_json().encode()
    asyncio.run(store.put(f"models/{NAME}/{forged.digest}/manifest.json", body))
    with pytest.raises(Refused, match="is damaged, import it again"):
        local(NAME, store)
    assert not cache.exists()


def test_a_pointer_to_another_version_or_to_none_is_refused(
    store: ObjectStore, folder: Path
) -> None:
    manifest = publish(store, folder)
    body = asyncio.run(store.get(stored.key_of(manifest, "manifest.json")))
    for pointer, why in ((b"{", "damaged"), (json.dumps({"digest": "0" * 64}).encode(), "damaged")):
        asyncio.run(store.put(f"models/{NAME}/current.json", pointer))
        with pytest.raises(Refused, match=why):
            local(NAME, store)
    asyncio.run(store.put(f"models/{NAME}/{'0' * 64}/manifest.json", body))
    with pytest.raises(Refused, match="is another one's"):
        local(NAME, store)


def test_without_a_store_or_with_one_that_is_down_the_cache_decides(
    store: ObjectStore, folder: Path, cache: Path
) -> None:
    with pytest.raises(Unavailable, match=f"{NAME} is not in .* object store does not answer"):
        local(NAME, DOWN)
    publish(store, folder)
    local(NAME, store)
    assert local(NAME, DOWN) == local(NAME) == local(NAME, MemoryObjects()) == cache / NAME


def test_a_damaged_cache_is_loaded_anew(store: ObjectStore, folder: Path, cache: Path) -> None:
    publish(store, folder)
    local(NAME, store)
    (cache / NAME / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ModelMissing, match="nor a whole model"):
        local(NAME)
    assert contents(local(NAME, store)) == contents(folder)


def test_what_does_not_belong_into_the_cached_model_is_named(
    store: ObjectStore, folder: Path, cache: Path
) -> None:
    publish(store, folder)
    local(NAME, store)
    (cache / NAME / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(Refused, match=r"pytorch_model\.bin may be a pickle"):
        local(NAME, store)


def test_a_directory_is_used_as_it_is_when_the_policy_lets_it_in(folder: Path) -> None:
    assert local(str(folder)) == folder.resolve()
    (folder / "modeling.py").write_text("")
    with pytest.raises(Refused, match=r"modeling\.py is code"):
        local(str(folder))


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        ("multilingual-e5-small", "run `sourcier models fetch multilingual-e5-small`"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "run `sourcier models import SRC`"),
        ("./no/such/folder", "check the path"),
    ],
)
def test_a_model_that_is_nowhere_is_said_with_what_to_do(model: str, advice: str) -> None:
    with pytest.raises(ModelMissing, match=advice):
        local(model, MemoryObjects())


def _loaded(config: Objects) -> str:
    return str(local(NAME, S3Objects(config)))


def test_processes_that_ask_at_once_wait_for_the_first(
    s3: Objects, folder: Path, cache: Path
) -> None:
    publish(S3Objects(s3), folder)
    with multiprocessing.get_context("spawn").Pool(3) as processes:
        found = processes.map(_loaded, [s3] * 3)
    assert found == [str(cache / NAME)] * 3
    assert os.listdir(cache / NAME) != []
    assert contents(cache / NAME) == contents(folder)
