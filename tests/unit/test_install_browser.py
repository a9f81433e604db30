"""Chromium for the browser tests comes by apt where that can be; without it nothing fails."""

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
    monkeypatch.setattr(install, "CHROMIUM", tmp_path / "chromium")
    return told


def test_root_installs_it(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.os, "geteuid", lambda: 0)
    install.install_browser()
    update, installed = apt.read_text().splitlines()
    assert update.endswith("update")
    assert installed.startswith("noninteractive ")
    assert installed.endswith("--no-install-recommends chromium")


def test_one_that_is_there_is_left_alone(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.os, "geteuid", lambda: 0)
    install.CHROMIUM.touch()
    install.install_browser()
    assert not apt.exists()


def test_others_are_told(
    apt: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.os, "geteuid", lambda: 1000)
    install.install_browser()
    assert not apt.exists()
    assert "apt-get install chromium" in capsys.readouterr().out


def test_a_failing_apt_fails_nothing(
    apt: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.os, "geteuid", lambda: 0)
    monkeypatch.setenv("STATUS", "100")
    install.install_browser()
    assert "will be skipped" in capsys.readouterr().out
