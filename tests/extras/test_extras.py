"""Each service becomes ready with nothing but what its image installs: no hidden dependency."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.nats import NatsServer
from deploy.local.process import free_ports
from deploy.local.service import wait_until_ready
from shared import admin
from shared.settings import Nats, Objects, Settings, Streams, model_cache

from .environments import REPOSITORY, clean, code, variables

pytestmark = [pytest.mark.xdist_group("extras"), pytest.mark.timeout(400)]
IMAGE = {"embed": "embed-cpu"}
SERVICES = ("ingest", "embed", "retrieve", "generate", "feedback", "mail")
ELSEWHERE = {f"services.generate.{name}" for name in ("convert", "fetch", "serving")}
ELSEWHERE |= {
    f"services.generate.adapters.{name}" for name in ("gguf_files", "model_weights", "vllm_server")
}
"""What the model's image runs, not the service's."""
ELSEWHERE.add("services.ingest.explain")  # the command's: `make install`
NEEDS_MODEL = {"ingest", "embed"}
WITHIN = 150.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A nats-server of our own, as `sourcier topology apply` makes it."""
    folder = tmp_path_factory.mktemp("nats")
    server = NatsServer(folder, folder / "nats.log", free_ports(1)[0])
    server.start()
    config = Settings(nats=Nats(url=server.url), streams=Streams(max_bytes=16 * 1024 * 1024))
    asyncio.run(admin.apply(config))
    yield server
    server.stop()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_ready_with_only_its_own_packages(
    service: str, broker: NatsServer, postgres_dsn: str, s3: Objects, tmp_path: Path
) -> None:
    if service in NEEDS_MODEL and not (model_cache() / "multilingual-e5-small").is_dir():
        pytest.skip("multilingual-e5-small is not in the cache: run `sourcier models fetch`")
    python = clean(IMAGE.get(service, service), tmp_path)
    port, lmtp = free_ports(2)
    config = tmp_path / "sourcier.toml"
    config.write_text('[mailboxes.default]\naddresses = ["guichet@ville.example"]\n')
    env = variables(
        SOURCIER_CONFIG=config,
        SOURCIER_NATS__URL=broker.url,
        SOURCIER_STREAMS__MAX_BYTES=16 * 1024 * 1024,
        SOURCIER_POSTGRES__DSN=postgres_dsn,
        SOURCIER_OBJECTS__ENDPOINT=s3.endpoint,
        SOURCIER_OBJECTS__ACCESS_KEY=s3.access_key,
        SOURCIER_OBJECTS__SECRET_KEY=s3.secret_key.get_secret_value(),
        SOURCIER_OBJECTS__BUCKET=s3.bucket,
        SOURCIER_RETRIEVAL__PATH=tmp_path / "index",
        SOURCIER_DESK__ACCOUNTS=tmp_path / "accounts.toml",
        SOURCIER_HTTP__PORT=port,
        **({"SOURCIER_BRIDGE__LISTEN__LMTP": lmtp} if service == "mail" else {}),
    )
    log = tmp_path / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", f"services.{service}.app"],
            cwd=code(tmp_path, service),
            env=env,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process, log, WITHIN)
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


EVERY_MODULE = """
import importlib, pkgutil, sys
import services.{0} as service
left = {1!r}
for found in pkgutil.walk_packages(service.__path__, "services.{0}."):
    if found.name not in left:
        importlib.import_module(found.name)
"""


@pytest.mark.parametrize("service", SERVICES)
def test_every_module_of_a_service_imports_with_its_packages(service: str, tmp_path: Path) -> None:
    python = clean(IMAGE.get(service, service), tmp_path)
    done = run(python, code(tmp_path, service), "-c", EVERY_MODULE.format(service, ELSEWHERE))
    assert done.returncode == 0, done.stderr[-2000:]


def run(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *words], cwd=folder, env=variables(), capture_output=True, text=True, timeout=300
    )


def test_the_operator_s_command_needs_only_its_own_packages(tmp_path: Path) -> None:
    python = clean("operator", tmp_path)
    folder = code(tmp_path, "embed", "feedback")
    (folder / "deploy").symlink_to(REPOSITORY / "deploy")
    done = run(python, folder, "-m", "shared.cli.main", "--help")
    assert done.returncode == 0, done.stderr
    for module in ("deploy.docker.prepare", "services.embed.fetch"):
        done = run(python, folder, "-c", f"import {module}")
        assert done.returncode == 0, done.stderr
    done = run(python, folder, "-m", "shared.cli.main", "doctor", "--json")
    assert done.stdout.startswith(("[", "{")), done.stderr
    assert "No module named" not in done.stdout + done.stderr
    for looked_with in ("asyncpg", "packaging", "qdrant_client"):
        assert run(python, folder, "-c", f"import {looked_with}").returncode == 0
    out = tmp_path / "out"
    out.mkdir()
    done = run(python, folder, "-m", "deploy.docker.secrets", "--to", str(out))
    assert done.returncode == 0, done.stderr
    accounts = str(tmp_path / "accounts.toml")
    tool = ("-m", "services.feedback.accounts_tool", "--file", accounts, "list")
    done = run(python, folder, *tool)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


@pytest.mark.chaos
def test_the_model_server_needs_only_its_own_packages(tmp_path: Path) -> None:
    python = clean("model-cpu", tmp_path)
    folder = code(tmp_path, "generate")
    done = run(python, folder, "-c", EVERY_MODULE.format("generate", set()))
    assert done.returncode == 0, done.stderr[-3000:]
