"""Where a service finds a model on this machine; the cache of those from the object store.

Blocking: call it in a thread, or before an event loop runs.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog
from filelock import FileLock

from shared.delivery import Unavailable
from shared.models import directory, stored
from shared.models.manifest import Manifest, name_of
from shared.models.policy import MANIFEST, Refused
from shared.objects import ObjectStore, Progress, unseen
from shared.settings import MIB, Misconfigured, model_cache

log = structlog.get_logger()

KNOWN = {
    "multilingual-e5-small": "services.embed.fetch",
    "qwen2.5-coder-1.5b-instruct": "services.generate.fetch",
    "smollm2-135m-instruct": "services.generate.fetch",
}
"""Models that `sourcier models fetch` gets without a hub, and the program that does it."""


WAIT = 5.0
"""Seconds between two looks into a store that does not answer."""


class ModelMissing(Misconfigured):
    """The model is nowhere; the message says how to get it."""


def local(model: str, store: ObjectStore | None = None, progress: Progress = unseen) -> Path:
    """The directory of ``model``: a path, or the name of an imported model (`org/Name` too).

    A path is held against the policy. Of a name, the version that ``store`` says is the current
    one is taken from the cache, or downloaded into it and verified; processes that ask at the
    same time wait for the first. When the store does not answer or has no such model, the cache
    alone decides. Raises ``ModelMissing``; ``Refused`` for what the policy does not let in or is
    damaged; ``Unavailable`` when nothing is cached and the store does not answer.
    """
    given = Path(model).expanduser()
    if given.is_dir():
        directory.check(given)
        return given.resolve()
    name = name_of(model)
    target = model_cache() / name
    down: Unavailable | None = None
    wanted: Manifest | None = None
    try:
        wanted = asyncio.run(stored.current(store, name)) if store else None
    except Unavailable as error:
        down = error
    if is_cached(target, wanted):
        return target
    if store and wanted:
        with locked(name):
            if not is_cached(target, wanted):
                _download(store, wanted, target, progress)
        return target
    if down:
        raise Unavailable(f"model {name} is not in {target.parent}, and {down}")
    raise ModelMissing(_advice(model, name, target))


async def awaited(find: Callable[[], Path]) -> Path:
    """What ``find`` finds, called in a thread; waits while it raises ``Unavailable``."""
    while True:
        try:
            return await asyncio.to_thread(find)
        except Unavailable as error:
            log.warning("waiting", need="model", reason=str(error))
            await asyncio.sleep(WAIT)


def is_cached(target: Path, wanted: Manifest | None = None) -> bool:
    """Whether ``target`` has a model as its manifest says (names and sizes), that of ``wanted``.

    Raises ``Refused`` when there is something in it that must not be in a model directory.
    """
    try:
        have = directory.written(target)
    except (OSError, Refused):
        return False
    if wanted and have.digest != wanted.digest:
        return False
    return not directory.differences(target, have)


def locked(name: str) -> FileLock:
    """Held by whoever changes the cached model ``name``; others wait."""
    cache = model_cache()
    cache.mkdir(parents=True, exist_ok=True)
    return FileLock(cache / f"{name}.lock")


def staging(name: str) -> Path:
    """A folder beside the cached models for one on its way; stays after an interruption."""
    folder = model_cache() / f".{name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def install(made: Path, manifest: Manifest, target: Path) -> None:
    """Move the finished directory ``made`` to ``target``: readers see the old model or the new.

    Both must be on one disk.
    """
    (made / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    made.chmod(0o755)
    for path in made.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with tempfile.TemporaryDirectory(prefix=".old-", dir=target.parent) as old:
        if target.exists():
            target.rename(Path(old) / "model")
        made.rename(target)


def _download(store: ObjectStore, wanted: Manifest, target: Path, progress: Progress) -> None:
    folder = staging(wanted.name)
    made = folder / wanted.digest
    for path in folder.iterdir():  # begun for another version
        if path != made:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    made.mkdir(exist_ok=True)
    log.info("loading model from the object store", model=wanted.name, mib=wanted.size // MIB)
    asyncio.run(stored.download(store, wanted, made, progress))
    directory.check(made)
    install(made, wanted, target)
    shutil.rmtree(folder)


def _advice(model: str, name: str, target: Path) -> str:
    told = (
        f"no model {model!r}: it is neither a directory, nor in the object store, nor a whole "
        f"model in {target.parent}\n"
    )
    if name in KNOWN:
        return told + f"run `sourcier models fetch {name}`"
    if os.sep in model and model.startswith((os.sep, ".", "~")):
        return told + "check the path"
    return told + "run `sourcier models import SRC` with a directory, an archive or a hub's name"
