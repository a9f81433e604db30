"""``python -m deploy.local.supervisor --data DIR``: the whole stack until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from deploy.local.folder import AlreadyRunning, DataFolder, Running
from deploy.local.process import StartFailed
from deploy.local.service import Supervised
from deploy.local.stack import Server, Stack
from shared.cli.accounts import way_in
from shared.cli.problem import Problem
from shared.cli.scaling import scaled
from shared.cli.where import Where, configured

DRAIN_MARGIN = 5.0
"""Seconds a service gets beyond its own drain deadline before it is killed."""

NO_PROCESS: dict[str, Any] = {"pid": None, "created": None}


class Supervisor:
    """Starts servers and services in their order, keeps them, stops them in reverse."""

    def __init__(self, folder: DataFolder, console: Console, scale: dict[str, int]) -> None:
        self._folder = folder
        self._console = console
        self._state = "starting"
        self._began = time.monotonic()
        self._stopped = asyncio.Event()
        self._stack = Stack(folder, scale)
        self._services: list[Supervised] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Returns the exit status: 0 after an orderly stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopped.set)
        try:
            await self._start()
            await self._stopped.wait()
        except (StartFailed, Problem) as error:
            self._say(f"[red]{escape(str(error))}")
            return 1
        finally:
            await self._stop()
        return 0

    async def _start(self) -> None:
        self._write()
        loop = asyncio.get_running_loop()
        # The servers start in threads, of which two may be done at once; the state has one writer.
        await asyncio.to_thread(
            self._stack.start, lambda up: loop.call_soon_threadsafe(self._server_started, up)
        )
        changes = await self._stack.apply_topology()
        if changes:
            self._say(f"topology applied ({len(changes)} changes)")
        if self._stopped.is_set():
            return
        logs = self._folder.logs
        for name, of in self._stack.processes.items():
            env = self._stack.environment(name)
            service = Supervised(name, of, self._stack.ports[name], env, logs, self._changed)
            self._services.append(service)
            self._tasks.append(asyncio.create_task(service.keep(), name=name))
        self._tasks.append(asyncio.create_task(self._keep_servers(), name="servers"))

    async def _keep_servers(self) -> None:
        """Start a server again that died; the services wait for it meanwhile."""
        while True:
            for server in self._stack.servers:
                if server.process and server.process.poll() is not None:
                    self._say(f"[yellow]{server.name} ended ({server.process.returncode}), again")
                    try:
                        await asyncio.to_thread(self._stack.restart, server)
                    except StartFailed as error:
                        self._say(f"[red]{escape(str(error))}")
                    self._write()
            await asyncio.sleep(1)

    async def _stop(self) -> None:
        """Services first, so that they can finish what they have in hand; servers after."""
        self._state = "stopping"
        self._write()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        seconds = configured().delivery.drain + DRAIN_MARGIN
        drained = await asyncio.gather(*(each.stop(seconds) for each in self._services))
        for service, fine in zip(self._services, drained, strict=True):
            if not fine:
                self._say(f"[yellow]{service.name} did not stop within {seconds:.0f} s: killed")
        await asyncio.to_thread(self._stack.stop)
        self._say("stopped")

    def _server_started(self, server: Server) -> None:
        self._say(f"{server.name} is up")
        self._write()

    def _changed(self, service: Supervised) -> None:
        match service.state:
            case "running":
                self._say(f"{service.name} is ready")
            case "restarting":
                self._say(f"[yellow]{service.name} {escape(service.problem)}; starting it again")
            case "crash loop":
                self._say(f"[red]{service.name} keeps ending; see {service.log}")
            case _:
                pass
        running = bool(self._services) and all(s.state == "running" for s in self._services)
        first = running and self._state == "starting"
        self._state = "running" if running else self._state
        self._write()
        if first and self._console.is_terminal:  # not into a log: whoever reads it could enter
            self._tasks.append(asyncio.create_task(self._tell_way_in(), name="way in"))

    async def _tell_way_in(self) -> None:
        name = next(n for n, of in self._stack.processes.items() if of == "feedback")
        desk = configured().desk.model_copy(update={"operator_token": self._stack.operator_token})
        config = configured().model_copy(update={"desk": desk})
        where = Where(config, {"feedback": {"url": f"http://127.0.0.1:{self._stack.ports[name]}"}})
        self._say(f"the desk: {escape(await asyncio.to_thread(way_in, where))}")

    def _write(self) -> None:
        """The state file, by which ``sourcier`` finds and shows the stack."""
        servers = {each.name: _process(each.process) for each in self._stack.servers}
        services = {
            each.name: _process(each.process)
            | {
                "url": each.url,
                "state": each.state,
                "restarts": each.restarts,
                "problem": each.problem,
                "log": str(each.log),
            }
            for each in self._services
        }
        self._folder.write_state(
            {
                "state": self._state,
                "pid": os.getpid(),
                "environment": self._stack.environment("operator"),
                "servers": servers,
                "services": services,
            }
        )

    def _say(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        self._console.print(f"[dim]{seconds:5.1f} s[/]  {text}", soft_wrap=True)


def _process(process: Any) -> dict[str, Any]:
    if process is None or process.poll() is not None:
        return NO_PROCESS
    running = Running.of(process.pid)
    return {"pid": running.pid, "created": running.created} if running else NO_PROCESS


def main() -> int:
    """Entry point; exits 1 with words when the stack cannot start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the stack's data folder")
    parser.add_argument("--scale", action="append", default=[], metavar="NAME=N")
    asked = parser.parse_args()
    folder = DataFolder(asked.data)
    console = Console(stderr=True, highlight=False)
    try:
        scale = scaled(asked.scale, configured())
        folder.take()
    except (AlreadyRunning, Problem) as error:
        console.print(f"[red]{escape(str(error))}", soft_wrap=True)
        return 1
    left = folder.recover()
    if left:
        console.print(f"ended {left} processes of a stack that was not stopped")
    try:
        return asyncio.run(Supervisor(folder, console, scale).run())
    finally:
        folder.release()


if __name__ == "__main__":
    sys.exit(main())
