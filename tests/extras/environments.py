"""A clean environment with exactly the packages that an image pins, made of what is installed here.

Installing anew would take the network and minutes; a package linked file by file is the same as
one that `pip install --no-deps` puts there.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PINS = REPOSITORY / "deploy/docker/requirements"


class NotInstalled(Exception):
    """A pinned package is not here in that version."""


def pinned(image: str) -> dict[str, str]:
    text = (PINS / f"{image}.txt").read_text()
    found = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE)
    return dict(found)


def files_of(name: str, version: str) -> list[tuple[Path, Path]]:
    """Where each file of a package lies, and its place within site-packages."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise NotInstalled(f"{name} is pinned but not installed: run `make install-dev`") from error
    if found.version.split("+")[0] != version.split("+")[0]:
        told = f"{name} is {found.version} here, {version} in the image: run `make install-dev`"
        raise NotInstalled(told)
    files = found.files or []
    kept = [f for f in files if ".." not in f.parts and "__pycache__" not in f.parts]
    return [(Path(str(f.locate())), Path(str(f))) for f in kept]


def clean(image: str, folder: Path) -> Path:
    """The Python of a new environment in ``folder``."""
    python = folder / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(Path(sys.executable).resolve())
    (folder / "venv/pyvenv.cfg").write_text(
        f"home = {Path(sys.executable).resolve().parent}\ninclude-system-site-packages = false\n"
    )
    site = folder / "venv/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    packages = [files_of(name, version) for name, version in pinned(image).items()]
    # A folder that several packages share (google, opentelemetry) is made of links to files.
    owners = Counter(top for files in packages for top in {place.parts[0] for _, place in files})
    for files in packages:
        for source, place in files:
            top = site / place.parts[0]
            if owners[place.parts[0]] == 1:
                if not top.is_symlink():
                    top.symlink_to(Path(*source.parts[: -len(place.parts) + 1 or None]))
                continue
            (site / place).parent.mkdir(parents=True, exist_ok=True)
            if not (site / place).exists():  # some share an empty __init__.py
                (site / place).symlink_to(source)
    return python


def code(folder: Path, *services: str) -> Path:
    """A folder with the code of ``services`` and what all share, as in their image."""
    root = folder / "app"
    (root / "services").mkdir(parents=True)
    (root / "shared").symlink_to(REPOSITORY / "shared")
    (root / "services/__init__.py").symlink_to(REPOSITORY / "services/__init__.py")
    for service in services:
        (root / "services" / service).symlink_to(REPOSITORY / "services" / service)
    return root


def variables(**given: object) -> dict[str, str]:
    """The caller's environment without what is meant for its own Python, and ``given``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | {name: str(value) for name, value in given.items()}
