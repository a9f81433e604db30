"""Outages and kills under a running stack: every e-mail still has exactly one outcome.

The suite runs the short versions; `make chaos` the long ones.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.flow.conftest import EXAMPLES, Stack, letter, running

pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(900)]
LONG = pytest.mark.chaos
SERVICES = ("ingest", "embed", "retrieve", "generate", "feedback")
QUESTIONS = (
    "Une crèche municipale peut-elle être aidée ?",
    "Quelle est la durée maximale du prêt ?",
    "Où se garer le dimanche ?",
)


@pytest.fixture(scope="module")
def chaotic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data = tmp_path_factory.mktemp("chaos") / "data"
    os.environ["SOURCIER_INGEST__DRAFTS_PER_SENDER_HOUR"] = "100000"
    try:
        for stack in running(data):
            stack.run("add", EXAMPLES / "documents")
            yield stack
    finally:
        del os.environ["SOURCIER_INGEST__DRAFTS_PER_SENDER_HOUR"]


def letters(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [
        letter(folder, f"m{n}", f"Bonjour,\r\n\r\n{QUESTIONS[n % 3]}\r\n\r\nCordialement")
        for n in range(count)
    ]


def meanwhile(action: Callable[[], None], stack: Stack, mails: list[Path]) -> dict[str, Any]:
    """The outcomes of ``mails``, sent while ``action`` does its damage."""
    thread = threading.Thread(target=action)
    thread.start()
    try:
        wanted = ("send", *mails, "--mailbox", "default", "--wait", "--json", "--timeout", "160")
        return {told["file"]: told for told in stack.lines(*wanted, ok=False)}
    finally:
        thread.join()


def check(stack: Stack, told: dict[str, Any], mails: list[Path], dead_before: int) -> None:
    assert Counter(t["outcome"] for t in told.values()).keys() <= {"draft", "declined"}, told
    assert len(told) == len(mails)
    ids = {t["mail_id"] for t in told.values()}
    kept = Counter(d["mail_id"] for d in stack.drafts())
    deadline = time.monotonic() + 30
    while not ids <= kept.keys() and time.monotonic() < deadline:
        time.sleep(0.5)
        kept = Counter(d["mail_id"] for d in stack.drafts())
    assert {kept[mail] for mail in ids} == {1}, "each e-mail has one draft in feedback"
    assert len(stack.lines("dead-letters", "list", "--json")) == dead_before


@pytest.mark.parametrize("count", [30, pytest.param(300, marks=LONG)])
def test_killed_services_lose_and_repeat_nothing(
    chaotic: Stack, tmp_path: Path, count: int
) -> None:
    chance = random.Random(count)  # noqa: S311 - a repeatable choice
    mails = letters(tmp_path / "mails", count)
    before = len(chaotic.lines("dead-letters", "list", "--json"))

    def kill() -> None:
        for service in chance.sample(SERVICES, 2):
            time.sleep(0.7)
            os.kill(chaotic.state()["services"][service]["pid"], signal.SIGKILL)

    check(chaotic, meanwhile(kill, chaotic, mails), mails, before)


@pytest.mark.parametrize("seconds", [6, pytest.param(120, marks=LONG)])
@pytest.mark.parametrize("server", ["postgres", "s3", "nats"])
def test_an_outage_of_a_server_uses_up_no_attempts(
    chaotic: Stack, tmp_path: Path, server: str, seconds: int
) -> None:
    mails = letters(tmp_path / "mails", 12)
    before = len(chaotic.lines("dead-letters", "list", "--json"))

    def freeze() -> None:
        root = psutil.Process(chaotic.state()["servers"][server]["pid"])
        frozen = [root, *root.children(recursive=True)]
        for process in frozen:
            process.suspend()
        time.sleep(seconds)
        for process in frozen:
            process.resume()

    if server == "nats":  # the command itself needs the broker to publish
        freeze()
        check(chaotic, meanwhile(lambda: None, chaotic, mails), mails, before)
    else:
        check(chaotic, meanwhile(freeze, chaotic, mails), mails, before)
