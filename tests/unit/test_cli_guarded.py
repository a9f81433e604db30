"""Files of a stack are its owner's alone: they hold e-mails and documents."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from deploy.local.folder import DataFolder
from deploy.local.postgres import narrowed
from deploy.local.process import spawn
from deploy.local.stack import Stack


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_others_may_at_most_pass_through_the_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "index").mkdir(parents=True)
    (data / "index").chmod(0o755)
    data.chmod(0o755)
    folder = DataFolder(data)
    folder.take()
    Stack(folder)
    # Only as root does PostgreSQL run as another user, who must get to its own folder.
    assert mode(data) == (0o711 if os.geteuid() == 0 else 0o700)
    for name in ("logs", "s3", "index", "nats"):
        assert mode(data / name) == 0o700, name
    folder.release()


def test_a_child_writes_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "written"
    command = [sys.executable, "-c", f"open({str(file)!r}, 'w').write('x')"]
    assert spawn(command, tmp_path / "log").wait(20) == 0
    assert mode(file) == 0o600


def test_folders_opened_to_another_user_are_only_passed_through(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    folder.chmod(0o750)
    with narrowed([folder, folder.parent]):
        folder.parent.chmod(0o755)  # as the PostgreSQL wheel does for its system user
        folder.chmod(0o755)
    assert mode(folder.parent) == 0o711
    assert mode(folder) == 0o751


def test_folders_left_alone_keep_their_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with narrowed([tmp_path]):
        pass
    assert mode(tmp_path) == 0o700
