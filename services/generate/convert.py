"""Converts a GGUF file to safetensors: `python -m services.generate.convert FILE.gguf --to DIR`.

A process of its own, because it takes much memory. Afterwards DIR can be served, or imported with
`sourcier models import DIR`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from shared.settings import Misconfigured

MAGIC = b"GGUF"


def _check(gguf: Path) -> None:
    with gguf.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise Misconfigured(f"{gguf.name} is no GGUF file, whatever its name says")


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m services.generate.convert", description=__doc__
    )
    parser.add_argument("gguf", type=Path, metavar="FILE.gguf")
    parser.add_argument("--to", type=Path, metavar="DIR", required=True)
    options = parser.parse_args(arguments)
    os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported
    try:
        _check(options.gguf)
        from services.generate.adapters.gguf_files import convert  # slow: after the check

        convert(options.gguf, options.to)
    except (Misconfigured, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
