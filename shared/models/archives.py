"""A model out of an archive (zip, wheel, tar): only what the policy lets in, never outside."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from shared.models import policy
from shared.models.bars import Watch
from shared.models.directory import PIECE
from shared.models.policy import Refused

SUFFIXES = (".zip", ".whl", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_ENTRIES = 20_000
MARKS = ("config.json", "adapter_config.json")
"""A folder with one of them is a model's."""
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a zip's way of compression
)


@dataclass(frozen=True)
class Entry:
    """A file in the archive; ``link`` says that it is none but leads elsewhere."""

    name: str
    size: int
    link: bool


class Archive(Protocol):
    """What is common to zip and tar."""

    def entries(self) -> Iterator[Entry]: ...
    def open(self, name: str) -> IO[bytes]: ...


def is_archive(path: Path) -> bool:
    """Whether the file's name is an archive's."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(path: Path, folder: Path, limit: int, watch: Watch) -> list[str]:
    """Write the model in the archive into ``folder``: a model directory's files, or one GGUF.

    The model is what lies in the shallowest folder with a config.json; a wheel has code beside
    it, which is left out. Returns the names left out. Raises ``Refused`` before anything is
    written when a name leads out of the folder, is a link, is not let in, when the files are
    larger than ``limit`` bytes together, or when the archive is damaged.
    """
    try:
        with _opened(path) as archive:
            files, left = _chosen(_checked(path, archive, limit))
            if shutil.disk_usage(folder).free < sum(entry.size for entry in files.values()):
                raise Refused(f"{path.name} unpacked is larger than the room left in {folder}")
            told = watch("unpacking", sum(entry.size for entry in files.values()))
            for name, entry in files.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry.name) as packed, target.open("xb") as file:
                    while piece := packed.read(PIECE):
                        file.write(piece)
                        told(len(piece))
    except _BROKEN as error:
        raise Refused(f"{path.name} is no archive that can be read: {error}") from error
    return left


def _checked(path: Path, archive: Archive, limit: int) -> list[Entry]:
    """All entries, harmless by name and kind. Raises ``Refused``."""
    found: dict[str, Entry] = {}
    total = 0
    for entry in archive.entries():
        policy.check_path(entry.name)
        if entry.link:
            raise Refused(f"{entry.name} in {path.name} is a link or a device, not a file")
        name = str(PurePosixPath(entry.name))
        if name in found:
            raise Refused(f"{name} is twice in {path.name}")
        found[name] = entry
        total += entry.size
        if len(found) > MAX_ENTRIES:
            raise Refused(f"{path.name} has more than {MAX_ENTRIES} files: it is no model")
        if total > limit:
            raise Refused(
                f"{path.name} is larger than {limit / 2**30:.0f} GiB when it is unpacked; "
                "[models] archive_max_gib in sourcier.toml is the limit"
            )
    return list(found.values())


def _chosen(entries: list[Entry]) -> tuple[dict[str, Entry], list[str]]:
    """The model's files by their names in its folder, in the archive's order (a compressed tar is
    read forwards only), and the names left out."""
    paths = {PurePosixPath(entry.name): entry for entry in entries}
    homes = sorted(sorted({path.parent for path in paths if path.name in MARKS}), key=_depth)
    if not homes:
        ggufs = [path for path in paths if path.suffix.lower() == ".gguf"]
        if len(ggufs) != 1:
            raise Refused("the archive holds no model: no folder with a config.json, no GGUF file")
        return {ggufs[0].name: paths[ggufs[0]]}, [str(p) for p in paths if p != ggufs[0]]
    home = homes[0]
    if any(_depth(other) == _depth(home) for other in homes[1:]):
        raise Refused(f"the archive holds several models ({homes[0]}, {homes[1]}, …): unpack it")
    inside = {str(p.relative_to(home)): e for p, e in paths.items() if p.is_relative_to(home)}
    taken, left = policy.sort(inside)
    outside = [str(path) for path in paths if not path.is_relative_to(home)]
    return {name: entry for name, entry in inside.items() if name in set(taken)}, left + outside


def _depth(path: PurePosixPath) -> int:
    return len(path.parts)


@contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    if path.name.lower().endswith((".zip", ".whl")):
        with zipfile.ZipFile(path) as packed:
            yield _Zip(packed)
    else:
        with tarfile.open(path, "r:*") as packed_tar:
            yield _Tar(packed_tar)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def entries(self) -> Iterator[Entry]:
        for info in self._archive.infolist():
            if info.flag_bits & 1:
                raise Refused(f"{info.filename} is encrypted: unpack the archive first")
            mode = stat.S_IFMT(info.external_attr >> 16)
            if not info.is_dir():
                yield Entry(info.filename, info.file_size, mode not in (0, stat.S_IFREG))

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(name)


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def entries(self) -> Iterator[Entry]:
        for info in self._archive:
            if not info.isdir():
                yield Entry(info.name, info.size, not info.isreg())

    def open(self, name: str) -> IO[bytes]:
        file = self._archive.extractfile(name)
        if file is None:
            raise tarfile.ReadError(f"{name} cannot be read")
        return file
