"""Three of each service: 300 e-mails, two killed in their midst, exactly one outcome each."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.test_stack_chaos import check, letters, meanwhile
from tests.flow.conftest import EXAMPLES, Stack, running

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.xdist_group("replicas"),
    pytest.mark.timeout(3000),
]
SCALED = ("ingest", "embed", "generate", "feedback")


@pytest.fixture(scope="module", params=["edge", "server"])
def three(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Three of each service; of retrieve where a Qdrant server keeps the index."""
    names = SCALED
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCIER_INGEST__DRAFTS_PER_SENDER_HOUR", "100000")
        if request.param == "server":
            url = os.environ.get("SOURCIER_TEST_QDRANT_URL")
            if not url:
                pytest.skip("retrieve is one on Edge; no server at SOURCIER_TEST_QDRANT_URL")
            patch.setenv("SOURCIER_RETRIEVAL__INDEX", "server")
            patch.setenv("SOURCIER_RETRIEVAL__URL", url)
            names = (*SCALED, "retrieve")
        options = [word for name in names for word in ("--scale", f"{name}=3")]
        for stack in running(tmp_path_factory.mktemp("three") / "data", *options):
            stack.run("add", EXAMPLES / "documents")
            yield stack


def test_two_of_three_killed_in_the_midst_of_300_emails(three: Stack, tmp_path: Path) -> None:
    chance = random.Random(6)  # noqa: S311 - a repeatable choice
    mails = letters(tmp_path / "mails", 300)
    before = len(three.lines("dead-letters", "list", "--json"))

    def kill() -> None:
        for name in chance.sample(sorted(three.state()["services"]), 2):
            time.sleep(5)
            os.kill(three.state()["services"][name]["pid"], signal.SIGKILL)

    check(three, meanwhile(kill, three, mails), mails, before)
