"""The embedded login: an accounts file with Argon2id hashes, and one-time links."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from services.feedback.accounts import (
    Account,
    StoredAccount,
    Unreadable,
    digest,
    parse,
    written,
)
from services.feedback.signing_in import Refused, Sessions
from shared.clock import Clock, utcnow
from shared.settings import Misconfigured

log = structlog.get_logger()

HASHER = PasswordHasher()
"""RFC 9106's second choice: 64 MiB and three passes."""
_AT_ONCE = 2
"""Passwords checked side by side: each takes 64 MiB and a core."""
_TOKEN_LEAST = 32
_NOBODY = HASHER.hash("no account has this password")
"""Checked for an unknown name, so that it takes as long as a known one."""

Stamp = tuple[int, int, int] | None


class AccountsFile:
    """The Protocol ``Accounts``: the file as it is now, and the operator by its token.

    A file that cannot be read any more leaves the accounts as they were, and says so in the log;
    one that is gone leaves none.
    """

    def __init__(self, path: Path, operator_token: Path | None = None) -> None:
        self._path = path
        self._accounts: dict[str, StoredAccount] = {}
        self._stamp: Stamp = None
        self._operator = _operator(operator_token)
        try:
            self._accounts, self._stamp = read(path), _stamp(path)
        except Unreadable as error:
            raise Misconfigured(f"the accounts file {path}: {error}") from error
        if not self._accounts:
            log.warning("nobody can sign in: no accounts", path=str(path))

    async def named(self, name: str) -> StoredAccount | None:
        return self._now().get(name)

    async def with_token(self, sha256: str) -> Account | None:
        if self._operator and sha256 == self._operator[0]:
            return self._operator[1]
        for account in self._now().values():
            if any(token.sha256 == sha256 for token in account.tokens):
                return account
        return None

    def _now(self) -> dict[str, StoredAccount]:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._accounts = read(self._path)
                log.info("accounts read again", accounts=len(self._accounts))
            except Unreadable as error:
                log.error("accounts file refused, the earlier one holds", reason=str(error))
        return self._accounts


class FileLogin:
    """The Protocol ``Login``, over the accounts file and its links."""

    def __init__(self, accounts: AccountsFile, sessions: Sessions, clock: Clock = utcnow) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._clock = clock
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def begin(self, back: str, browser: str) -> str | None:
        return None

    async def finish(self, answer: Mapping[str, str], browser: str) -> Account:
        if link := answer.get("link"):
            return await self._by_link(link)
        account = await self._accounts.named(answer.get("name", "").strip().lower())
        known = (account and account.password) or _NOBODY
        async with self._free:
            right = await asyncio.to_thread(_matches, known, answer.get("password", ""))
        if not (right and account and account.password):
            raise Refused("Le nom ou le mot de passe n'est pas le bon.")
        return account

    async def _by_link(self, link: str) -> Account:
        name = await self._sessions.use_link(digest(link), self._clock())
        account = await self._accounts.named(name) if name else None
        if account is None:
            raise Refused("Ce lien a déjà servi ou n'est plus valable : demandez-en un autre.")
        return account


def read(path: Path) -> dict[str, StoredAccount]:
    """The accounts of ``path``, none when it is missing. Raises Unreadable."""
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IRWXO:
                raise Unreadable(f"others may read it; close it with `chmod 600 {path}`")
            return parse(file.read())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"it cannot be read: {error}") from error


@contextmanager
def changing(path: Path) -> Iterator[dict[str, StoredAccount]]:
    """The accounts to change; written back at the end, whole and for the owner's eyes only.

    One change at a time. Raises Unreadable.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        accounts = read(path)
        yield accounts
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(written(accounts.values()), encoding="utf-8")
        fresh.replace(path)
    finally:
        os.close(descriptor)


def hashed(password: str) -> str:
    """What the file keeps of a password."""
    return HASHER.hash(password)


def _matches(known: str, password: str) -> bool:
    try:
        return HASHER.verify(known, password)
    except (Argon2Error, InvalidHashError):
        return False


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _operator(path: Path | None) -> tuple[str, Account] | None:
    """The hash of the operator's token, and its account, which no file can take away."""
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"desk.operator_token {path} cannot be read: {error}") from error
    if len(token) < _TOKEN_LEAST:
        raise Misconfigured(
            f"desk.operator_token {path} is too short to be a secret: put 32 random characters or"
            " more there, e.g. by `openssl rand -base64 32`"
        )
    account = Account(
        name="operator",
        display="Exploitation",
        roles=frozenset({"admin"}),
        mailboxes=None,
        pseudonym="operator",
        since=utcnow(),
    )
    return digest(token), account
