"""The program that makes a version of the datasets, on real servers; `load_dataset` reads it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import datasets
import pytest
import uvicorn

from deploy.local.process import free_ports
from services.feedback.access import SYSTEM
from services.feedback.adapters.dataset_versions import PostgresVersions
from services.feedback.training.versions import SILENT, ExportWish
from shared import settings
from shared.cli.exporting import _why
from shared.objects import S3Objects
from shared.postgres import open_pool
from tests.contract import desk_app
from tests.fakes.reviewed import PEOPLE, seed, written

pytestmark = [pytest.mark.xdist_group("export"), pytest.mark.timeout(600)]
MAILS = 30
REPOSITORY = Path(__file__).parents[2]


@dataclass
class Exporter:
    """The program against the test servers, of one mailbox of its own."""

    dsn: str
    objects: settings.Objects
    mailbox: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Where the servers are."""
        return {
            "SOURCIER_POSTGRES__DSN": self.dsn,
            "SOURCIER_OBJECTS__ENDPOINT": self.objects.endpoint,
            "SOURCIER_OBJECTS__ACCESS_KEY": self.objects.access_key,
            "SOURCIER_OBJECTS__SECRET_KEY": self.objects.secret_key.get_secret_value(),
            "SOURCIER_OBJECTS__BUCKET": self.objects.bucket,
            "SOURCIER_CONFIG": str(self.folder / "none.toml"),
            "SOURCIER_DATASETS__VALIDATION": "0.2",
            "SOURCIER_DATASETS__TEST": "0.2",
        }

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Export; its files are in ``folder``/<name of --out>."""
        command = [sys.executable, "-m", "services.feedback.export", *options]
        env = os.environ | self.environment | environment
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def out(self, name: str, *options: str) -> Path:
        """The folder of an export of this mailbox that succeeds."""
        folder = self.folder / name
        done = self.run(*options, "--mailbox", self.mailbox, "--out", str(folder))
        assert done.returncode == 0, done.stderr
        return folder

    def seed(self, mails: int, first: int = 0) -> None:
        async def fill() -> None:
            pool = await open_pool(settings.Postgres(dsn=self.dsn, pool=2), "test")  # type: ignore[arg-type]  # pydantic takes a string
            await seed(pool, self.mailbox, mails, first)
            await pool.close()

        asyncio.run(fill())


@pytest.fixture(scope="module")
def exporter(
    postgres_dsn: str, s3: settings.Objects, tmp_path_factory: pytest.TempPathFactory
) -> Exporter:
    made = Exporter(
        postgres_dsn, s3, f"export-{uuid4().hex[:8]}", tmp_path_factory.mktemp("datasets")
    )
    made.seed(MAILS)
    return made


@pytest.fixture(scope="module")
def first(exporter: Exporter) -> Path:
    return exporter.out("first", "all")


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    files = (folder / kind).glob("*.jsonl")
    return [json.loads(line) for file in sorted(files) for line in file.read_text().splitlines()]


def test_load_dataset_reads_the_export_as_it_is(first: Path, tmp_path: Path) -> None:
    for kind in ("dpo", "sft", "retrieval"):
        read = datasets.load_dataset(str(first), kind, cache_dir=str(tmp_path))
        assert set(read) == {"train", "validation", "test"}
        counted = {split: read[split].num_rows for split in read}
        assert counted == manifest(first)["rows"][kind]
    pairs = datasets.load_dataset(str(first), cache_dir=str(tmp_path))["train"]
    assert [m["role"] for m in pairs[0]["prompt"]] == ["system", "user"]
    assert pairs[0]["chosen"][0]["role"] == "assistant"


async def test_sides_and_kinds_without_rows_are_not_named(tmp_path: Path) -> None:
    made = await written(tmp_path / "made", mails=8, test=0.3)
    read = datasets.load_dataset(str(tmp_path / "made"), cache_dir=str(tmp_path))
    assert made["rows"]["dpo"]["validation"] == 0
    assert set(read) == {"train", "test"}
    assert not (tmp_path / "made" / "sft" / "validation.parquet").exists()


def test_json_lines_hold_the_same_rows(first: Path, tmp_path: Path) -> None:
    read = datasets.load_dataset(str(first), "dpo", cache_dir=str(tmp_path))
    ids = {row["id"] for split in read.values() for row in split}
    assert ids == {row["id"] for row in rows(first, "dpo")}
    assert len(ids) == MAILS * 3 // 5


def test_rows_are_what_was_reviewed_but_for_pseudonyms(first: Path) -> None:
    for row in rows(first, "dpo"):
        chosen = row["chosen"][0]["content"]
        assert chosen.startswith("Oui, PERSONNE_1, l'étude de l'école n° ")
        assert "est financée à 50 % [" in chosen
        assert row["rejected"][0]["content"].startswith("Le programme cofinance l'étude")
        prompt = row["prompt"][1]["content"]
        assert "Appelez-moi au TELEPHONE_1." in prompt
        assert "PERSONNE_1\nVille de Lyon" in prompt
        assert {each["entity"] for each in row["replaced"]} == {"PERSONNE", "TELEPHONE"}


def test_no_original_is_anywhere_in_the_folder(first: Path) -> None:
    for path in first.rglob("*"):
        if path.is_file() and path.suffix != ".parquet":
            text = path.read_text()
            assert not [name for person in PEOPLE for name in person.split() if name in text], path
            assert "06 12 34" not in text


def test_manifest_tells_all_of_it(first: Path, exporter: Exporter) -> None:
    made = manifest(first)
    assert made["configuration"]["mailboxes"] == [exporter.mailbox]
    assert made["configuration"]["seed"] == "sourcier"
    assert made["excluded"]["dpo"] == {"rejected-alone": 6, "same-body": 6}
    assert sum(made["rows"]["sft"].values()) == 24
    assert made["replaced"]["strings"]["PERSONNE"] >= MAILS
    left_out = [json.loads(x) for x in (first / "excluded.jsonl").read_text().splitlines()]
    assert {x["reason"] for x in left_out if x["kind"] == "dpo"} == {"rejected-alone", "same-body"}
    card = (first / "README.md").read_text()
    assert "rejected, and no text was sent yet" in card
    for file in made["files"]:
        assert (first / file["path"]).stat().st_size == file["bytes"]


async def test_the_object_store_has_the_same_files(
    first: Path, exporter: Exporter, s3: settings.Objects
) -> None:
    made = manifest(first)
    objects = S3Objects(s3)
    for path in [*(file["path"] for file in made["files"]), "manifest.json"]:
        assert await objects.get(f"datasets/{made['name']}/{path}") == (first / path).read_bytes()
    pool = await open_pool(settings.Postgres(dsn=exporter.dsn, pool=2), "test")  # type: ignore[arg-type]  # pydantic takes a string
    versions = PostgresVersions(pool)
    assert (await versions.version(SYSTEM, made["version"])).manifest == made  # type: ignore[union-attr]
    mine = SYSTEM.model_copy(update={"mailboxes": frozenset({exporter.mailbox})})
    other = SYSTEM.model_copy(update={"mailboxes": frozenset({"autre"})})
    assert await versions.version(mine, made["version"]) is not None
    assert await versions.version(other, made["version"]) is None
    assert [
        v for v in await versions.versions(other, 50, None) if v.version == made["version"]
    ] == []
    assert await versions.last(other) is None
    assert (await versions.counts(mine)).mails == MAILS
    assert (await versions.counts(other)).mails == 0
    await pool.close()


def test_a_later_version_keeps_rows_and_sides(exporter: Exporter, first: Path) -> None:
    before = {row["id"]: row for row in rows(first, "dpo")}
    exporter.seed(5, first=MAILS)
    second = exporter.out("second", "all", "--workers", "2")
    made = manifest(second)
    assert made["parent"] == {"version": manifest(first)["version"]}
    assert made["changes"]["dpo"] == {
        "added": 3,
        "changed": 0,
        "unchanged": len(before),
        "removed": 0,
    }
    after = {row["id"]: row for row in rows(second, "dpo")}
    assert {i: after[i] for i in before} == before
    for split in ("train", "validation", "test"):
        ids = [
            json.loads(x)["id"] for x in (first / "dpo" / f"{split}.jsonl").read_text().splitlines()
        ]
        text = (second / "dpo" / f"{split}.jsonl").read_text()
        assert all(each in text for each in ids)


def test_an_empty_export_says_why(exporter: Exporter) -> None:
    done = exporter.run("dpo", "--mailbox", "vide")
    assert done.returncode == 1
    assert "empty mails=0" in done.stderr


def test_a_wrong_kept_list_is_told_in_words(exporter: Exporter, tmp_path: Path) -> None:
    own = tmp_path / "kept.toml"
    own.write_text("places = [3]")
    done = exporter.run("dpo", "--mailbox", "vide", SOURCIER_DATASETS__KEPT=str(own))
    assert done.returncode == 1
    assert "holds 3 in place of a word" in done.stderr


async def test_an_account_without_mailboxes_exports_nothing(exporter: Exporter) -> None:
    pool = await open_pool(settings.Postgres(dsn=exporter.dsn, pool=2), "test")  # type: ignore[arg-type]  # pydantic takes a string
    versions, none = PostgresVersions(pool), SYSTEM.model_copy(update={"mailboxes": frozenset()})
    begun = await versions.begin(none, ExportWish(), uuid4(), SILENT)
    assert begun is not None
    assert (await versions.begun(begun.export_id))[1] == []
    done = await asyncio.to_thread(exporter.run, "--export-id", str(begun.export_id))
    assert "empty mails=0" in done.stderr
    assert (await versions.export(SYSTEM, begun.export_id)).why == "empty mails=0"  # type: ignore[union-attr]
    await pool.close()


async def test_one_export_at_a_time(exporter: Exporter) -> None:
    pool = await open_pool(settings.Postgres(dsn=exporter.dsn, pool=2), "test")  # type: ignore[arg-type]  # pydantic takes a string
    versions = PostgresVersions(pool)
    begun = await versions.begin(SYSTEM, ExportWish(), uuid4(), SILENT)
    assert begun is not None
    assert await versions.begin(SYSTEM, ExportWish(), uuid4(), SILENT) is None
    done = await asyncio.to_thread(exporter.run, "dpo")
    assert "another export is being made" in done.stderr
    await versions.failed(begun.export_id, "interrupted")
    assert (await versions.export(SYSTEM, begun.export_id)).state == "failed"  # type: ignore[union-attr]
    await pool.close()


@pytest.fixture
async def served(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, str]]:
    """feedback on a port, and what `sourcier` needs to know of it."""
    for name, value in exporter.environment.items():
        monkeypatch.setenv(name, value)  # the service hands them on to the program it starts
    known = desk_app.config(exporter.dsn, tmp_path).model_copy(update={"objects": exporter.objects})
    port = free_ports(1)[0]
    async with desk_app.application(known) as app:
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
        serving = asyncio.create_task(server.serve())
        yield {
            "SOURCIER_FEEDBACK_URL": f"http://127.0.0.1:{port}",
            "SOURCIER_NATS__URL": "nats://127.0.0.1:9",
            "SOURCIER_DESK__OPERATOR_TOKEN": str(tmp_path / "operator-token"),
            "PYTHONPATH": str(REPOSITORY),
        }
        server.should_exit = True
        await serving


async def sourcier(
    served: dict[str, str], folder: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    """The operator's command, in ``folder``."""
    command = [sys.executable, "-m", "shared.cli.main", *words]

    def run() -> subprocess.CompletedProcess[str]:
        env = os.environ | served
        return subprocess.run(
            command, env=env, cwd=folder, capture_output=True, text=True, check=False
        )

    return await asyncio.to_thread(run)


