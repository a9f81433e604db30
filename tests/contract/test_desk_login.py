"""Coming in and leaving, over the whole application and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from fastapi import FastAPI

from tests.contract.desk_app import application, client, config, csrf_of, program, sign_in


@pytest.fixture
async def app(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[FastAPI]:
    database = await asyncpg.connect(postgres_dsn)
    await database.execute("truncate feedback.sessions, feedback.login_links")
    await database.close()
    async with application(config(postgres_dsn, tmp_path)) as built:
        yield built


async def test_in_by_password_and_out(app: FastAPI) -> None:
    async with client(app, Accept="text/html") as browser:
        assert (await browser.get("/desk/account")).headers["location"] == (
            "/login?next=%2Fdesk%2Faccount"
        )
        entered = await sign_in(browser, "agent", next="/desk/account")
        assert (entered.status_code, entered.headers["location"]) == (303, "/desk/account")
        page = await browser.get("/desk/account")
        assert "Mon compte" in page.text
        assert "p-agent" in page.text
        left = await browser.post("/logout", data={"csrf": csrf_of(page)})
        assert left.status_code == 303
        assert (await browser.get("/desk/account")).status_code == 303
