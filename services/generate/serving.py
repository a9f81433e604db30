"""The Ray Serve application: vLLM replicas behind an OpenAI-compatible address.

On one machine ``sourcier serve`` runs ``python -m services.generate.serving``; a cluster takes
``app`` by ``serve deploy deploy/ray/serve.yaml``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from services.generate import serving_plan
from services.generate.adapters import ray_machine
from services.generate.adapters.model_weights import adapter, weights
from shared.delivery import Unavailable
from shared.model_settings import Serving
from shared.models.policy import Refused
from shared.settings import Misconfigured, load

if TYPE_CHECKING:
    from ray.serve import Application

NAME = "sourcier"


class Failed(Exception):
    """The application does not start; says why."""


def app(args: dict[str, Any]) -> Application:
    """The application of the settings that ``args`` give, those of ``[serving]``."""
    from services.generate.adapters.vllm_server import application

    serving = serving_plan.chosen(args)
    plan = serving_plan.replica(serving, _device(serving), os.cpu_count() or 1)
    return application(plan, serving.adapters, serving.longest_generation, serving.stalled_after)


def _device(serving: Serving) -> serving_plan.Device:
    return ray_machine.device() if serving.device == "auto" else serving.device


def main(words: list[str]) -> int:
    """Serve on this machine until a signal; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, help="a file for the address, once it answers")
    state = parser.parse_args(words).state
    try:
        serving = _found(load().serving)
        port = serving.port or _free_port(serving.host)
        with ray_machine.machine(os.cpu_count() or 1, serving.host, port):
            _serve(serving, port, state)
    except (Misconfigured, Refused, Unavailable, Failed) as error:
        say(error, sys.stderr)
        return 1
    finally:
        if state is not None:
            state.unlink(missing_ok=True)
    return 0


def _found(serving: Serving) -> Serving:
    """The same with the directories of model and adapters: what is wrong with them is said before
    Ray starts."""
    found = {
        "name": serving_plan.served_name(serving),
        "model": str(weights(serving.model)),
        "adapters": {name: str(adapter(name, each)) for name, each in serving.adapters.items()},
    }
    return serving.model_copy(update=found)


def _serve(serving: Serving, port: int, state: Path | None) -> None:
    """Load the model, answer until a signal, drain."""
    from ray import serve

    for number in (signal.SIGTERM, signal.SIGINT):  # Ray has set its own
        signal.signal(number, _interrupt)
    handle = None
    try:
        say(f"loading {serving.name} …")
        handle = serve.run(app(serving.model_dump()), name=NAME, route_prefix="/")
        _tell(serving, port, state)
        while True:
            signal.pause()
    except RuntimeError as error:
        raise Failed(str(error)) from error
    except KeyboardInterrupt:
        if handle is not None:
            _drain(handle, serving.longest_generation)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _drain(handle: Any, seconds: float) -> None:
    say("finishing what is in hand …")
    try:
        left = handle.drain.remote(seconds).result()
    except KeyboardInterrupt:
        left = "some"
    if left:
        say(f"{left} requests were not finished")


def _tell(serving: Serving, port: int, state: Path | None) -> None:
    url = f"http://{serving.host}:{port}/v1"
    found = {"ENGINE": "openai", "ENDPOINT": url, "MODEL": serving.name}
    if _device(serving) == "cpu":
        found["IN_FLIGHT"] = str(serving_plan.BATCH_ON_CPU)
    exports = [f"  export SOURCIER_GENERATION__{name}={value}" for name, value in found.items()]
    say("\n".join([f"{serving.name} answers at {url}; to draft with it:", *exports]))
    if state is not None:
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text(json.dumps({"url": url, "model": serving.name, "pid": os.getpid()}))


def say(what: object, where: TextIO | None = None) -> None:
    print(f"serve: {what}", file=where or sys.stdout, flush=True)


def _free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    from services.generate.serving import main as run  # pickled by name, not as __main__

    sys.exit(run(sys.argv[1:]))
