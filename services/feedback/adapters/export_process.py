"""Starts the program that makes a version of the datasets, beside the service."""

from __future__ import annotations

import asyncio
import sys

from services.feedback.training.versions import Export


class ExportProcess:
    """One program an export: what it takes of memory and time, the desk does not feel."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[int]] = set()

    async def __call__(self, export: Export) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.feedback.export", "--export-id", str(export.export_id)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        task = asyncio.create_task(process.wait(), name="export")
        self._running.add(task)  # a task that nobody holds may be collected
        task.add_done_callback(self._running.discard)
