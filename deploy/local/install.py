"""Makes ``.venv`` from the pinned requirement files. Standard library only: it runs before them.

Usage: ``python3.11 deploy/local/install.py [--serve] [--dev]``; a second run with nothing changed
does nothing. Where packages come from is pip's own configuration. The CPU build of torch is a step
of its own, because the ordinary one brings gigabytes of CUDA.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
WANTED = (3, 11)
PROGRAMS = {
    "chromium": Path("/usr/bin/chromium"),
    "dovecot-imapd": Path("/usr/sbin/dovecot"),
    "dovecot-sieve": Path("/usr/lib/dovecot/modules/lib90_sieve_plugin.so"),
    "postfix": Path("/usr/lib/postfix/sbin/master"),
}
"""Debian packages for tests, by a file of each."""
NO_MAIL_SERVER = b"postfix postfix/main_mailer_type select No configuration\n"
"""Tests start Postfix themselves, in their own folders: the machine gets no mail server."""
CUDA = ("nvidia-", "cuda-", "triton")
CUDA_REFUSED = """\
pip would install torch with CUDA ({packages}): gigabytes that a machine without a GPU cannot use.
Do one of these, then run the same command again:
  - set SOURCIER_TORCH_INDEX to the address of PyTorch's package index of CPU builds;
  - set PIP_FIND_LINKS to a folder that holds the CPU wheel of torch;
  - set SOURCIER_ALLOW_CUDA=1 to install it with CUDA all the same."""


class Failed(Exception):
    """The environment cannot be made; the message says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="also Ray Serve and vLLM for CPUs")
    parser.add_argument("--dev", action="store_true", help="also what tests and linting need")
    asked = parser.parse_args(arguments)
    try:
        install(asked.dev, asked.serve)
    except Failed as failure:
        print(f"install: {failure}", file=sys.stderr)  # noqa: T201 - a program's message
        return 1
    return 0


def install(dev: bool, serve: bool = False) -> None:
    """Bring ``.venv`` up to date; tests bring ``serve`` where it runs. Raises ``Failed``."""
    if sys.version_info[:2] != WANTED:
        raise Failed(
            f"Python {WANTED[0]}.{WANTED[1]} is needed, this is {sys.version.split()[0]}; "
            "install it and run again, or name it: make PYTHON=/path/to/python3.11 …"
        )
    if serve and not serves_here():
        raise Failed(
            "vLLM's CPU build exists for Linux on x86-64 only; elsewhere run `sourcier up` with "
            "SOURCIER_GENERATION__ENDPOINT set to an OpenAI-compatible server, or without a model"
        )
    make_environment()
    step("torch", [REQUIREMENTS / "torch.txt"], install_torch)
    packages = [REQUIREMENTS / "base.txt", REQUIREMENTS / "embed.txt"]
    step("packages", packages, lambda: install_files(packages))
    if serve or (dev and serves_here()):
        model_server = REQUIREMENTS / "serve.txt"
        step("model server", [model_server], lambda: install_files([model_server]))
    if dev:
        tools = REQUIREMENTS / "dev.txt"
        step("tools for tests", [tools], lambda: install_files([tools]))
    step("sourcier", [ROOT / "pyproject.toml"], install_project)
    if dev:
        install_programs()


def serves_here() -> bool:
    """Whether vLLM's CPU wheel runs on this machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def make_environment() -> None:
    """Create ``.venv`` unless it works already; one of another Python is made anew."""
    if PYTHON.exists():
        probe = "import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))"
        if subprocess.run([PYTHON, "-c", probe], capture_output=True, check=False).returncode == 0:  # noqa: S603 - our own command
            return
    say("making .venv")
    try:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(ENVIRONMENT)
    except (subprocess.CalledProcessError, OSError) as error:
        raise Failed(
            f".venv cannot be made ({error}); on Debian and Ubuntu install python3.11-venv"
        ) from error


def step(name: str, files: Sequence[Path], work: Callable[[], None]) -> None:
    """Do ``work`` unless it was done with the same ``files`` before."""
    stamp = ENVIRONMENT / f".installed-{name.replace(' ', '-')}"
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    say(f"installing {name}")
    work()
    stamp.write_text(digest)


def install_torch() -> None:
    """The CPU build of torch; its dependencies are in ``embed.txt``."""
    index = os.environ.get("SOURCIER_TORCH_INDEX")
    source = ["--index-url", index] if index else []
    wanted = ["-r", str(REQUIREMENTS / "torch.txt"), *source]
    if os.environ.get("SOURCIER_ALLOW_CUDA") == "1":
        pip("install", *wanted)
        return
    refused = cuda_packages(wanted)
    if refused:
        raise Failed(CUDA_REFUSED.format(packages=", ".join(refused[:3]) + ", …"))
    pip("install", "--no-deps", "--no-compile", *wanted)


def cuda_packages(wanted: Sequence[str]) -> list[str]:
    """Names of CUDA packages that installing ``wanted`` would bring, without installing."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip("install", "--dry-run", "--quiet", "--report", str(report), *wanted)
        planned = json.loads(report.read_text())["install"]
    names = sorted(item["metadata"]["name"].lower().replace("_", "-") for item in planned)
    return [name for name in names if name.startswith(CUDA)]


def install_files(files: Sequence[Path]) -> None:
    """Exactly what the files pin: they are complete, so nothing is resolved."""
    pip(
        "install",
        "--no-deps",
        "--no-compile",
        *(word for file in files for word in ("-r", str(file))),
    )


def install_programs() -> None:
    """What tests run besides Python packages; without it they are skipped, and say so."""
    missing = [name for name, file in PROGRAMS.items() if not file.exists()]
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        say(f"some tests will be skipped; for them: apt-get install {' '.join(missing)}")
        return
    say(f"installing for tests: {', '.join(missing)}")
    silent = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    if answers := shutil.which("debconf-set-selections"):
        subprocess.run([answers], input=NO_MAIL_SERVER, env=silent, check=False)  # noqa: S603 - our own command
    wanted = [("install", "--yes", "--no-install-recommends", "--no-remove", m) for m in missing]
    for words in (("update",), *wanted):
        status = subprocess.run([apt, "--quiet", *words], env=silent, check=False).returncode  # noqa: S603 - our own command
        if status:
            say(f"apt-get {' '.join(words)}: status {status}; some tests will be skipped")


def install_project() -> None:
    """This checkout itself, editable, and its ``sourcier`` program."""
    pip("install", "--no-deps", "--quiet", "-e", str(ROOT))


def pip(*words: str) -> None:
    """Run pip, with its progress bars on a terminal and quietly elsewhere."""
    quiet = [] if sys.stdout.isatty() else ["--quiet", "--progress-bar", "off"]
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *words, *quiet]
    status = subprocess.run(command, check=False).returncode  # noqa: S603 - our own command
    if status:
        raise Failed(f"pip ended with status {status}; what it said stands above")


def say(text: str) -> None:
    print(f"install: {text}", flush=True)  # noqa: T201 - a program's progress


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
