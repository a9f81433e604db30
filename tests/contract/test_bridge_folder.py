"""A folder of a real Dovecot: each e-mail handed in, marked after it, and only new ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from services.mail.adapters import imap, imap_idle
from services.mail.adapters.imap import ImapFolder
from services.mail.collecting import Collector
from shared.bridge import Incoming
from shared.delivery import Unavailable
from tests.contract.bridge_servers import PASSWORD, Dovecot
from tests.fakes.bridge_memory import MemoryPlaces

MOST = 50_000


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    running = Dovecot()
    running.start()
    yield running
    running.close()


@pytest.fixture
def user() -> str:
    return f"box-{uuid4().hex[:8]}"


class Bus:
    """Keeps what was handed in; may be away."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.away = 0
        self.told: list[str] = []
        """What operators are told of the folder; nothing when it is read."""

    async def take(self, mailbox: str, raw: bytes) -> UUID:
        if self.away:
            self.away -= 1
            raise Unavailable("bus away")
        self.got.append(raw)
        return uuid4()

    async def has(self, count: int) -> list[bytes]:
        for _ in range(200):
            if len(self.got) >= count:
                return self.got
            await asyncio.sleep(0.05)
        raise AssertionError(f"{len(self.got)} e-mails, not {count}")


def mail(n: int, size: int = 0) -> bytes:
    return f"Message-ID: <{n}@x>\r\nSubject: {n}\r\n\r\nBonjour é {'x' * size}\r\n".encode()


def account(dovecot: Dovecot, user: str, **changes: object) -> Incoming:
    usual: dict[str, object] = {"host": "127.0.0.1", "port": dovecot.port, "security": "none"}
    usual |= {"user": user, "password": SecretStr(PASSWORD), "backlog": True}
    return Incoming(**(usual | changes))  # type: ignore[arg-type]  # a test's own mix


@asynccontextmanager
async def collecting(
    config: Incoming, bus: Bus, places: MemoryPlaces | None = None
) -> AsyncIterator[None]:
    places = places or MemoryPlaces()
    given = (ImapFolder(config), places, bus.take, MOST, bus.told.append, (0.2,))
    collector = Collector("default", *given)
    task = asyncio.create_task(collector.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def settled(dovecot: Dovecot, user: str, wanted: list[tuple[str, ...]]) -> None:
    found: list[tuple[str, ...]] = []
    for _ in range(100):
        found = await asyncio.to_thread(dovecot.flags, user)
        if found == wanted:
            return
        await asyncio.sleep(0.05)
    assert found == wanted


async def test_what_lies_there_and_what_arrives(dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1), mail(2))
    bus = Bus()
    async with collecting(account(dovecot, user), bus):
        await bus.has(2)
        await asyncio.sleep(0.3)  # it idles now
        await asyncio.to_thread(dovecot.deliver, user, mail(3))
        assert await bus.has(3) == [mail(1), mail(2), mail(3)]
        await settled(dovecot, user, [("$Sourcier",)] * 3)


async def test_over_tls(dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1))
    bus = Bus()
    config = account(dovecot, user, security="tls", port=dovecot.tls_port, ca_file=dovecot.ca_file)
    async with collecting(config, bus):
        assert await bus.has(1) == [mail(1)]
        for n in (2, 3):
            await asyncio.sleep(1.2)  # it idles now, and has looked in vain
            await asyncio.to_thread(dovecot.deliver, user, mail(n))
            assert len(await bus.has(n)) == n


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_an_unknown_certificate_is_refused(
    dovecot: Dovecot, user: str, security: str
) -> None:
    port = dovecot.tls_port if security == "tls" else dovecot.port
    folder = ImapFolder(account(dovecot, user, security=security, port=port))
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        async with folder.session():
            raise AssertionError("connected")


async def test_older_ones_are_left_alone_unless_asked_for(dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1))
    bus, places, config = Bus(), MemoryPlaces(), account(dovecot, user, backlog=False)
    async with collecting(config, bus, places):
        await asyncio.sleep(0.5)
        await asyncio.to_thread(dovecot.deliver, user, mail(2))
        assert await bus.has(1) == [mail(2)]
    dovecot.deliver(user, mail(3))  # while nobody reads
    async with collecting(config, bus, places):
        assert await bus.has(2) == [mail(2), mail(3)]


async def test_seen_by_a_person_before_us_is_still_handed_in(dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1))
    with dovecot.login(user) as box:
        box.flag("1", "\\Seen", True)
    bus = Bus()
    async with collecting(account(dovecot, user, after="seen"), bus):
        assert await bus.has(1) == [mail(1)]
        await asyncio.to_thread(dovecot.deliver, user, mail(2))
        await bus.has(2)
        await settled(dovecot, user, [("\\Seen",)] * 2)


