"""The whole application of feedback in this process: real PostgreSQL, every route, no broker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from services.feedback.access import Role
from services.feedback.accounts import ApiToken, StoredAccount, digest, written
from services.feedback.adapters.accounts_file import hashed
from services.feedback.app import build
from shared.bus import Bus
from shared.delivery import Unavailable
from shared.settings import Desk, Mailbox, Objects, Postgres, Settings

PASSWORD = "agrafe-cheval-batterie"
HASH = hashed(PASSWORD)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SITE = "http://desk.test"
MAILBOXES = {
    "default": Mailbox(audiences=("public", "interne")),
    "autre": Mailbox(audiences=("public",)),
}


def account(name: str, roles: set[Role], mailboxes: set[str] | None) -> StoredAccount:
    """An account whose password is PASSWORD and whose API token is ``token_of(name)``."""
    return StoredAccount(
        name=name,
        display=name.title(),
        roles=frozenset(roles),
        mailboxes=None if mailboxes is None else frozenset(mailboxes),
        pseudonym=f"p-{name}",
        since=SINCE,
        password=HASH,
        tokens=(ApiToken(name="test", sha256=digest(token_of(name))),),
    )


def token_of(name: str) -> str:
    """The API token of an account."""
    return f"sourcier_test_{name}_0123456789abcdef"


ACCOUNTS = (
    account("admin", {"admin"}, None),
    account("agent", {"agent"}, {"default"}),
    account("agent2", {"agent"}, {"autre"}),
    account("curateur", {"curator"}, {"default"}),
    account("data", {"data"}, None),
    account("rien", set(), None),
)


def config(postgres_dsn: str, folder: Path, **desk: object) -> Settings:
    """Settings with ACCOUNTS in a file in ``folder``."""
    file = folder / "accounts.toml"
    file.touch(mode=0o600)
    file.write_text(written(ACCOUNTS))
    token = folder / "operator-token"
    token.write_text(token_of("operator"))
    limits = {"requests_per_minute": 100_000, "logins_per_minute": 1000}
    values = {"accounts": file, "operator_token": token, **limits, **desk}
    return Settings(
        postgres=Postgres(dsn=postgres_dsn, pool=4),
        objects=Objects(secret_key=SecretStr("there is no store"), endpoint="127.0.0.1:9"),
        mailboxes=MAILBOXES,
        desk=Desk.model_validate(values),
    )


class NoBroker(Bus):
    """A broker that is down."""

    async def ask(self, query: Any, answer: Any, timeout: float = 5.0) -> Any:
        raise Unavailable("no broker")

    async def say(self, event: Any) -> None:
        raise Unavailable("no broker")


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application as the service builds it."""
    async with build(settings, NoBroker("feedback", settings)) as parts:
        assert isinstance(parts.api, FastAPI)
        yield parts.api


def client(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A browser of its own; ``headers`` as keyword arguments, or a program's token."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("192.0.2.7", 4711)),
        base_url=SITE,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def program(app: FastAPI, name: str) -> httpx.AsyncClient:
    """A program with the API token of ``name``."""
    return client(app, Authorization=f"Bearer {token_of(name)}")


def csrf_of(page: httpx.Response) -> str:
    """The token that stands in a page's forms."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found.group(1)


async def sign_in(
    browser: httpx.AsyncClient, name: str, path: str = "/login", /, **fields: str
) -> httpx.Response:
    """Fill in the login page as a person does."""
    page = await browser.get(path, headers={"Accept": "text/html"})
    filled: Mapping[str, str] = {"name": name, "password": PASSWORD, "csrf": csrf_of(page)}
    return await browser.post("/login", data={**filled, **fields}, headers={"Accept": "text/html"})
