"""``sourcier doctor``: against real servers, against none, and against what is wrong on purpose."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.local.nats import NatsServer
from deploy.local.process import free_ports
from shared import admin
from shared.cli import doctor_machine, findings
from shared.cli.main import app
from shared.models import directory
from shared.models.policy import MANIFEST
from shared.settings import MIB, Nats, Objects, Settings, Streams
from tests.fakes.endpoint import Reply, endpoint
from tests.fakes.model_folder import model_folder

NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
Told = dict[str, list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, no file, no variable of ours, and a cache with a small whole model."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith(("SOURCIER_", "OTEL_"))]:
            del os.environ[name]
        monkeypatch.chdir(tmp_path)
        cached(tmp_path / "cache" / "models" / "multilingual-e5-small")
        os.environ["SOURCIER_CACHE"] = str(tmp_path / "cache")
        os.environ["SOURCIER_STREAMS__MAX_BYTES"] = str(16 * MIB)
        yield


def cached(target: Path) -> None:
    model_folder(target)
    manifest = directory.describe(target, target.name, {"kind": "test"}, "mit", NOW)
    (target / MANIFEST).write_text(manifest.model_dump_json())


def asked(*options: str) -> tuple[int, Told]:
    """The exit status and the findings by topic."""
    done = CliRunner().invoke(app, ["doctor", "--json", *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    data = json.loads(done.output)
    assert data["ok"] is (done.exit_code == 0)
    found: Told = {}
    for each in data["findings"]:
        found.setdefault(each["topic"], []).append(each)
        assert (each["state"] == "problem") == bool(each["advice"]), each
    return done.exit_code, found


def state(found: Told, topic: str) -> str:
    return str(found[topic][0]["state"])


def test_where_nothing_runs_it_says_how_to_start() -> None:
    status, found = asked()
    assert status == 1
    assert state(found, "stack") == "problem"
    assert "sourcier up" in found["stack"][0]["advice"]
    for topic in ("settings", "packages", "data folder", "model cache", "embedding model"):
        assert state(found, topic) == "ok", found[topic]
    assert state(found, "serving model") == "skipped"
    assert not {"broker", "database"} & set(found), "servers that nobody named are not asked"


def test_servers_that_do_not_answer_are_each_told_with_what_to_do() -> None:
    port = free_ports(1)[0]
    os.environ |= {
        "SOURCIER_NATS__URL": f"nats://u:geheim@127.0.0.1:{port}",
        "SOURCIER_POSTGRES__DSN": f"postgresql://u:geheim@127.0.0.1:{port}/x",
        "SOURCIER_OBJECTS__ENDPOINT": f"127.0.0.1:{port}",
        "SOURCIER_OBJECTS__SECRET_KEY": "geheim",
        "SOURCIER_GENERATION__ENDPOINT": f"http://127.0.0.1:{port}/v1",
        "SOURCIER_GENERATION__MODEL": "m",
        "SOURCIER_RETRIEVAL__INDEX": "server",
        "SOURCIER_RETRIEVAL__URL": f"http://127.0.0.1:{port}",
        "SOURCIER_FEEDBACK_URL": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
    }
    status, found = asked()
    assert status == 1
    model = f"model at http://127.0.0.1:{port}/v1"
    for topic in ("broker", "database", "object store", "Qdrant", model, "feedback", "traces"):
        assert state(found, topic) == "problem", topic
    assert "geheim" not in json.dumps(found)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats", tmp_path / "nats.log", free_ports(1)[0])
    server.start()
    os.environ["SOURCIER_NATS__URL"] = server.url
    yield server
    server.stop()


def topology(server: NatsServer) -> None:
    streams = Streams(max_bytes=16 * MIB)
    asyncio.run(admin.apply(Settings(nats=Nats(url=server.url), streams=streams)))


def test_real_servers_are_told_with_their_versions_and_clocks(
    broker: NatsServer, postgres_dsn: str, s3: Objects
) -> None:
    topology(broker)
    os.environ["SOURCIER_POSTGRES__DSN"] = postgres_dsn
    os.environ["SOURCIER_OBJECTS__ENDPOINT"] = s3.endpoint
    os.environ["SOURCIER_OBJECTS__ACCESS_KEY"] = s3.access_key
    os.environ["SOURCIER_OBJECTS__SECRET_KEY"] = s3.secret_key.get_secret_value()
    os.environ["SOURCIER_OBJECTS__BUCKET"] = s3.bucket
    with endpoint(Reply("Oui.")) as model:
        os.environ["SOURCIER_GENERATION__ENDPOINT"] = model.url
        os.environ["SOURCIER_GENERATION__MODEL"] = "m"
        _, found = asked()
    topics = ("broker's clock", "topology", "streams", "database's clock", "object store")
    for topic in (*topics, "tables of ingest", "tables of feedback", f"model at {model.url}"):
        assert state(found, topic) == "ok", found[topic]
    assert "nats-server 2." in found["broker"][0]["told"]
    assert "PostgreSQL 1" in found["database"][0]["told"]
    embed = found["broker"][-1]
    assert (embed["state"], "start embed" in embed["advice"]) == ("problem", True)


def test_a_broker_without_the_topology(broker: NatsServer) -> None:
    _, found = asked()
    assert "stream MAIL: missing" in found["topology"][0]["told"]
    assert found["topology"][0]["advice"] == "sourcier topology apply"


def test_a_key_that_the_broker_does_not_know(tmp_path: Path) -> None:
    accounts = 'authorization { user: "a", password: "b" }\n'
    server = NatsServer(tmp_path / "n", tmp_path / "n.log", free_ports(1)[0], accounts)
    server.start()
    os.environ["SOURCIER_NATS__URL"] = server.url
    _, found = asked()
    server.stop()
    assert state(found, "broker") == "problem"
    assert "nkey_seed" in found["broker"][0]["advice"]


def test_a_database_that_lacks_migrations(broker: NatsServer, postgres_dsn: str) -> None:
    dsn = urlunsplit(urlsplit(postgres_dsn)._replace(path="/doctor_half"))

    async def half() -> None:
        admin_connection = await asyncpg.connect(postgres_dsn)
        await admin_connection.execute("drop database if exists doctor_half")
        await admin_connection.execute("create database doctor_half")
        await admin_connection.close()
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "create schema feedback; create table feedback.schema_migrations (version text)"
        )
        await connection.close()

    asyncio.run(half())
    os.environ["SOURCIER_POSTGRES__DSN"] = dsn
    _, found = asked()
    assert "migrations are missing: 2026" in found["tables of feedback"][0]["told"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Reply(status=401, said="bad key"), "answers 401"),
        (Reply(body=b"<html>", status=500), "answers 500"),
    ],
)
def test_a_model_that_generates_nothing(broker: NatsServer, answer: Reply, words: str) -> None:
    with endpoint(answer) as model:
        os.environ["SOURCIER_GENERATION__ENDPOINT"] = model.url
        os.environ["SOURCIER_GENERATION__MODEL"] = "m"
        _, found = asked()
    assert words in found[f"model at {model.url}"][0]["told"]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SOURCIER_NATS_URL": "x"}, "nothing reads the variable SOURCIER_NATS_URL"),
        ({"SOURCIER_RETRIEVAL__PASSAGES": "0"}, "retrieval.passages"),
        ({"SOURCIER_RETRIEVAL__PASAGES": "3"}, "retrieval.pasages"),
        ({"SOURCIER_CONFIG": "nowhere.toml"}, "nowhere.toml does not exist"),
        ({"SOURCIER_GENERATION__ENGINE": "openai"}, "go together"),
    ],
)
def test_wrong_settings(variables: dict[str, str], words: str) -> None:
    os.environ |= variables
    status, found = asked()
    assert status == 1
    assert words in json.dumps(found["settings"])


def test_a_mistyped_variable_is_told_the_right_one() -> None:
    os.environ["SOURCIER_GENERATION_ENDPOINT"] = "http://h/v1"
    _, found = asked()
    assert found["settings"][0]["advice"] == "did you mean SOURCIER_GENERATION__ENDPOINT?"


def test_mail_servers_of_the_bridge(broker: NatsServer) -> None:
    dead = free_ports(1)[0]
    with endpoint(Reply("Oui.")) as listening:
        port = urlsplit(listening.url).port
        box = {"host": "127.0.0.1", "security": "none"}
        bridge = {
            "incoming": {"default": box | {"port": port}},
            "outgoing": {"default": box | {"port": dead, "sender": "a@b.example"}},
        }
        os.environ["SOURCIER_BRIDGE"] = json.dumps(bridge)
        _, found = asked()
    assert state(found, "bridge.incoming.default") == "ok"
    assert f"127.0.0.1:{dead} cannot" in found["bridge.outgoing.default"][0]["told"]


def test_a_broken_file_and_one_with_a_secret_open_to_all() -> None:
    file = Path("sourcier.toml")
    file.write_text("[nats\n")
    _, found = asked()
    assert "sourcier.toml" in found["settings"][0]["told"]
    file.write_text('[objects]\nsecret_key = "geheim"\n')
    file.chmod(0o644)
    _, found = asked()
    assert "chmod 600" in found["settings"][0]["advice"]
    assert "geheim" not in json.dumps(found)
    file.chmod(0o600)
    _, found = asked()
    assert state(found, "settings") == "ok"


def test_accounts_that_nobody_made_yet(tmp_path: Path) -> None:
    os.environ["SOURCIER_DESK__ACCOUNTS"] = str(tmp_path / "accounts.toml")
    _, found = asked()
    (told,) = found["desk.accounts"]
    assert "not there yet" in told["told"]
    assert told["advice"].startswith("sourcier accounts add")


def test_a_key_file_that_is_missing_or_open(tmp_path: Path) -> None:
    seed = tmp_path / "operator.nk"
    os.environ["SOURCIER_NATS__NKEY_SEED"] = str(seed)
    _, found = asked()
    assert state(found, "nats.nkey_seed") == "problem"
    seed.write_text("SU")
    seed.chmod(0o644)
    _, found = asked()
    assert "chmod 600" in found["nats.nkey_seed"][0]["advice"]


def test_a_damaged_model_and_a_missing_one(tmp_path: Path) -> None:
    model = tmp_path / "cache" / "models" / "multilingual-e5-small"
    weights = next(model.glob("*.safetensors"))
    body = bytearray(weights.read_bytes())
    body[-1] ^= 1  # of the same size: only its hash tells
    weights.write_bytes(body)
    _, found = asked()
    assert "damaged: " + weights.name in found["embedding model"][0]["told"]
    shutil.rmtree(model)
    _, found = asked()
    assert found["embedding model"][0]["advice"] == "sourcier models fetch multilingual-e5-small"


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")._replace(free=100 * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    _, found = asked()
    assert state(found, "data folder") == state(found, "model cache") == "problem"


def test_streams_that_the_disk_cannot_hold() -> None:
    os.environ["SOURCIER_STREAMS__MAX_BYTES"] = str(10**15)
    _, found = asked()
    assert "streams.max_bytes" in found["data folder"][0]["advice"]


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [(0.0, "ok"), (1.5, "ok"), (-1.5, "ok"), (5.0, "problem"), (-300.0, "problem")],
)
def test_clocks(ahead: float, expected: str) -> None:
    theirs = NOW + timedelta(seconds=ahead)
    found = findings.clock("clock", theirs, NOW, NOW + timedelta(milliseconds=10))
    assert found.state == expected


def test_lines_for_a_person_say_the_state_in_words() -> None:
    done = CliRunner().invoke(app, ["doctor"])
    lines = done.output.splitlines()
    assert any(line.startswith("problem  stack: none runs in") for line in lines)
    assert any(line.startswith("         → sourcier up") for line in lines)
    assert lines[-1] == "problems: 1"


def test_in_an_image_that_holds_no_package(
    monkeypatch: pytest.MonkeyPatch, broker: NatsServer
) -> None:
    """Compose's operator: a read-only root, the code on the path, no metadata of ours."""

    def unknown(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor_machine, "requires", unknown)
    topology(broker)
    _, found = asked()
    assert state(found, "packages") == "skipped"
    assert "data folder" not in found, "the data lie elsewhere"
    assert state(found, "topology") == "ok"
    assert state(found, "database") == "skipped"
    assert state(found, "services") == "skipped"