async def test_moved(dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1), mail(2))
    bus = Bus()
    async with collecting(account(dovecot, user, after="move", move_to="Done"), bus):
        await bus.has(2)
        await settled(dovecot, user, [])
    assert len(dovecot.flags(user, "Done")) == 2


async def test_nothing_is_marked_while_the_bus_is_away(dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1))
    bus = Bus()
    bus.away = 3
    async with collecting(account(dovecot, user), bus):
        await asyncio.sleep(0.3)
        assert bus.got == []
        assert await asyncio.to_thread(dovecot.flags, user) == [()]
        assert await bus.has(1) == [mail(1)]
        await settled(dovecot, user, [("$Sourcier",)])
    assert ("bus away" in bus.told, bus.told[-1]) == (True, "")


async def test_too_large_is_flagged_for_people_and_stops_nothing(
    dovecot: Dovecot, user: str
) -> None:
    dovecot.deliver(user, mail(1), mail(2, MOST), mail(3))
    bus, places = Bus(), MemoryPlaces()
    for _ in range(2):
        async with collecting(account(dovecot, user), bus, places):
            await bus.has(2)
            await settled(dovecot, user, [("$Sourcier",), ("\\Flagged",), ("$Sourcier",)])
    assert bus.got == [mail(1), mail(3)]


async def test_a_folder_numbered_anew_is_read_again(dovecot: Dovecot, user: str) -> None:
    """By content they are the same e-mails: what is handed in twice is one."""
    dovecot.deliver(user, mail(1))
    bus, places, config = Bus(), MemoryPlaces(), account(dovecot, user, after="seen")
    async with collecting(config, bus, places):
        await bus.has(1)
        await settled(dovecot, user, [("\\Seen",)])
    await asyncio.sleep(1.1)  # the new number is the time in seconds
    for path in (dovecot.folder / "mail" / user).glob("dovecot*"):
        path.unlink()  # where Dovecot keeps its numbers
    dovecot.deliver(user, mail(2))
    async with collecting(config, bus, places):
        assert sorted(await bus.has(3)) == sorted([mail(1), mail(1), mail(2)])


async def test_idle_is_issued_anew(
    dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(imap_idle, "SLICE", 0.05)
    bus = Bus()
    async with collecting(account(dovecot, user), bus):
        await asyncio.sleep(1)
        await asyncio.to_thread(dovecot.deliver, user, mail(1))
        assert await bus.has(1) == [mail(1)]


async def test_a_server_that_dies_is_found_again(user: str) -> None:
    own = await asyncio.to_thread(Dovecot)
    try:
        await asyncio.to_thread(own.start)
        bus = Bus()
        async with collecting(account(own, user), bus):
            await asyncio.to_thread(own.deliver, user, mail(1))
            await bus.has(1)
            await settled(own, user, [("$Sourcier",)])
            await asyncio.sleep(0.3)  # it idles now
            await asyncio.to_thread(own.kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(own.start)
            await asyncio.to_thread(own.deliver, user, mail(2))
            assert mail(2) in await bus.has(2)
    finally:
        await asyncio.to_thread(own.close)


async def test_a_wrong_password_is_told(dovecot: Dovecot, user: str) -> None:
    folder = ImapFolder(account(dovecot, user, password=SecretStr("no")))
    with pytest.raises(Unavailable, match="refuses the login"):
        async with folder.session():
            raise AssertionError("logged in")


async def test_none_is_missed_between_reading_and_waiting(dovecot: Dovecot, user: str) -> None:
    """What arrives while the folder is searched is told with that answer, not by IDLE."""
    bus = Bus()
    async with collecting(account(dovecot, user), bus):
        mails = [mail(n) for n in range(100)]
        await asyncio.to_thread(dovecot.deliver, user, *mails)
        assert await bus.has(100) == mails


async def test_oauth(dovecot: Dovecot, user: str, tmp_path: Path) -> None:
    dovecot.deliver(user, mail(1))
    token, bus = tmp_path / "token", Bus()
    token.write_text("token-1\n")
    config = account(dovecot, user, password=None, token_file=token)
    provider = await asyncio.start_server(_tokens(user), "127.0.0.1", dovecot.tokens_port)
    async with provider:
        async with collecting(config, bus):
            assert await bus.has(1) == [mail(1)]
        token.write_text("token-2")
        with pytest.raises(Unavailable, match="AUTHENTICATIONFAILED"):
            async with ImapFolder(config).session():
                raise AssertionError("logged in")


def _tokens(user: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A provider that knows token-1 as ``user``'s."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        good = b"token-1" in request.split(b"\r\n")[0]
        body = b'{"email": "%s"}' % user.encode() if good else b"{}"
        status = b"200 OK" if good else b"401 Unauthorized"
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        writer.write(head % (status, len(body)) + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    return answer
