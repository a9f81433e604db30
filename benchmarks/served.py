"""A vLLM to measure, and an embedded stack that drafts at it."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.demo_model import ModelServer
from deploy.local.process import tail
from shared.cli.where import Where, locate
from shared.model_settings import ModelProfile
from shared.settings import Settings


@dataclass(frozen=True)
class Served:
    """A vLLM behind an OpenAI-compatible address."""

    url: str
    model: str

    async def counters(self) -> dict[str, float]:
        """vLLM's counters, summed over replicas, and its cache block size."""
        root = self.url.removesuffix("/v1")
        async with httpx.AsyncClient(timeout=30) as http:
            answer = await http.get(f"{root}/metrics")
        answer.raise_for_status()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0) + sample.value
                if "block_size" in sample.labels:
                    found["block_size"] = float(sample.labels["block_size"])
        return found

    async def spent(self, before: dict[str, float]) -> dict[str, float]:
        """By how much the counters went up."""
        now = await self.counters()
        return {name: value - before.get(name, 0) for name, value in now.items()}


@contextmanager
def serving(options: argparse.Namespace, folder: Path) -> Iterator[Served]:
    """The endpoint that was given, else our own serving of ``options.served``."""
    if options.endpoint:
        yield Served(options.endpoint.rstrip("/"), options.model)
        return
    os.environ |= {
        "SOURCIER_SERVING__MODEL": options.served,
        "SOURCIER_SERVING__KV_CACHE_GIB": str(options.cache),
    }
    server = ModelServer(Settings().serving, folder)
    print(f"loading {server.name}", flush=True)
    server.start()
    try:
        server.wait(lambda: None)
        yield Served(server.environment["SOURCIER_GENERATION__ENDPOINT"], server.name)
    except BaseException:
        print(f"the model server's last words:\n{tail(folder / 'serving.log')}")
        raise
    finally:
        server.stop()


@contextmanager
def stack(folder: Path, served: Served, profile: ModelProfile) -> Iterator[Where]:
    """An embedded stack that drafts at ``served``."""
    program = str(Path(sys.executable).with_name("sourcier"))
    environment = {
        "SOURCIER_GENERATION__ENGINE": "openai",
        "SOURCIER_GENERATION__ENDPOINT": served.url,
        "SOURCIER_GENERATION__MODEL": served.model,
        "SOURCIER_GENERATION__MODELS": json.dumps({served.model: profile.model_dump()}),
    }
    data = ["--data", str(folder)]
    subprocess.run([program, "up", "--detach", *data], check=True, env=os.environ | environment)
    try:
        yield locate(folder)
    finally:
        subprocess.run([program, "down", *data], check=True)
