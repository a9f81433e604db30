"""Secrets of a local stack: made at the first start, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

import nkeys


def nkey_seeds(folder: Path, users: Iterable[str]) -> dict[str, str]:
    """A seed file ``<user>.nk`` for each user. Returns their public keys by user."""
    public: dict[str, str] = {}
    for user in users:
        seed = secret(folder / f"{user}.nk", _new_seed)
        public[user] = nkeys.from_seed(bytearray(seed.encode())).public_key.decode()
    return public


def password(folder: Path, name: str) -> str:
    """A random password kept in ``folder``."""
    return secret(folder / name, lambda: secrets.token_urlsafe(32))


def secret(path: Path, make: Callable[[], str]) -> str:
    """The content of ``path``; made by ``make()`` when there is no such file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(make())
        fresh.replace(path)  # never half a secret under its name
    return path.read_text().strip()


def _new_seed() -> str:
    raw = os.urandom(32)
    return str(nkeys.encode_seed(raw, nkeys.PREFIX_BYTE_USER), "ascii")
