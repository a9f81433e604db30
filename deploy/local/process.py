"""Child processes that end with their parent, and waiting until they answer."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h

PORTS_FROM, PORTS_BELOW = 20_000, 32_768


class StartFailed(Exception):
    """A server did not come up; the message says where its log is."""


def program(name: str) -> Path:
    """The program ``name`` of a wheel in this environment. Raises ``StartFailed``."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise StartFailed(f"{name} is not in this environment; run `make install`")
    return path


def free_ports(count: int) -> list[int]:
    """``count`` different TCP ports of the loopback address that nobody listens on.

    They lie below the range that systems use for outgoing connections, which could take one
    before our server does; neighbours from a random start, so that two stacks starting at once
    hardly meet. Raises ``StartFailed`` when there are not that many.
    """
    start = random.randrange(PORTS_FROM, PORTS_BELOW)  # noqa: S311 - only spreads
    order = [*range(start, PORTS_BELOW), *range(PORTS_FROM, start)]
    found = list(islice(filter(is_free, order), count))
    if len(found) < count:
        raise StartFailed(f"no {count} free ports between {PORTS_FROM} and {PORTS_BELOW}")
    return found


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something listens on ``port``."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def spawn(
    command: Iterable[str | Path],
    log: Path,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    orphaned: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in its own session, its output appended to ``log``.

    What it writes is readable by its owner only: e-mails and documents go through it.

    The kernel sends it ``orphaned`` when the thread that called this ends, so that a killed
    supervisor leaves nothing behind. ``user`` is a system user to become (root only).
    """
    parent = os.getpid()
    libc = ctypes.CDLL(None)

    def end_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, orphaned)
        if os.getppid() != parent:  # it was gone before prctl could see it
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command lines, no shell
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            user=user,
            umask=0o077,
            start_new_session=True,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    what: str,
    log: Path,
    seconds: float,
) -> None:
    """Return once ``ready()`` holds. Raises ``StartFailed`` when the process ends or time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None:
            code = process.returncode
            raise StartFailed(f"{what} ended with status {code}; its log: {log}\n{tail(log)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{what} is not ready after {seconds:.0f} s; its log: {log}")
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes], seconds: float, sign: int = signal.SIGTERM) -> bool:
    """Ask ``process`` to end, and kill it after ``seconds``. Returns whether it obeyed."""
    if process.poll() is not None:
        return True
    process.send_signal(sign)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
