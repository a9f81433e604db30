"""Model directories on disk: held against the policy, described by a manifest, verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.models import manifest as manifests
from shared.models import policy, weights
from shared.models.licences import licence_of
from shared.models.manifest import File, Manifest
from shared.models.policy import CARD, MANIFEST, Refused
from shared.objects import Progress, unseen

PIECE = 1 << 22


def listing(directory: Path, within: Path | None = None) -> tuple[dict[str, Path], list[str]]:
    """The model's files by name and the names left out. Reads no content.

    Links must stay in ``within``, the directory itself by default. Raises ``Refused``.
    """
    home = (within or directory).resolve()
    found: dict[str, Path] = {}
    for name, path in _walk(directory):
        policy.check_path(name)
        if path.is_symlink() and not path.resolve().is_relative_to(home):
            raise Refused(f"{name} is a link out of the folder: copy the model with `cp -rL` first")
        if not path.is_file():
            raise Refused(f"{name} is neither a file nor a folder")
        found[name] = path
        if len(found) > policy.MAX_FILES:
            raise Refused(f"{directory} has more than {policy.MAX_FILES} files: it is no model")
    taken, left = policy.sort(found)
    return {name: found[name] for name in taken}, left


def _walk(directory: Path) -> Iterator[tuple[str, Path]]:
    """Files, and links that could be folders elsewhere, with their names; hidden folders are not
    entered: a model's are git's or a download's own."""
    for folder, folders, files in os.walk(directory):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in (*files, *links):
            path = here / name
            yield path.relative_to(directory).as_posix(), path


def check(directory: Path, within: Path | None = None) -> dict[str, Path]:
    """The model's files by name, each of them looked into. Raises ``Refused``."""
    files, _ = listing(directory, within)
    policy.check_whole(look_into(files))
    return files


def look_into(files: dict[str, Path]) -> dict[str, Any]:
    """What the JSON files among them hold, None for others. Raises ``Refused``."""
    return {name: _look_into(name, path) for name, path in files.items()}


def _look_into(name: str, path: Path) -> Any:
    """What a JSON file holds; None for others. Raises ``Refused``."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if name.lower().endswith(".safetensors"):
            first = file.read(weights.LENGTH)
            header = file.read(weights.header_length(name, first, size))
            weights.check_header(name, header, size)
            return None
        data = file.read(policy.MAX_TEXT + 1)
    if name.lower().endswith(".json"):
        return policy.check_json(name, data)
    policy.check_content(name, data)
    return None


def describe(
    directory: Path,
    name: str,
    source: dict[str, str],
    licence: str,
    created: datetime,
    progress: Progress = unseen,
) -> Manifest:
    """The manifest of a directory that the policy lets in. Raises ``Refused``."""
    files = check(directory)
    return Manifest(
        name=name,
        kind=manifests.kind_of(files),
        source=source,
        licence=licence,
        created=created,
        files={
            each: File(size=path.stat().st_size, sha256=sha256(path, progress))
            for each, path in files.items()
        },
    )


def licence(directory: Path, given: str | None, allowed: tuple[str, ...]) -> str:
    """That of the directory's model card, or ``given``. Raises ``Refused``."""
    card = directory / CARD
    with_card = card.is_file() and card.stat().st_size <= policy.MAX_TEXT
    return licence_of(card.read_text(errors="replace") if with_card else None, given, allowed)


def sha256(path: Path, progress: Progress = unseen) -> str:
    """Of a file, in hexadecimal digits."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            hashed.update(piece)
            progress(len(piece))
    return hashed.hexdigest()


def written(directory: Path) -> Manifest:
    """The manifest in ``directory``. Raises ``FileNotFoundError``, ``Refused``."""
    return manifests.read((directory / MANIFEST).read_bytes())


def differences(directory: Path, manifest: Manifest) -> list[str]:
    """Names of files that are missing, of another size or not in ``manifest``; reads no content."""
    have, _ = listing(directory)
    sizes = {name: path.stat().st_size for name, path in have.items()}
    named = {name: file.size for name, file in manifest.files.items()}
    return sorted(name for name in sizes | named if sizes.get(name) != named.get(name))


def changed(directory: Path, manifest: Manifest, progress: Progress = unseen) -> list[str]:
    """Names of files that are not as ``manifest`` says, by their hashes."""
    found = set(differences(directory, manifest))
    for name, file in manifest.files.items():
        if name not in found and sha256(directory / name, progress) != file.sha256:
            found.add(name)
    return sorted(found)


def problem(directory: Path, source: dict[str, str]) -> str | None:
    """Why ``directory`` is not the whole model made from ``source``; None when it is."""
    try:
        manifest = written(directory)
    except FileNotFoundError:
        return "it is not there yet"
    except (OSError, Refused) as error:
        return f"its {MANIFEST} cannot be read: {error}"
    if manifest.source != source:
        return "it was made from another source or by another version"
    try:
        found = changed(directory, manifest)
    except Refused as error:
        return str(error)
    return f"changed or missing: {', '.join(found)}" if found else None
