"""``make demo``: the whole journey on the examples, on this machine, in a fresh data folder.

Drafts are written by the endpoint that is configured, by a model of our own serving with
``--model`` (``make demo-vllm``), else without a model. A GPU is used when this environment has
vLLM's build for it (``deploy/ray/requirements.in``); what ``make`` installs is for CPUs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from deploy.local import demo_model
from deploy.local.demo_model import Way
from deploy.local.process import spawn, tail
from deploy.local.stack import SERVICES
from shared.cli.accounts import way_in
from shared.cli.adding import FAILED, Desk, Paper, Result
from shared.cli.client import connected
from shared.cli.documents import progress
from shared.cli.outcomes import Outcome
from shared.cli.plain import line, lines
from shared.cli.problem import Problem
from shared.cli.render import panel, table
from shared.cli.sending import Letter, Post
from shared.cli.where import Where, configured, locate, running_state

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DATA = ROOT / ".sourcier" / "demo"
START_WITHIN = 240.0
SETTLED = {"draft", "declined", "skipped"}
BAR = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
)


class Demo:
    """One run; everything it shows goes to ``console``."""

    def __init__(self, console: Console, asked: bool = False) -> None:
        self._console = console
        self._asked = asked
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._model: demo_model.ModelServer | None = None
        self._began = time.monotonic()

    def run(self) -> int:
        """Returns 0 when every example e-mail got an outcome."""
        settings = configured()
        way = demo_model.way(settings.generation, self._asked)
        self._weights()
        if way == "serving":
            demo_model.fetched(settings.serving)
        self._clear()
        self._model = demo_model.prepared(settings, way, DATA)
        if self._model:
            self._model.start()
        self._start()
        where = locate(DATA)
        papers = [Paper(p, p.name) for p in _files(EXAMPLES / "documents")]
        letters = [Letter(p.name, p.read_bytes()) for p in _files(EXAMPLES / "mails", ".eml")]
        results = asyncio.run(self._add(where, papers))
        self._wait_for_model()
        outcomes = asyncio.run(self._send(where, letters))
        self._summary(where, results, outcomes, way)
        if os.environ.get("DEMO_EXIT") != "1":
            self._console.print("\n[bold]The stack stays up until Ctrl-C.[/]")
            with suppress(KeyboardInterrupt):
                signal.pause()
        settled = [o for o in outcomes if o["outcome"] in SETTLED]
        return 0 if len(settled) == len(letters) else 1

    def stop(self) -> None:
        """Drain and stop the stack, then the model server."""
        if self._supervisor is None and self._model is None:
            return
        with self._console.status("stopping: services finish what they have in hand"):
            try:
                if self._supervisor is not None:
                    self._supervisor.terminate()
                    self._supervisor.wait()
                if self._model is not None:
                    self._model.stop()
            except KeyboardInterrupt:  # a second Ctrl-C: now; what is left ends with us
                return
        self._console.print("stopped")

    def _weights(self) -> None:
        command = [sys.executable, "-m", "services.embed.fetch"]
        if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own command
            raise Problem("the model's weights could not be fetched; what failed stands above")

    def _clear(self) -> None:
        if running_state(DATA):
            raise Problem(f"a demo is running already; stop it: sourcier down --data {DATA}")
        # The same e-mail twice is a duplicate: each demonstration begins with an empty folder.
        shutil.rmtree(DATA, ignore_errors=True)
        DATA.mkdir(parents=True)

    def _start(self) -> None:
        log = DATA / "supervisor.log"
        command = [sys.executable, "-m", "deploy.local.supervisor", "--data", str(DATA)]
        self._supervisor = spawn(command, log)
        deadline = time.monotonic() + START_WITHIN
        told = Text("starting NATS, PostgreSQL, S3 and the services: ")
        with self._console.status("starting") as shown:
            while (state := running_state(DATA) or {}).get("state") != "running":
                shown.update(told + line(_up(state)))
                self._check(state, log, deadline)
                time.sleep(0.1)
        self._say(f"NATS, PostgreSQL, S3 and {len(SERVICES)} services are up")

    def _check(self, state: dict[str, Any], log: Path, deadline: float) -> None:
        """Raises ``Problem`` when the stack cannot come up."""
        if self._supervisor is None or self._supervisor.poll() is not None:
            raise Problem(f"the stack did not start:\n{tail(log)}")
        for name, row in state.get("services", {}).items():
            if row["state"] == "crash loop":
                raise Problem(
                    f"{name} keeps ending; its log {row['log']}:\n{tail(Path(row['log']))}"
                )
        if time.monotonic() > deadline:
            raise Problem(
                f"not up after {START_WITHIN:.0f} s: {_up(state)}; logs in {DATA / 'logs'}"
            )

    async def _add(self, where: Where, papers: Sequence[Paper]) -> list[Result]:
        results: list[Result] = []
        async with connected(where.settings) as client:
            desk = Desk(client, where.store(), "default", "public")
            with progress() as bar:
                task = bar.add_task("reading the example documents", total=len(papers))
                async for result in desk.follow(papers):
                    results.append(result)
                    bar.advance(task)
        chunks = sum(result.chunks for result in results)
        self._say(f"{len(results)} documents read, {chunks} passages")
        for each in results:
            if each.state in FAILED:
                self._console.print(line(f"{each.name}: {each.detail}", "red"))
        return results

    def _wait_for_model(self) -> None:
        if self._model is None:
            return
        began = time.monotonic()
        told = f"loading {self._model.name}: about a minute on a CPU"
        self._say(told)
        with self._console.status(told) as shown:
            self._model.wait(lambda: shown.update(f"{told}, {time.monotonic() - began:.0f} s"))
        self._say(f"{self._model.name} answers")

    async def _send(self, where: Where, letters: Sequence[Letter]) -> list[Outcome]:
        self._console.print(f"{len(letters)} e-mails handed in as mail.received\n")
        outcomes: list[Outcome] = []
        patience = 180.0 + where.settings.generation.timeout * len(letters)
        async with connected(where.settings) as client:
            objects = where.store()
            post = Post(client, objects, "default", patience)
            with Progress(*BAR, console=self._console, transient=True) as bar:
                task = bar.add_task("e-mails answered", total=len(letters))
                async for outcome in post.follow(letters):
                    outcomes.append(outcome)
                    self._console.print(panel(outcome))
                    bar.advance(task)
        return outcomes

    def _summary(
        self, where: Where, results: Sequence[Result], outcomes: Sequence[Outcome], way: Way
    ) -> None:
        rows = [
            [
                o["file"],
                o["outcome"],
                str(o["reason"]) or f"sources: {len(o['sources'])}",
                str(o["engine"]),
                f"{o['timings']['total']:.2f}",
            ]
            for o in sorted(outcomes, key=lambda o: str(o["file"]))
        ]
        counts = Counter(str(o["outcome"]) for o in outcomes)
        told = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
        title = f"{len(outcomes)} e-mails: {told}; {len(results)} documents "
        self._console.print(
            table(line(title) + self._at(), ["e-mail", "outcome", "because", "engine", "s#"], rows)
        )
        # Without a frame, so that lines can be copied.
        told = f"\n{_next(where)}\n\n{demo_model.last_words(way, where.settings.generation.model)}"
        self._console.print(told, soft_wrap=True, markup=False, highlight=False)

    def _say(self, text: str) -> None:
        self._console.print(line(f"{text} ") + self._at())

    def _at(self) -> Text:
        return Text(f"({time.monotonic() - self._began:.0f} s)", "dim")


def _files(folder: Path, suffix: str = "") -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and p.name.endswith(suffix))


def _up(state: dict[str, Any]) -> str:
    """Which parts are up, by name."""
    servers = [name for name, row in state.get("servers", {}).items() if row["pid"]]
    rows = state.get("services", {})
    ready = [name for name, row in rows.items() if row["state"] == "running"]
    waiting = [f"{name} ({row['problem'] or row['state']})" for name, row in rows.items()]
    still = [text for text in waiting if text.split(" ")[0] not in ready]
    return ", ".join([*servers, *ready]) + (f"; waiting for {', '.join(still)}" if still else "")


def _next(where: Where) -> str:
    data = os.path.relpath(DATA)
    program = os.path.relpath(Path(sys.executable).with_name("sourcier"))
    return (
        f"the desk              {way_in(where)}\n"
        f"again                 {program} accounts link admin --data {data}\n"
        f"your own e-mail       {program} send my.eml --wait --data {data}\n"
        f"your own documents    {program} add FOLDER --data {data}\n"
        f'search                {program} search "…" --data {data}\n'
        f"how it is             {program} status --data {data}\n"
        f"logs                  {data}/logs"
    )


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="store_true", help="draft with a model served here")
    asked = parser.parse_args().model
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    demo = Demo(console, asked)
    try:
        return demo.run()
    except Problem as problem:
        console.print(lines(problem, "red"))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        demo.stop()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # once more, while it was stopping
        sys.exit(130)
