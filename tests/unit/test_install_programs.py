"""Programs for tests come by apt where that can be; without them nothing fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local import install


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that writes down what it is told; the file it writes to."""
    told = tmp_path / "told"
    program = tmp_path / "apt-get"
    program.write_text(f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> {told}\nexit ${{STATUS:-0}}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    files = {name: tmp_path / name for name in ("chromium", "postfix")}
    monkeypatch.setattr(install, "PROGRAMS", files)
    return told


def test_root_installs_them(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.os, "geteuid", lambda: 0)
    install.install_programs()
    update, *installed = apt.read_text().splitlines()
    assert update.endswith("update")
    words = "noninteractive --quiet install --yes --no-install-recommends --no-remove"
    assert installed == [f"{words} chromium", f"{words} postfix"]


def test_what_is_there_is_left_alone(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.os, "geteuid", lambda: 0)
    for file in install.PROGRAMS.values():
        file.touch()
    install.install_programs()
    assert not apt.exists()


def test_others_are_told(
    apt: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.os, "geteuid", lambda: 1000)
    install.install_programs()
    assert not apt.exists()
    assert "apt-get install chromium postfix" in capsys.readouterr().out


def test_a_failing_apt_fails_nothing(
    apt: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.os, "geteuid", lambda: 0)
    monkeypatch.setenv("STATUS", "100")
    install.install_programs()
    assert "will be skipped" in capsys.readouterr().out
