"""One model server for all tests of a real language model: minutes to start on two cores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.llm import adapter
from tests.llm.server import ADAPTER, ModelServer, directory


# Of the package: a model server left over slows the tests of other folders.
@pytest.fixture(scope="package")
def model_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """SmolLM2-135M and an adapter of it, behind small limits."""
    folder = tmp_path_factory.mktemp("serving")
    model = directory()
    adapter.write(model, folder / ADAPTER)
    server = ModelServer(folder, model, {ADAPTER: folder / ADAPTER})
    server.start()
    try:
        yield server
    finally:
        server.stop()
