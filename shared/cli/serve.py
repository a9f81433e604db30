"""``sourcier serve``: a language model on this machine, for drafting."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.problem import Problem
from shared.cli.where import Data, configured, data_folder, running_state

NEEDED = ("ray", "vllm")
GPUS = Path("/proc/driver/nvidia/gpus")


def serve(
    data: Data = None,
    model: Annotated[
        str | None,
        typer.Option(help="A directory, or a name of `sourcier models list`."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Where to answer; 0 takes a free one.")] = None,
) -> None:
    """Serve a language model here, by Ray Serve and vLLM, on a GPU or on the CPU.

    Prints the address and the variables with which `sourcier up` drafts with it. Ctrl-C finishes
    what is in hand. The section `[serving]` of sourcier.toml says more: replicas, lengths,
    adapters. A cluster is served by Ray's own `serve deploy deploy/ray/serve.yaml`.

    Example: `sourcier serve --model qwen2.5-coder-1.5b-instruct --port 8000`
    """
    if not all(map(find_spec, NEEDED)):
        raise Problem(f"vLLM is not installed here: {_how()}")
    for name, value in (("MODEL", model), ("PORT", port)):
        if value is not None:
            os.environ[f"SOURCIER_SERVING__{name}"] = str(value)
    configured()  # a wrong setting is told in words
    folder = data_folder(data)
    stack = running_state(folder)
    if stack:  # whose object store holds the imported models
        os.environ.update(stack["environment"])
    state = str(folder / "serving.json")
    command = [sys.executable, "-m", "services.generate.serving", "--state", state]
    os.execv(sys.executable, command)  # noqa: S606 - ourselves, no shell


def _how() -> str:
    on_cpu = "run `make install-serve`"
    if not any(GPUS.glob("*")):
        return f"{on_cpu} first"
    return (
        "for this machine's GPU run `pip install -r deploy/ray/requirements.in -e "
        "'.[generate,embed]'` in an environment of its own, and serve from that; to serve on the "
        f"CPU, {on_cpu}"
    )
