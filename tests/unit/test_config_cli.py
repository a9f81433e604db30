"""``sourcier config``: values, origins, secrets; and the reference page against drift."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from shared import reference
from shared.cli.config import shown
from shared.cli.main import app
from shared.settings import Settings

REPOSITORY = Path(__file__).parents[2]
SECRETS = ("geheim-1", "geheim-2", "geheim-3", "geheim-4", "geheim-5")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file and variables, secrets in every kind of place."""
    file = tmp_path / "site.toml"
    file.write_text(
        'environment = "essai"\n[retrieval]\nmethod = "bm25"\npassages = 3\n'
        '[mailboxes.guichet]\ntone = "warm"\n'
        '[bridge.outgoing.guichet]\nhost = "mx.example"\nsender = "g@x.example"\n'
        'user = "u"\npassword = "geheim-1"\n'
    )
    monkeypatch.setenv("SOURCIER_CONFIG", str(file))
    monkeypatch.setenv("SOURCIER_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("SOURCIER_RETRIEVAL__PASSAGES", "5")
    monkeypatch.setenv("SOURCIER_OBJECTS__SECRET_KEY", "geheim-2")
    monkeypatch.setenv("SOURCIER_NATS__URL", "nats://u:geheim-3@nats.example:4222")
    monkeypatch.setenv(
        "SOURCIER_POSTGRES__DSN", "postgresql://u:geheim-4@db.example/s?password=geheim-5&x=1"
    )
    monkeypatch.setenv("SOURCIER_INGEST", '{"chunk_tokens": 64}')


def told(*options: str) -> dict[str, tuple[Any, str]]:
    done = CliRunner().invoke(app, ["config", "show", "--json", *options])
    assert done.exit_code == 0, done.output
    return {row["name"]: (row["value"], row["source"]) for row in json.loads(done.output)}


@pytest.mark.usefixtures("settings")
def test_each_value_is_told_with_where_it_comes_from(tmp_path: Path) -> None:
    rows, file = told(), str(tmp_path / "site.toml")
    assert rows["environment"] == ("essai", file)
    assert rows["retrieval.method"] == ("bm25", file)
    assert rows["retrieval.passages"] == (5, "SOURCIER_RETRIEVAL__PASSAGES")
    assert rows["retrieval.candidates"] == (40, "default")
    assert rows["mailboxes.guichet.tone"] == ("warm", file)
    assert rows["mailboxes.guichet.length"] == ("medium", "default")
    assert rows["ingest.chunk_tokens"] == (64, "SOURCIER_INGEST")
    assert rows["ingest.mail_max_parts"] == (500, "default")
    assert rows["bridge.outgoing.guichet.host"] == ("mx.example", file)
    only = {name for name, (_, source) in rows.items() if source != "default"}
    assert set(told("--changed")) == only


@pytest.mark.usefixtures("settings")
def test_no_secret_is_shown() -> None:
    for options in (["--json"], []):
        shown_ = CliRunner().invoke(app, ["config", "show", *options]).output
        assert not [secret for secret in SECRETS if secret in shown_]
    rows = told()
    assert rows["objects.secret_key"][0] == "(hidden)"
    assert rows["bridge.outgoing.guichet.password"][0] == "(hidden)"
    assert rows["nats.url"][0] == "nats://…@nats.example:4222"
    assert rows["postgres.dsn"][0].startswith("postgresql://u@db.example/s?password=…&x=1")


@pytest.mark.parametrize(
    ("value", "told_as"),
    [
        ("nats://token@h:4222", "nats://…@h:4222"),
        ("nats://a:1,nats://u:p@b:2", "nats://a:1,nats://…@b:2"),
        ("http://h/v1", "http://h/v1"),
        ("Nom <a@b.example>", "Nom <a@b.example>"),
        (("http://u:p@h",), ["http://…@h"]),
        ({"a": Path("x")}, {"a": "x"}),
    ],
)
def test_what_may_be_shown_of_a_value(value: object, told_as: object) -> None:
    assert shown(value) == told_as


@pytest.mark.usefixtures("settings")
def test_a_wrong_setting_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCIER_RETRIEVAL__PASSAGES", "viele")
    done = CliRunner().invoke(app, ["config", "show"])
    assert done.exit_code == 1
    assert "retrieval.passages" in str(done.exception)


def test_the_schema_takes_our_files_and_refuses_unknown_names() -> None:
    done = CliRunner().invoke(app, ["config", "schema"])
    validator = Draft202012Validator(json.loads(done.output))
    Draft202012Validator.check_schema(validator.schema)
    validator.validate(tomllib.loads((REPOSITORY / "sourcier.toml").read_text()))
    assert list(validator.iter_errors({"retrieval": {"passage": 3}}))
    assert list(validator.iter_errors({"retrieval": {"passages": 0}}))
    nats = validator.schema["properties"]
    assert validator.schema["$defs"]["Generation"]["properties"]["timeout"]["description"]
    assert set(nats) == set(Settings.model_fields)


def test_the_reference_page_is_as_the_models_say() -> None:
    told_now = reference.PAGE.read_text(encoding="utf-8")
    assert told_now == reference.page(), "run `python -m shared.reference`"


def test_the_reference_page_names_every_setting() -> None:
    page = reference.page()
    for model in reference.models(Settings):
        for name, field in model.model_fields.items():
            if not list(reference.classes(field.annotation)):
                assert f"| `{name}` |" in page, f"{model.__name__}.{name}"
    assert "postgresql://sourcier@127.0.0.1" in page
    assert "**********" not in page
