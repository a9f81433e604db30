"""Lets a model in: from a directory, archive, wheel, GGUF file or hub into the model cache."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shared.clock import utcnow
from shared.model_settings import Models
from shared.models import archives, conversion, directory, hub, local
from shared.models.bars import Watch
from shared.models.manifest import Manifest, name_of
from shared.models.policy import Refused
from shared.settings import Misconfigured, model_cache


@dataclass(frozen=True)
class Imported:
    """A model in the cache; ``left_out`` are files of its source that it does not need."""

    directory: Path
    manifest: Manifest
    left_out: list[str] = field(default_factory=list)


def bring(
    source: str,
    watch: Watch,
    config: Models,
    *,
    name: str | None = None,
    licence: str | None = None,
) -> Imported:
    """Import ``source``: a directory, an archive, a .gguf file, a hub's `org/name`, or a cached
    model by its bare name or path, which is verified only unless it gets a name or licence.

    Raises ``Refused`` and other ``Misconfigured``, which say what to do.
    """
    cached = _cached(source, watch)
    if cached and not (name or licence):
        return cached
    if cached:
        source = str(cached.directory)
    wanted = name_of(name or _stem(source))

    def licensed(folder: Path) -> str:
        return directory.licence(folder, licence, config.licences)

    with local.locked(wanted):
        folder = local.staging(wanted)
        made = folder / "import"
        try:
            origin, left = _into(source, made, watch, config, licensed)
            shutil.rmtree(made / ".cache", ignore_errors=True)  # the hub's notes on its download
            files = [path for path in made.rglob("*") if path.is_file()]
            told = watch("hashing", sum(path.stat().st_size for path in files))
            manifest = directory.describe(made, wanted, origin, licensed(made), utcnow(), told)
            local.install(made, manifest, model_cache() / wanted)
        except Refused:
            shutil.rmtree(folder)  # other failures keep what can be continued
            raise
        shutil.rmtree(folder)
    return Imported(model_cache() / wanted, manifest, left)


def _stem(source: str) -> str:
    """What a model is called by its file's or folder's name."""
    path = Path(source).expanduser()
    if not path.exists():
        return source
    name = path.resolve().name
    endings = (*archives.SUFFIXES, ".gguf") if path.is_file() else ()
    for suffix in sorted(endings, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _cached(source: str, watch: Watch) -> Imported | None:
    """The cached model that is meant by its path or bare name. Raises ``Refused`` when damaged."""
    path, cache = Path(source).expanduser(), model_cache().resolve()
    if "/" in source and not path.exists():  # a hub's, although one of that name may be cached
        return None
    target = path.resolve() if path.exists() else cache / name_of(source)
    try:
        manifest = directory.written(target)
    except (OSError, Refused):
        return None
    if target.parent != cache:
        return None
    found = directory.changed(target, manifest, watch("verifying", manifest.size))
    if found:
        raise Refused(f"{target} is damaged ({', '.join(found)}): {_again(manifest)}")
    return Imported(target, manifest)


def _again(manifest: Manifest) -> str:
    if "hub" in manifest.source:
        what = f"import {manifest.source['model']} --name {manifest.name}"
    elif manifest.name in local.KNOWN:
        what = f"fetch {manifest.name}"
    else:
        told = ", ".join(f"{key} {value}" for key, value in manifest.source.items())
        return f"import it again from where it came ({told}), with --name {manifest.name}"
    return f"run `sourcier models {what}`"


def _into(
    source: str, made: Path, watch: Watch, config: Models, licensed: Callable[[Path], str]
) -> tuple[dict[str, str], list[str]]:
    """Bring the source into the folder ``made``; returns its origin and what was left out.

    What can be refused before gigabytes are copied or loaded is refused by then.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        directory.check(path)
        licensed(path)
        return {"directory": path.resolve().name}, _copy(path, made, watch)
    if not path.exists() and hub.is_name(source):
        return hub.download(source, made, lambda: _vet(made, licensed))
    if not path.is_file():
        raise Misconfigured(
            f"{source} is neither a directory, an archive, a .gguf file nor a hub's org/name"
        )
    shutil.rmtree(made, ignore_errors=True)
    origin = {"file": path.name, "sha256": directory.sha256(path)}
    if path.suffix.lower() == ".gguf":
        conversion.convert(path, made)
        return origin, []
    if not archives.is_archive(path):
        raise Misconfigured(f"{path.name} is none of {', '.join((*archives.SUFFIXES, '.gguf'))}")
    made.mkdir(parents=True)
    left = archives.unpack(path, made, config.archive_max_gib << 30, watch)
    for gguf in [each for each in made.iterdir() if each.suffix.lower() == ".gguf"]:
        packed = gguf.rename(made.with_name(gguf.name))
        conversion.convert(packed, made)
    return origin, left


def _vet(made: Path, licensed: Callable[[Path], str]) -> None:
    directory.look_into(directory.listing(made)[0])
    licensed(made)


def _copy(source: Path, made: Path, watch: Watch) -> list[str]:
    """A copy of the model's own files: what is looked into and hashed is what is stored."""
    shutil.rmtree(made, ignore_errors=True)
    files, left = directory.listing(source)
    told = watch("copying", sum(path.stat().st_size for path in files.values()))
    for name, path in files.items():
        target = made / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        told(target.stat().st_size)
    return left