async def test_the_command_makes_a_version_and_brings_it(
    served: dict[str, str], exporter: Exporter, tmp_path: Path
) -> None:
    done = await sourcier(served, tmp_path, "export", "sft", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    folder = tmp_path / "datasets" / made["name"]
    assert manifest(folder) == made
    assert made["configuration"]["kinds"] == ["sft"]
    assert sum(made["rows"]["sft"].values()) >= MAILS * 3 // 5
    again = ("export", "sft", "--version", str(made["version"]), "--out", "again")
    assert (await sourcier(served, tmp_path, *again)).returncode == 0
    for file in made["files"]:
        path = file["path"]
        assert (tmp_path / "again" / path).read_bytes() == (folder / path).read_bytes()
    absent = await sourcier(served, tmp_path, "export", "all", "--version", "9999")
    assert absent.returncode == 1
    assert "Aucune version v9999" in absent.stderr
    database = await asyncpg.connect(exporter.dsn)
    audited = await database.fetch("select action from feedback.audit where account = 'operator'")
    assert {row["action"] for row in audited} >= {"dataset.export", "dataset.download"}
    await database.close()


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("empty mails=0", "no draft was reviewed yet"),
        ("empty mails=7 extractive=5 same-body=2", "5 of drafts that quote documents"),
        ("interrupted", "start it again"),
        ("PostgreSQL: gone", "the export failed: PostgreSQL: gone"),
    ],
)
def test_the_command_says_why_there_is_nothing(why: str, told: str) -> None:
    assert told in _why(why)
