"""A service for tests: `python -m tests.broker.dies MODE FILE` notes each run of its handler.

`die` takes the process down in the handler; `slow` works two seconds, then says its output.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.bus import Bus
from shared.events import MailReceived
from shared.runtime import Parts, run
from shared.settings import Settings

from .conftest import stage
from .test_delivery import skipped


def note(notes: Path, line: str) -> None:
    with notes.open("a") as file:
        file.write(line + "\n")


@asynccontextmanager
async def build(settings: Settings, bus: Bus) -> AsyncIterator[Parts]:
    mode, notes = sys.argv[1], Path(sys.argv[2])

    @bus.hears(stage(ack_wait=5.0))
    async def heard(event: MailReceived) -> None:
        note(notes, f"run {event.id}")
        if mode == "die":
            os._exit(9)
        await asyncio.sleep(2)
        await bus.say(skipped(event))
        note(notes, f"done {event.id}")

    yield Parts()


if __name__ == "__main__":
    run("ingest", build)
