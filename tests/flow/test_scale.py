"""Several processes of a service: what `--scale` takes, and a stack that runs so."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from shared.cli.problem import Problem
from shared.cli.scaling import replicas, scaled
from shared.settings import Retrieval, Settings
from tests.chaos.test_stack_chaos import check, letters, meanwhile

from .conftest import EXAMPLES, Stack, running

pytestmark = [pytest.mark.xdist_group("scale"), pytest.mark.timeout(600)]
TWICE = ("ingest", "embed", "generate", "feedback")
EDGE = Settings(retrieval=Retrieval(index="edge"))
SERVER = Settings(retrieval=Retrieval(index="server"))


def test_scale_counts_processes_by_service() -> None:
    assert scaled(["embed=2", "generate=3"], EDGE) == {"embed": 2, "generate": 3}
    assert replicas("embed", {"embed": 3}) == ["embed", "embed-2", "embed-3"]
    assert replicas("ingest", {"embed": 3}) == ["ingest"]
    assert scaled(["retrieve=3"], SERVER) == {"retrieve": 3}


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("embd=2", "no service 'embd'; one of embed, "),
        ("embed", "write --scale embed=N"),
        ("embed=0", "from 1 to 16"),
        ("embed=two", "from 1 to 16"),
        ("retrieve=2", "Qdrant server"),
        ("mail=2", "bridge is not configured"),
    ],
)
def test_what_cannot_be_scaled_so_is_said(word: str, told: str) -> None:
    with pytest.raises(Problem, match=told):
        scaled([word], EDGE)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with two processes of each service but retrieve, whose index lies inside it."""
    options = [word for name in TWICE for word in ("--scale", f"{name}=2")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCIER_INGEST__DRAFTS_PER_SENDER_HOUR", "100000")
        for stack in running(tmp_path_factory.mktemp("scale") / "data", *options):
            stack.run("add", EXAMPLES / "documents/presentation-edurenov.md")
            yield stack


def test_each_process_is_seen_and_shares_its_service_s_consumer(twice: Stack) -> None:
    services = twice.state()["services"]
    wanted = {name for each in TWICE for name in (each, f"{each}-2")} | {"retrieve"}
    assert services.keys() == wanted
    assert len({row["url"] for row in services.values()}) == len(wanted)
    told = {row["name"]: row["ready"] for row in twice.json("status")["services"]}
    assert told == dict.fromkeys(wanted, True)

    async def waiting() -> int:
        env = twice.state()["environment"]
        client = await nats.connect(
            env["SOURCIER_NATS__URL"], nkeys_seed=env["SOURCIER_NATS__NKEY_SEED"]
        )
        info = await client.jetstream().consumer_info("MAIL", "embed-mail")
        await client.close()
        return info.num_waiting or 0

    assert asyncio.run(waiting()) >= 2, "both ask the one consumer for messages"


def test_killed_replicas_lose_and_repeat_nothing(twice: Stack, tmp_path: Path) -> None:
    mails = letters(tmp_path / "mails", 24)
    before = len(twice.lines("dead-letters", "list", "--json"))

    def kill() -> None:
        for name in ("embed-2", "generate"):
            time.sleep(0.7)
            os.kill(twice.state()["services"][name]["pid"], signal.SIGKILL)

    check(twice, meanwhile(kill, twice, mails), mails, before)
