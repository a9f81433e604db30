"""A desk in a real browser: feedback as a process of its own on real servers, with seeded data.

Test files of this folder bear ``pytestmark = pytest.mark.xdist_group("desk")``, so that one worker
starts all this once. What a test changes, it changes for the others: take a draft of your own
(``desk_server.fresh()``), or one that no other test names. Tests here are plain functions:
Playwright's synchronous API leaves no room for asyncio's.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import nats
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from deploy.local.nats import NatsServer
from deploy.local.process import free_ports
from deploy.local.service import wait_until_ready
from deploy.migrating import MIGRATIONS, migrate
from services.feedback.accounts import StoredAccount, written
from services.feedback.desk.cookies import SESSION
from shared import admin
from shared.clock import utcnow
from shared.envelope import Event
from shared.events import DraftReady, MailAccepted
from shared.identity import mail_id
from shared.routing import OfMail
from shared.settings import Nats, Objects, Settings, Streams
from tests.browser.seed import Seeded, digest, drafted, say, seed
from tests.browser.seed_texts import CASES
from tests.fixtures.hub import Hub, RemoteHub

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ACCOUNTS: dict[str, tuple[str, list[str], list[str] | None]] = {
    "agent": ("Camille Agent", ["agent"], ["edurenov"]),
    "agent2": ("Dominique Agent", ["agent"], None),
    "curateur": ("Sacha Curateur", ["agent", "curator"], None),
    "data": ("Alex Données", ["data"], None),
    "admin": ("Administration", ["admin"], None),
}
CONFIG = """
[mailboxes.edurenov]
signature = "Le guichet EduRénov"
collections = ["edurenov"]
[mailboxes.outre-mer]
signature = "Le guichet EduRénov outre-mer"
collections = ["edurenov"]
"""
PATIENCE = 20_000
"""Milliseconds for what takes far less on a machine that does nothing else."""
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


class DeskServer:
    """A running feedback service and what it stands on."""

    def __init__(self, folder: Path, dsn: str, store: Objects, broker: str, seeded: Seeded) -> None:
        self.dsn = dsn
        self.store = store
        self.broker = broker
        self.seeded = seeded
        self.log = folder / "feedback.log"
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._made = 0
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "sourcier.toml").write_text(CONFIG)
        accounts = [
            StoredAccount(
                name=name,
                display=display,
                roles=frozenset(roles),  # type: ignore[arg-type]  # names of roles
                mailboxes=None if boxes is None else frozenset(boxes),
                pseudonym=f"p-{digest(name).hex()[:12]}",
                since=utcnow() - timedelta(days=90),
            )
            for name, (display, roles, boxes) in ACCOUNTS.items()
        ]
        file = folder / "accounts.toml"
        file.touch(mode=0o600)
        file.write_text(written(accounts))
        self._environment = {
            **os.environ,
            "SOURCIER_CONFIG": str(folder / "sourcier.toml"),
            "SOURCIER_DESK__ACCOUNTS": str(file),
            "SOURCIER_NATS__URL": broker,
            "SOURCIER_STREAMS__MAX_BYTES": str(16 * 1024 * 1024),
            "SOURCIER_POSTGRES__DSN": dsn,
            "SOURCIER_OBJECTS__ENDPOINT": store.endpoint,
            "SOURCIER_OBJECTS__ACCESS_KEY": store.access_key,
            "SOURCIER_OBJECTS__SECRET_KEY": store.secret_key.get_secret_value(),
            "SOURCIER_OBJECTS__BUCKET": store.bucket,
            "SOURCIER_HTTP__PORT": str(self.port),
            "SOURCIER_DESK__REQUESTS_PER_MINUTE": "100000",
        }

    def start(self) -> None:
        """Start the process and wait until it serves."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.feedback.app"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        wait_until_ready(self.url, self._process, self.log)

    def stop(self) -> float:
        """Ask it to end; the seconds that took."""
        began = time.monotonic()
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return time.monotonic() - began

    def restart(self) -> None:
        """Stop and start again on the same port."""
        self.stop()
        self.start()

    def sign_in(self, account: str) -> str:
        """A session's cookie, as signing in would set it."""
        token = secrets.token_urlsafe(24)
        self.sql(
            "insert into feedback.sessions (token_sha256, account, csrf, created, expires)"
            " values ($1, $2, $3, now(), now() + interval '8 hours')",
            digest(token),
            account,
            secrets.token_hex(16),
        )
        return token

    def sql(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Run a statement; its rows."""

        async def run() -> list[asyncpg.Record]:
            db = await asyncpg.connect(self.dsn)
            try:
                return await db.fetch(statement, *values)
            finally:
                await db.close()

        return _apart(run)

    def sql_many(self, steps: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        """Run statements in order, in one transaction, told to nobody who follows."""

        async def run() -> None:
            db = await asyncpg.connect(self.dsn)
            try:
                async with db.transaction():
                    await db.execute("set local session_replication_role = replica")
                    for statement, values in steps:
                        await db.execute(statement, *values)
            finally:
                await db.close()

        _apart(run)

    def say(self, *events: Event) -> None:
        """Publish events on the broker, as other services would."""

        async def run() -> None:
            client = await nats.connect(self.broker)
            for event in events:
                body = event.model_dump_json().encode()
                await client.jetstream().publish(event.nats_subject(), body, timeout=5)
            await client.close()

        _apart(run)

    def fresh(self, case: str = "part-etude", subject: str = "", published: bool = True) -> UUID:
        """The draft of a new e-mail like that of ``case``; waits until feedback keeps it."""
        self._made += 1
        name = f"{case} {self._made} {secrets.token_hex(4)}"
        mail = self.seeded.blocks[case]
        new = mail.model_copy(
            update={
                "mail_id": mail_id(mail.mailbox, name.encode()),
                "thread_id": mail_id(mail.mailbox, f"thread {name}".encode()),
                "message_id": f"<{name.replace(' ', '.')}@seed.example>",
                "subject": subject or f"{mail.subject} ({self._made})",
                "received": utcnow(),
            }
        )
        chosen = next(each for each in CASES if each.name == case)
        event = drafted(self.seeded, chosen, new, utcnow())
        assert isinstance(event, DraftReady) or chosen.declined
        accepted = say(MailAccepted, utcnow(), OfMail(mail=new))
        self.say(accepted, event)
        draft = event.data.draft_id
        for _ in range(100):
            if self.sql("select from feedback.drafts where draft_id = $1", draft):
                return draft
            time.sleep(0.05)
        raise AssertionError("feedback did not keep the draft")


def _apart(work: Callable[[], Any]) -> Any:
    """Run a coroutine although Playwright's loop may run in this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


@pytest.fixture(scope="session")
def desk_dsn(hub: Hub | RemoteHub) -> str:
    """A migrated database that no other test of the worker empties."""
    dsn = urlsplit(hub.address("postgres")["dsn"])
    fresh = urlunsplit(dsn._replace(path=f"/desk_{uuid.uuid4().hex[:12]}"))

    async def create() -> None:
        db = await asyncpg.connect(urlunsplit(dsn))
        await db.execute(f'CREATE DATABASE "{urlsplit(fresh).path[1:]}"')
        await db.close()

    _apart(create)
    for service in ("feedback", "intake"):
        migrate(fresh, MIGRATIONS / service)
    return fresh


@pytest.fixture(scope="session")
def desk_server(
    tmp_path_factory: pytest.TempPathFactory, desk_dsn: str, s3: Objects
) -> Iterator[DeskServer]:
    """feedback on real PostgreSQL, S3 and NATS, with the seed's data and accounts."""
    folder = tmp_path_factory.mktemp("desk")
    broker = NatsServer(folder / "nats", folder / "nats.log", free_ports(1)[0])
    broker.start()
    small = Streams(max_bytes=16 * 1024 * 1024)
    _apart(lambda: admin.apply(Settings(nats=Nats(url=broker.url), streams=small)))
    seeded = _apart(lambda: seed(desk_dsn, s3))
    server = DeskServer(folder, desk_dsn, s3, broker.url, seeded)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        broker.stop()


@pytest.fixture(scope="session", autouse=True)
def chromium() -> Path:
    """Looked for before any server starts."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}: make install-dev as root, or apt-get install chromium")
    return CHROMIUM


# Of the package: while Playwright's loop runs in this thread, no asyncio test can.
@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright, chromium: Path) -> Iterator[Browser]:
    """One Chromium for all tests."""
    started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield started
    started.close()


PageAs = Callable[..., Page]


@pytest.fixture
def page_as(browser: Browser, desk_server: DeskServer) -> Iterator[PageAs]:
    """``page_as("agent", width=1280, lang="fr", path=None)``: a page of a signed-in account (None:
    of nobody) in a context of its own. At the end no page may have met an error of a script or of
    the content security policy, nor have asked another origin for anything."""
    contexts = []
    wrong: list[str] = []

    def make(
        account: str | None,
        width: int = 1280,
        height: int = 900,
        lang: str = "fr",
        path: str | None = None,
        **more: Any,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, base_url=desk_server.url, **more
        )
        contexts.append(context)
        cookies = {"lang": lang} | ({SESSION: desk_server.sign_in(account)} if account else {})
        context.add_cookies(
            [{"name": n, "value": v, "url": desk_server.url} for n, v in cookies.items()]
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.on("console", lambda said: _listen(page, said, wrong))
        page.on("request", lambda asked: _stays(asked.url, desk_server.url, wrong))
        if path:
            page.goto(path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(wrong)


def _listen(page: Page, said: Any, wrong: list[str]) -> None:
    if said.type == "error" and "Failed to load resource" not in said.text:
        wrong.append(f"{page.url}: {said.text}")


def _stays(asked: str, origin: str, wrong: list[str]) -> None:
    if not asked.startswith((origin, "data:", "blob:", "about:")):
        wrong.append(f"left the origin: {asked}")


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], None]:
    """Fails with what axe-core found on a page, if anything."""
    engine = Axe()

    def check(page: Page) -> None:
        # The nodes of what passed are not told: collecting them takes a third of the time.
        options = {
            "runOnly": {"type": "tag", "values": AXE_TAGS},
            "resultTypes": ["violations"],
        }
        found = engine.run(page, options=options)
        told = [
            f"{v['id']} ({v['impact']}): {v['help']}\n    "
            + "\n    ".join(
                f"{n['html'][:160]}  {n.get('failureSummary', '')[:300]}" for n in v["nodes"][:4]
            )
            for v in found.response["violations"]
        ]
        assert not told, f"{page.url} at {page.viewport_size}\n" + "\n".join(told)

    return check
