"""compose.yaml against its schema, the settings, the images and itself; no engine is needed."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from deploy.docker import secrets
from deploy.local.permissions import USERS
from shared.cli.main import app
from shared.settings import Settings
from shared.topology import SAYS

REPOSITORY = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCHEMA = REPOSITORY / "tests/vendored/compose-spec.json"
OURS = {*SAYS, "model", "model-gpu"}
ONCE = {"volumes", "prepare", "operator", "fetch"}
"""What ends by itself."""
BESIDES = {"SOURCIER_CONFIG", "SOURCIER_CACHE"} | {f"SOURCIER_{s.upper()}_URL" for s in SAYS}
"""Variables that are no settings."""
VARIABLE = re.compile(r"\$\{(\w+)(?:(:?[?-])([^}]*))?\}")
OBSERVED = {"prometheus", "grafana", "otel-collector", "jaeger"}
LISTENS = {"nats": {4222}, "postgres": {5432}, "s3": {9000}, "qdrant": {6333, 6334}}


def environment(name: str) -> dict[str, str | None]:
    return SERVICES[name].get("environment") or {}


def filled(text: str, given: dict[str, str] | None = None) -> str:
    """``text`` with its variables as Compose would have them."""
    return VARIABLE.sub(
        lambda m: (given or {}).get(m[1]) or (m[3] if m[2] == ":-" else f"given-{m[1].lower()}"),
        text,
    )


def settings_variables(model: Any = Settings, prefix: str = "SOURCIER_") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        path = f"{prefix}{name.upper()}"
        kind = field.annotation
        if isinstance(kind, type) and hasattr(kind, "model_fields"):
            found |= settings_variables(kind, f"{path}__")
        else:
            found.add(path)
    return found


def test_it_keeps_to_the_compose_specification() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert [f"{list(e.path)}: {e.message}" for e in validator.iter_errors(COMPOSE)] == []


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_variable_of_ours_is_a_setting_and_takes_its_value(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {key: value for key, value in environment(name).items() if key.startswith("SOURCIER_")}
    assert set(ours) <= settings_variables() | BESIDES
    for key, value in ours.items():
        if value is not None:
            monkeypatch.setenv(key, filled(value))
    assert Settings().nats.url


def addresses() -> list[tuple[str, str, int]]:
    """(service, host, port) of every address that a variable names."""
    found = []
    for name in SERVICES:
        for key, value in environment(name).items():
            if value and key.endswith(("_URL", "__URL", "__ENDPOINT", "__DSN")):
                text = filled(value)
                place = urlsplit(text if "//" in text else f"//{text}")
                assert place.hostname, key
                assert place.port, f"{key} names no port"
                found.append((name, place.hostname, place.port))
    return found


def networks(name: str) -> set[str]:
    return set(SERVICES[name].get("networks") or ())


def test_every_address_is_a_service_that_listens_there_on_a_common_network() -> None:
    assert len(addresses()) > 20
    for name, host, port in addresses():
        assert host in SERVICES, f"{name} asks {host}"
        assert networks(name) & networks(host), f"{name} and {host} share no network"
        env = environment(host)
        own = env.get("SOURCIER_HTTP__PORT") or env.get("SOURCIER_SERVING__PORT")
        assert port in (LISTENS.get(host) or {int(str(own))}), f"{name} asks {host}:{port}"


def test_stores_listen_where_they_are_asked() -> None:
    config = secrets.nats_config("")
    assert "listen: 0.0.0.0:4222" in config
    assert "http: 0.0.0.0:8222" in config
    assert "8222" in SERVICES["nats"]["healthcheck"]["test"][-1]
    assert SERVICES["s3"]["command"][-1] == ":9000"
    assert SERVICES["model-gpu"]["networks"]["inside"]["aliases"] == ["model"]


def test_only_the_desk_and_the_broker_are_published_and_on_loopback() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if each.get("ports")}
    (grafana,) = published.pop("grafana")
    assert SERVICES["grafana"]["profiles"] == ["observe"]
    assert grafana.startswith("127.0.0.1:")
    assert set(published) == {"feedback", "nats"}
    for (port,) in published.values():
        assert port.startswith("${LISTEN:-127.0.0.1}:")
        assert not port.endswith(f":{environment('feedback')['SOURCIER_HTTP__METRICS_PORT']}")
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_what_is_observed_is_where_its_files_say() -> None:
    assert {name for name in SERVICES if SERVICES[name].get("profiles") == ["observe"]} == OBSERVED
    scraped = yaml.safe_load((REPOSITORY / "deploy/observe/prometheus.yaml").read_text())
    for job in scraped["scrape_configs"]:
        for found in job["dns_sd_configs"]:
            assert set(found["names"]) <= SERVICES.keys()
            for name in found["names"]:
                env = environment(name)
                assert found["port"] == int(
                    env.get("SOURCIER_HTTP__METRICS_PORT") or env["SOURCIER_SERVING__PORT"] or 0
                )
    sources = yaml.safe_load((REPOSITORY / "deploy/grafana/datasources.yaml").read_text())
    collector = (REPOSITORY / "deploy/observe/otel-collector.yaml").read_text()
    hosts = {urlsplit(each["url"]).hostname for each in sources["datasources"]}
    assert hosts == {"prometheus", "jaeger"}
    assert "${env:TRACES_ENDPOINT" in collector
    assert environment("otel-collector")["TRACES_ENDPOINT"] == "${TRACES_ENDPOINT:-jaeger:4317}"


def test_services_that_are_scaled_have_no_fixed_name_or_port() -> None:
    for name in ("ingest", "embed", "retrieve", "generate"):
        assert not {"ports", "container_name", "hostname"} & SERVICES[name].keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_containers_can_do_as_little_as_possible(name: str) -> None:
    each = SERVICES[name]
    assert each["read_only"] is True
    assert each["cap_drop"] == ["ALL"]
    assert each["security_opt"] == ["no-new-privileges:true"]
    user, group = filled(each["user"], {"RUN_AS": "10001"}).split(":")
    if name == "volumes":
        assert each["network_mode"] == "none"
        assert each["cap_add"] == ["CHOWN"]
    else:
        assert int(user) > 0
        assert "cap_add" not in each
    assert group.isdecimal()


def test_what_is_fetched_from_outside_has_a_way_out() -> None:
    for name in ("prepare", "operator", "fetch"):
        assert networks(name) == {"inside", "outside"}
    assert SERVICES["fetch"]["image"] == SERVICES["model"]["image"]
    told = (REPOSITORY / "docs/deploy.md").read_text()
    fetching = re.findall(r"run --rm (\S+) sourcier models fetch", told)
    assert fetching
    assert set(fetching) <= {"operator", "fetch"}


def test_memory_that_looks_like_a_disk_is_bounded_and_uploads_are_not_in_it() -> None:
    for name, each in SERVICES.items():
        for mount in each.get("tmpfs", ()):
            assert re.search(r"size=\d+[mg]", mount), name
    scratch = environment("feedback")["TMPDIR"]
    assert f"scratch:{scratch}" in SERVICES["feedback"]["volumes"]
    assert "scratch:/volumes/scratch" in SERVICES["volumes"]["volumes"]


def test_what_the_environment_says_of_traces_and_proxies_arrives() -> None:
    told = (REPOSITORY / "docs/deploy.md").read_text()
    assert "FORWARDED_ALLOW_IPS" in environment("feedback")
    for name in SAYS:
        for each in ("HEADERS", "ENDPOINT"):
            assert f"OTEL_EXPORTER_OTLP_{each}" in environment(name)
        for each in ("TRACES_SAMPLER", "TRACES_SAMPLER_ARG", "RESOURCE_ATTRIBUTES"):
            assert f"OTEL_{each}" in environment(name)
    assert {"FORWARDED_ALLOW_IPS", "OTEL_TRACES_SAMPLER"} <= set(re.findall(r"[A-Z_]{9,}", told))


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_what_stays_up_is_checked_limited_and_started_again(name: str) -> None:
    each = SERVICES[name]
    assert each["restart"] == "unless-stopped"
    if name not in {"otel-collector", "jaeger"}:  # whose images hold one program
        assert each["healthcheck"]["test"][0] == "CMD"
    assert each["deploy"]["resources"]["limits"]["memory"]
    assert re.search(r":[\w.-]*\d", filled(each["image"])) or each["image"].endswith(
        "${TAG:-latest}"
    ), "an image of others is pinned"


def test_the_start_follows_health() -> None:
    for name in OURS:
        wanted = SERVICES[name]["depends_on"]
        assert wanted["prepare"] == {"condition": "service_completed_successfully"}
    stores = SERVICES["prepare"]["depends_on"]
    assert {n: c["condition"] for n, c in stores.items()} == dict.fromkeys(
        ("nats", "postgres", "s3"), "service_healthy"
    )
    for each in SERVICES.values():
        for other, wanted in each.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert SERVICES[other]["healthcheck"]["test"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_command_exists(name: str) -> None:
    command = SERVICES[name].get("command") or []
    if command[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(command[2])
    if command[:1] == ["sourcier"]:
        commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
        assert command[1] in commands | {group.name for group in app.registered_groups}


def test_every_service_has_an_image_of_its_own() -> None:
    for name in OURS:
        each = SERVICES[name]
        assert each["image"].startswith(f"sourcier/{name}:")
        assert each["build"]["target"] == name.removesuffix("-gpu")
        assert (REPOSITORY / each["build"]["dockerfile"]).is_file()


def test_secrets_have_no_default() -> None:
    text = (REPOSITORY / "compose.yaml").read_text()
    secret = re.compile("PASSWORD|SECRET|KEY|TOKEN")
    for name, operator, default in VARIABLE.findall(text):
        if secret.search(name):
            assert (operator, default) == (":?", "run make secrets"), name
    for name in SERVICES:
        for key, value in environment(name).items():
            if secret.search(key) and value and not key.endswith("ACCESS_KEY"):
                assert VARIABLE.search(value) or value.startswith("/run/secrets/"), key


@pytest.fixture
def written(tmp_path: Path) -> Path:
    secrets.write(tmp_path)
    return tmp_path


def read(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def test_make_secrets_writes_all_that_is_required(written: Path) -> None:
    text = (REPOSITORY / "compose.yaml").read_text()
    required = {name for name, operator, _ in VARIABLE.findall(text) if operator == ":?"}
    given = read(written / ".env")
    assert required <= given.keys()
    passwords = [given[name] for name in secrets.PASSWORDS]
    assert len(set(passwords)) == len(passwords)
    assert all(len(each) >= 32 for each in passwords)
    for each in COMPOSE["secrets"].values():
        assert (written / each["file"]).is_file()
    assert {f"{user}.nk" for user in USERS} < {p.name for p in (written / ".secrets").iterdir()}


def test_secrets_are_for_their_owner_and_never_root(written: Path) -> None:
    for path in (written / ".env", *(written / ".secrets").glob("*.nk")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert int(read(written / ".env")["RUN_AS"]) > 0
    assert (written / ".secrets/ingest.nk").stat().st_uid == int(read(written / ".env")["RUN_AS"])


def test_secrets_are_kept_when_written_again(written: Path) -> None:
    env, config = (written / ".env").read_text(), (written / ".secrets/nats.conf").read_text()
    seed = (written / ".secrets/ingest.nk").read_text()
    (written / ".env").write_text(env.replace("COMPOSE_PROFILES=cpu", "COMPOSE_PROFILES=gpu"))
    assert secrets.write(written) == []
    assert "COMPOSE_PROFILES=gpu" in (written / ".env").read_text()
    assert (written / ".secrets/ingest.nk").read_text() == seed
    assert (written / ".secrets/nats.conf").read_text() == config


def test_what_the_operator_told_the_broker_is_kept_and_included(written: Path) -> None:
    own = written / ".secrets/broker/extra.conf"
    own.write_text("tls {}\n")
    secrets.write(written)
    assert own.read_text() == "tls {}\n"
    included = re.findall(r"^include \./(\S+)", secrets.nats_config(""), re.MULTILINE)
    assert [written / ".secrets" / name for name in included] == [own]
    mounts = [mount.split(":")[:2] for mount in SERVICES["nats"]["volumes"]]
    assert ["./.secrets/nats.conf", "/etc/nats/nats.conf"] in mounts
    assert ["./.secrets/broker", "/etc/nats/broker"] in mounts


def test_secrets_are_in_no_repository_and_no_image() -> None:
    ignored = (REPOSITORY / ".gitignore").read_text().splitlines()
    assert {".env", ".secrets/"} <= set(ignored)
    sent = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert sent[1] == "*"
    assert {"**/.secrets", "**/.env"} <= set(sent)


def test_files_that_are_mounted_exist(written: Path) -> None:
    for name, each in SERVICES.items():
        for mount in each.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("./.secrets/"):
                assert (written / source).exists(), name
            elif source.startswith("."):
                assert (REPOSITORY / source).exists(), f"{name} mounts {source}"
            else:
                assert source in COMPOSE["volumes"], name


def docker_compose(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    if (
        not shutil.which("docker")
        or subprocess.run(
            ["docker", "compose", "version"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no `docker compose` here")
    for name in ("compose.yaml", "sourcier.toml"):
        shutil.copy(REPOSITORY / name, folder)
    return subprocess.run(
        ["docker", "compose", *words, "config", "--quiet"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_compose_itself_reads_it(written: Path) -> None:
    for profile in ("cpu", "gpu", "mail", "tools", "observe"):
        done = docker_compose(written, "--profile", profile)
        assert done.returncode == 0, done.stderr


def test_compose_refuses_without_secrets(tmp_path: Path) -> None:
    done = docker_compose(tmp_path)
    assert done.returncode != 0
    assert "run make secrets" in done.stderr
