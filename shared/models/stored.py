"""Models in the object store: files under their digest, and a pointer to the current version."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from pydantic import BaseModel, ValidationError

from shared.models import manifest as manifests
from shared.models.directory import sha256
from shared.models.manifest import Manifest, Sha256
from shared.models.policy import MANIFEST, MAX_TEXT, Refused
from shared.objects import Missing, ObjectStore, Progress, unseen

PREFIX = "models/"
POINTER = "current.json"


class Pointer(BaseModel):
    """Which version of a model is the current one."""

    digest: Sha256


def key_of(manifest: Manifest, name: str) -> str:
    """Where a file of the model is stored."""
    return f"{PREFIX}{manifest.name}/{manifest.digest}/{name}"


async def names(store: ObjectStore) -> list[str]:
    """Names of the models that have a current version. Raises ``Unavailable``."""
    keys = [key async for key in store.keys(PREFIX)]
    found = (key.removeprefix(PREFIX).split("/") for key in keys)
    return sorted(parts[0] for parts in found if parts[1:] == [POINTER])


async def current(store: ObjectStore, name: str) -> Manifest | None:
    """The current version; None when the store has no such model.

    Raises ``Refused`` when what the store says contradicts itself, ``Unavailable``.
    """
    try:
        said = await store.get(f"{PREFIX}{name}/{POINTER}", at_most=MAX_TEXT)
    except Missing:
        return None
    try:
        digest = Pointer.model_validate_json(said).digest
        key = f"{PREFIX}{name}/{digest}/{MANIFEST}"
        found = manifests.read(await store.get(key, at_most=MAX_TEXT))
    except (ValidationError, Missing, Refused) as error:
        raise Refused(
            f"model {name} in the object store is damaged, import it again: {error}"
        ) from error
    if found.name != name or found.digest != digest:
        raise Refused(
            f"the manifest of model {name} in the object store is another one's: import it again"
        )
    return found


async def publish(
    store: ObjectStore, directory: Path, manifest: Manifest, progress: Progress = unseen
) -> None:
    """Make the directory's model the current version. Readers see the old one or the new.

    What an interrupted run has stored is not stored again. Raises ``Unavailable``, ``OSError``.
    """
    for name, file in manifest.files.items():
        key = key_of(manifest, name)
        if await _size(store, key) == file.size:
            progress(file.size)
        else:
            await store.put_file(key, directory / name, progress)
    body = manifest.model_dump_json(indent=1).encode()
    await store.put(key_of(manifest, MANIFEST), body, "application/json")
    pointer = Pointer(digest=manifest.digest).model_dump_json().encode()
    await store.put(f"{PREFIX}{manifest.name}/{POINTER}", pointer, "application/json")


async def _size(store: ObjectStore, key: str) -> int | None:
    try:
        return await store.size(key)
    except Missing:
        return None


async def download(
    store: ObjectStore, manifest: Manifest, folder: Path, progress: Progress = unseen
) -> None:
    """Bring all files into ``folder``, where those of an interrupted run are continued.

    Raises ``Refused`` when a file is not what the manifest says (it is not kept), ``Missing``,
    ``Unavailable``.
    """
    for name, file in manifest.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        await _continue(store, key_of(manifest, name), path, file.size, progress)
        found = await asyncio.to_thread(sha256, path)
        if found != file.sha256:
            path.unlink()
            raise Refused(
                f"{name} of model {manifest.name} came from the object store with the SHA-256 "
                f"{found}, but {file.sha256} was stored: it is not used. Look with `sourcier "
                "models verify`, then import the model again"
            )


async def _continue(
    store: ObjectStore, key: str, path: Path, size: int, progress: Progress
) -> None:
    """The rest of a file of ``size`` bytes, of which ``path`` has the beginning."""
    with path.open("ab") as file:
        if file.tell() > size:
            file.truncate(0)
        have = file.tell()
        progress(have)
        if have == size:
            return
        async for piece in store.stream(key, have):
            file.write(piece)
            progress(len(piece))


async def damaged(store: ObjectStore, manifest: Manifest, progress: Progress = unseen) -> list[str]:
    """Names of stored files that are missing or not as the manifest says, by their hashes.

    Raises ``Unavailable``.
    """
    found = []
    for name, file in manifest.files.items():
        hashed = hashlib.sha256()
        try:
            async for piece in store.stream(key_of(manifest, name)):
                hashed.update(piece)
                progress(len(piece))
        except Missing:
            found.append(name)
            continue
        if hashed.hexdigest() != file.sha256:
            found.append(name)
    return sorted(found)
