"""GGUF to safetensors, by generate's tool in a process of its own: it takes much memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from shared.models.policy import Refused

TOOL = "services.generate.convert"


def convert(gguf: Path, target: Path) -> None:
    """Write the model of ``gguf`` as a directory ``target``. Raises ``Refused``."""
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", TOOL, str(gguf), "--to", str(target)]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    if done.returncode < 0:
        raise Refused(
            f"the conversion of {gguf.name} was ended by signal {-done.returncode}, most likely "
            "for want of memory: it takes about five times the size of a four-bit file"
        )
    if done.returncode:
        told = done.stderr.strip().splitlines()[-5:] or ["no reason given"]
        raise Refused("\n".join(told).removeprefix("error: "))
