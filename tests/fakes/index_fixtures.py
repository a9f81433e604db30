"""Fixtures: the index through each of its adapters.

The server adapter runs against the server at ``SOURCIER_TEST_QDRANT_URL`` (its gRPC port), else a
container where a Docker engine answers, else qdrant-client's local mode, which the id of the test
then says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from services.retrieve.adapters.qdrant_edge import EdgeIndex
from services.retrieve.adapters.qdrant_server import ServerIndex, connect
from services.retrieve.service import REMOVALS, PassageIndex
from shared.settings import Retrieval


def _docker_answers() -> bool:
    program = shutil.which("docker")
    if program is None:
        return False
    return subprocess.run([program, "info"], capture_output=True, check=False).returncode == 0


def _server_kind() -> str:
    if os.environ.get("SOURCIER_TEST_QDRANT_URL"):
        return "server"
    return "server-container" if _docker_answers() else "server-adapter-on-local-mode"


SERVER = _server_kind()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str | None]:
    if SERVER == "server":
        yield os.environ["SOURCIER_TEST_QDRANT_URL"]
    elif SERVER == "server-container":
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.waiting_utils import wait_for_logs

        from tests.fixtures.containers import image

        with DockerContainer(image("qdrant")).with_exposed_ports(6334) as container:
            wait_for_logs(container, "Qdrant gRPC listening", timeout=60)
            host, port = container.get_container_host_ip(), container.get_exposed_port(6334)
            yield f"http://{host}:{port}"
    else:
        yield None


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is such a thing: tests need no real fsync."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder is made in it
    where = tempfile.mkdtemp(prefix="sourcier-", dir=memory if memory.is_dir() else None)
    yield Path(where)
    shutil.rmtree(where)


@pytest.fixture(params=["edge", SERVER])
async def index(
    request: pytest.FixtureRequest, folder: Path, server_url: str | None
) -> AsyncIterator[PassageIndex]:
    """An empty index."""
    if request.param == "edge":
        edge = EdgeIndex(folder / "index")
        await edge.open()
        yield edge
        await edge.close()
        return
    client = connect(Retrieval(url=server_url)) if server_url else AsyncQdrantClient(":memory:")
    server = ServerIndex(client, f"test-{uuid.uuid4().hex[:12]}")
    yield server
    for name in (*await server.embeddings(), REMOVALS):
        await server.discard(name)
    await server.close()
