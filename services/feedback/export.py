"""Makes a version of the datasets: `python -m services.feedback.export all --out FOLDER`.

Reads the reviews from PostgreSQL, writes Parquet and JSON lines with a card and a manifest, and
stores them as `datasets/vN/`. The desk and `sourcier export` run this; alone it suits a job at
night. Exits 1 with the reason when there is no version.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as software
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from services.feedback.access import SYSTEM
from services.feedback.adapters.dataset_files import DatasetFolder, ParentFolder, described
from services.feedback.adapters.dataset_rows import PostgresReviewed
from services.feedback.adapters.dataset_versions import PostgresVersions
from services.feedback.adapters.presidio import PresidioRecogniser, kept_words
from services.feedback.training.card import card, manifest
from services.feedback.training.exporting import Plan, Tally, export, without_persons
from services.feedback.training.pairs import KINDS, Row, Wish
from services.feedback.training.versions import MANIFEST, SILENT, Export, ExportWish
from shared.delivery import Invalid, Unavailable
from shared.objects import ObjectStore, S3Objects
from shared.postgres import open_pool
from shared.settings import Misconfigured, Settings, load

SIGN_SECONDS = 2.0


class Fruitless(Exception):
    """There is no version; the text is a code and figures, or words."""


class Reporter:
    """Tells how far it is: in the database, and on a terminal."""

    def __init__(self, versions: PostgresVersions, export_id: UUID) -> None:
        self._versions, self._id = versions, export_id
        self.stage, self.done, self.total = "counting", 0, 0

    async def told(self, mails: int) -> None:
        """So many e-mails are done."""
        self.done = mails
        if sys.stderr.isatty():
            print(f"\r{mails} of {self.total} e-mails", end="", file=sys.stderr, flush=True)  # noqa: T201 - a program that prints

    @contextlib.asynccontextmanager
    async def signs(self) -> AsyncIterator[None]:
        """While this runs, the database knows that the export lives."""
        task = asyncio.create_task(self._repeat(), name="signs")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _repeat(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                await self._versions.tell(self._id, self.stage, self.done, self.total)
            await asyncio.sleep(SIGN_SECONDS)


_recogniser: PresidioRecogniser


def _load(kept: Sequence[str]) -> None:
    global _recogniser
    _recogniser = PresidioRecogniser(kept)


def _without(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return without_persons(rows, _recogniser)


def executor(workers: int, kept: Sequence[str]) -> Executor:
    """Where personal data is looked for: a thread, or several processes."""
    if workers == 1:
        return ThreadPoolExecutor(1, initializer=_load, initargs=(kept,))
    fresh = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, fresh, initializer=_load, initargs=(kept,))


@dataclass(frozen=True)
class Job:
    """A version to be made: of what, from where, told to whom."""

    config: Settings
    wish: ExportWish
    mailboxes: list[str] | None
    workers: int
    versions: PostgresVersions
    rows: PostgresReviewed
    report: Reporter

    async def make(self, folder: Path) -> dict[str, Any]:
        """Write the version into ``folder`` and store it; its manifest."""
        objects = _objects(self.config)
        await objects.ready()
        plan, number = self._plan(), await self.versions.next_version()
        parent = await self.versions.parent(self.mailboxes, plan.seed)
        self.report.total = await self.rows.count()
        self.report.stage = "reading"
        with tempfile.TemporaryDirectory(prefix="sourcier-parent-") as before:
            known = await _fetched(objects, parent, Path(before)) if parent else None
            tally = await self._written(plan, folder, ParentFolder(known))
        if not sum(tally.rows.values()):
            raise Fruitless(_empty(tally))
        made = manifest(
            number, datetime.now(UTC), plan, tally, (), self.mailboxes, parent, software("sourcier")
        )
        (folder / "README.md").write_text(card(made), encoding="utf-8")
        made["files"] = described(folder)
        (folder / MANIFEST).write_text(
            json.dumps(made, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
        self.report.stage = "storing"
        for path in [*(file["path"] for file in made["files"]), MANIFEST]:
            await objects.put_file(f"{prefix(number)}{path}", folder / path)
        return made

    def _plan(self) -> Plan:
        settings = self.config.datasets
        return Plan(
            Wish(frozenset(self.wish.kinds), self.wish.include_extractive),
            settings.seed,
            settings.validation,
            settings.test,
            PresidioRecogniser(kept_words(settings.kept)).fingerprint,
        )

    async def _written(self, plan: Plan, folder: Path, parent: ParentFolder) -> Tally:
        output = DatasetFolder(folder, plan.wish.kinds)
        loop = asyncio.get_running_loop()
        with executor(self.workers, kept_words(self.config.datasets.kept)) as pool:

            def replace(rows: Sequence[Row]) -> Awaitable[list[dict[str, Any]]]:
                return loop.run_in_executor(pool, _without, rows)

            told = self.report.told
            try:
                return await export(self.rows, parent, output, replace, plan, told, self.workers)
            finally:
                output.close()


def _objects(config: Settings) -> ObjectStore:
    try:
        return S3Objects(config.objects)
    except ValueError as error:  # no key for it
        raise Misconfigured(str(error)) from error


def prefix(number: int) -> str:
    """Where the objects of a version begin."""
    return f"datasets/v{number}/"


async def _fetched(objects: ObjectStore, parent: dict[str, Any], folder: Path) -> Path:
    """The Parquet files of the version before; those that are gone are done without."""
    for file in parent["files"]:
        if file["path"].endswith(".parquet"):
            target = folder / file["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(Invalid), target.open("wb") as data:
                async for piece in objects.stream(f"{prefix(parent['version'])}{file['path']}"):
                    data.write(piece)
            if target.stat().st_size != file["bytes"]:
                target.unlink()
    return folder


def _empty(tally: Tally) -> str:
    found = [f"{reason}={n}" for (_, reason), n in sorted(tally.excluded.items())]
    return " ".join(["empty", f"mails={tally.mails}", *found])


async def run(options: argparse.Namespace) -> int:
    """The program; its exit status."""
    config = load()
    pool = await open_pool(config.postgres, "export")
    versions = PostgresVersions(pool)
    export_id = options.export_id or uuid4()
    try:
        if not options.export_id and not await _begin(versions, options, export_id):
            return _failure("another export is being made: wait until it has ended")
        account, mailboxes, wish = await versions.begun(export_id)
        report = Reporter(versions, export_id)
        workers = options.workers or config.datasets.workers
        rows = PostgresReviewed(pool, mailboxes)
        job = Job(config, wish, mailboxes, workers, versions, rows, report)
        with tempfile.TemporaryDirectory(prefix="sourcier-export-") as folder:
            async with report.signs():
                made = await job.make(Path(folder))
            await versions.finish(export_id, account, prefix(made["version"]), made)
            if options.out:
                shutil.copytree(folder, options.out, dirs_exist_ok=True)
        print(json.dumps({"version": made["version"], "rows": made["rows"]}))  # noqa: T201 - its result
        return 0
    except (Fruitless, Misconfigured, Unavailable, Invalid, OSError) as error:
        with contextlib.suppress(Unavailable):
            await versions.failed(export_id, str(error) or repr(error))
        return _failure(str(error))
    finally:
        await pool.close()


async def _begin(
    versions: PostgresVersions, options: argparse.Namespace, export_id: UUID
) -> Export | None:
    """Note an export that nobody has noted yet."""
    boxes = frozenset(options.mailbox) or None
    viewer = SYSTEM.model_copy(update={"account": options.account, "mailboxes": boxes})
    every = not options.kinds or "all" in options.kinds
    wish = ExportWish(
        kinds=KINDS if every else tuple(dict.fromkeys(options.kinds)),
        include_extractive=options.include_extractive,
    )
    return await versions.begin(viewer, wish, export_id, SILENT)


def _failure(why: str) -> int:
    print(f"export: {why}", file=sys.stderr)  # noqa: T201 - what went wrong
    return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.feedback.export", description=__doc__)
    parser.add_argument("kinds", nargs="*", default="all", choices=[*KINDS, "all"])
    parser.add_argument(
        "--include-extractive", action="store_true", help="pairs of drafts that no model wrote, too"
    )
    parser.add_argument("--out", type=Path, help="a folder for the files, beside the object store")
    parser.add_argument(
        "--mailbox", action="append", default=[], help="only this one; may be repeated"
    )
    parser.add_argument("--workers", type=int, help="processes that look for personal data")
    parser.add_argument("--account", default="operator", help="who asked")
    parser.add_argument("--export-id", type=UUID, help="of one that has begun: it is known what")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(run(_options())))
