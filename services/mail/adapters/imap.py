"""IMAP folders through imap-tools, whose blocking calls run in threads."""

from __future__ import annotations

import asyncio
import imaplib
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from imap_tools import AND, BaseMailBox, MailBox, MailBoxStartTls, MailBoxUnencrypted, U
from imap_tools.errors import ImapToolsError, MailboxLoginError

from services.mail.adapters import accounts
from services.mail.adapters.imap_idle import Idle
from services.mail.collecting import Entry, Place
from shared.bridge import Account, Incoming
from shared.delivery import Unavailable

T = TypeVar("T")
PORTS = {"tls": 993, "starttls": 143, "none": 143}
IDLE_SECONDS = 25 * 60.0
"""Servers may log off who idles for half an hour (RFC 2177): IDLE is issued anew before."""
DOWN = (imaplib.IMAP4.error, ImapToolsError, OSError, TimeoutError)
"""What a server that is away, or refuses, raises."""


def port(account: Account) -> int:
    """Where the server listens."""
    return account.port or PORTS[account.security]


def connect(account: Account) -> BaseMailBox:
    """A connection, logged in, without a folder. Raises Unavailable."""
    where = f"IMAP server {account.host}:{port(account)}"
    options: dict[str, Any] = {"port": port(account), "timeout": account.timeout}
    try:
        box: BaseMailBox
        if account.security == "none":
            box = MailBoxUnencrypted(account.host, **options)
        else:
            kind = MailBox if account.security == "tls" else MailBoxStartTls
            box = kind(account.host, **options, ssl_context=accounts.tls(account))
        if account.token_file:
            return box.xoauth2(account.user, accounts.token(account.token_file), None)
        secret = account.password.get_secret_value() if account.password else ""
        return box.login(account.user, secret, None)
    except MailboxLoginError as error:
        raise Unavailable(f"{where} refuses the login of {account.user}: {error}") from error
    except DOWN as error:
        raise Unavailable(f"{where}: {error or type(error).__name__}") from error


class ImapFolder:
    """The Protocol ``Folder``."""

    def __init__(self, config: Incoming) -> None:
        self._config = config
        self.account = f"{config.user}@{config.host}:{port(config)}"
        self.name = config.folder
        self.backlog = config.backlog

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ImapSession]:
        box = await asyncio.to_thread(connect, self._config)
        try:
            yield ImapSession(box, self._config)
        finally:
            # At once, whatever a thread is still doing with it: that then fails.
            with suppress(OSError):
                box.client.socket().shutdown(socket.SHUT_RDWR)


class ImapSession:
    """The Protocol ``Session``."""

    def __init__(self, box: BaseMailBox, config: Incoming) -> None:
        self._box = box
        self._config = config
        self._idles = False
        self._exists: bytes | None = None

    async def start(self, backlog: bool) -> Place:
        def call() -> Place:
            status = self._box.folder.status(self._config.folder, ["UIDVALIDITY", "UIDNEXT"])
            self._box.folder.set(self._config.folder)
            # Asked anew: what a server can do before and after the login differs.
            self._idles = b"IDLE" in self._box.client.capability()[1][0].upper().split()
            if backlog:
                return Place(status["UIDVALIDITY"], 0)
            today = datetime.now(UTC).date()
            return Place(status["UIDVALIDITY"], status["UIDNEXT"] - 1, today)

        return await self._run(call)

    async def waiting(self, place: Place) -> Sequence[Entry]:
        def call() -> list[Entry]:
            found = self._box.uids(self._criteria(place))
            # n:* means at least the last e-mail, even when its UID is smaller.
            uids = sorted(uid for uid in map(int, found) if uid > place.uid)
            return [
                entry
                for at in range(0, len(uids), 500)
                for entry in self._sizes(uids[at : at + 500])
            ]

        return await self._run(call)

    def _criteria(self, place: Place) -> str:
        wanted: dict[str, Any] = {"uid": U(str(place.uid + 1), "*")}
        if self._config.after == "flag":
            wanted["no_keyword"] = self._config.keyword
        if place.since:
            wanted["date_gte"] = place.since
        return str(AND(**wanted))

    def _sizes(self, uids: Sequence[int]) -> list[Entry]:
        _, data = self._box.client.uid("FETCH", _set(uids), "(UID RFC822.SIZE)")
        return sorted(
            (
                Entry(int(_after(line, b"UID")), int(_after(line, b"RFC822.SIZE")))
                for line in data
                if isinstance(line, bytes) and b"RFC822.SIZE" in line
            ),
            key=lambda entry: entry.uid,
        )

    async def raw(self, uid: int) -> bytes | None:
        def call() -> bytes | None:
            _, data = self._box.client.uid("FETCH", str(uid), "(UID BODY.PEEK[])")
            bodies = [part[1] for part in data if isinstance(part, tuple)]
            return bytes(bodies[0]) if bodies else None

        return await self._run(call)

    async def taken(self, uids: Sequence[int]) -> None:
        def call() -> None:
            config = self._config
            if config.after == "move":
                self._box.move(_set(uids), config.move_to or "")
            else:
                self._store(uids, "\\Seen" if config.after == "seen" else config.keyword)

        await self._run(call)

    async def refuse(self, uid: int) -> None:
        await self._run(lambda: self._store([uid], "\\Flagged"))

    def _store(self, uids: Sequence[int], flag: str) -> None:
        self._box.flag(_set(uids), flag, True)

    async def changed(self) -> None:
        if await self._run(self._told_of_more):
            return
        if not self._idles:
            await asyncio.sleep(self._config.poll)
            await self._run(lambda: self._box.client.noop())
            return
        idle = Idle(self._box)
        if not await self._run(idle.start):
            deadline = time.monotonic() + IDLE_SECONDS
            while time.monotonic() < deadline and not await self._run(idle.look):
                pass
        await self._run(idle.stop)

    def _told_of_more(self) -> bool:
        """Whether an earlier command was answered with a new count: IDLE would not repeat it."""
        counts = self._box.client.response("EXISTS")[1]
        known, self._exists = self._exists, counts[-1] or self._exists
        return self._exists != known

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except DOWN as error:
            raise Unavailable(
                f"IMAP {self._config.host}: {error or type(error).__name__}"
            ) from error


def _set(uids: Sequence[int]) -> str:
    return ",".join(map(str, uids))


def _after(line: bytes, word: bytes) -> bytes:
    """The number behind ``word`` in a FETCH answer."""
    return line.split(word + b" ", 1)[1].split(b" ", 1)[0].rstrip(b")")
