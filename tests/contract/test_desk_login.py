"""Coming in, staying and leaving, over the whole application and a real PostgreSQL."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
from fastapi import FastAPI

from services.feedback.accounts import Account, digest, written
from services.feedback.adapters.accounts_file import AccountsFile
from services.feedback.adapters.audit import PostgresAudit
from services.feedback.adapters.sessions import PostgresSessions
from services.feedback.desk.account import HOME
from services.feedback.desk.parts import Desk
from services.feedback.signing_in import Refused, SigningIn
from shared.clock import utcnow
from shared.delivery import Unavailable
from shared.postgres import open_pool
from shared.settings import Http, Postgres, Settings
from tests.contract.desk_app import (
    ACCOUNTS,
    PASSWORD,
    SITE,
    application,
    client,
    config,
    csrf_of,
    program,
    sign_in,
)
from tests.viewers import ADMIN

PAGE = {"Accept": "text/html"}


@pytest.fixture
async def database(postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    found = await asyncpg.connect(postgres_dsn)
    await found.execute("truncate feedback.sessions, feedback.login_links")
    yield found
    await found.close()


@pytest.fixture
def settings(postgres_dsn: str, tmp_path: Path, database: asyncpg.Connection) -> Settings:
    return config(postgres_dsn, tmp_path)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with application(settings) as built:
        yield built


async def told(database: asyncpg.Connection, action: str) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await database.fetch(
        "select * from feedback.audit where action = $1 order by position", action
    )
    return found


async def test_in_by_password_and_out(app: FastAPI, database: asyncpg.Connection) -> None:
    before = len(await told(database, "login"))
    async with client(app, **PAGE) as browser:
        sent = await browser.get("/desk/account?x=1")
        assert sent.headers["location"] == "/login?next=%2Fdesk%2Faccount%3Fx%3D1"
        entered = await sign_in(browser, "agent", next="/desk/account")
        assert (entered.status_code, entered.headers["location"]) == (303, "/desk/account")
        page = await browser.get("/desk/account")
        assert "Mon compte" in page.text
        assert "p-agent" in page.text
        left = await browser.post("/logout", data={"csrf": csrf_of(page)})
        assert left.headers["location"] == "/login?out=true"
        assert "Vous êtes déconnecté" in (await browser.get("/login?out=true")).text
        assert (await browser.get("/desk/account")).status_code == 303
    logins = await told(database, "login")
    assert (len(logins), logins[-1]["account"]) == (before + 1, "agent")
    assert (await told(database, "logout"))[-1]["account"] == "agent"


async def test_names_are_taken_as_people_type_them(app: FastAPI) -> None:
    async with client(app, **PAGE) as browser:
        assert (await sign_in(browser, " Agent ")).status_code == 303


@pytest.mark.parametrize("fields", [{"password": "faux"}, {"name": "nobody"}, {"name": "\x00"}])
async def test_a_refusal_does_not_tell_what_was_wrong(
    app: FastAPI, database: asyncpg.Connection, fields: dict[str, str]
) -> None:
    async with client(app, **PAGE) as browser:
        refused = await sign_in(browser, "agent", **fields)
        assert refused.status_code == 401
        assert "Le nom ou le mot de passe n&#39;est pas le bon." in refused.text
        assert "sourcier_session" not in refused.headers.get("set-cookie", "")
        assert (await browser.get("/desk/account")).status_code == 303
    entry = (await told(database, "login.refused"))[-1]
    assert entry["account"] == ("?" if "name" in fields else "agent")
    assert "192.0.2.7" in entry["detail"]
    assert "faux" not in entry["detail"]


async def test_an_unknown_account_takes_as_long_as_a_known_one(app: FastAPI) -> None:
    async def seconds(name: str) -> float:
        login = cast(Desk, app.state.desk).signing.login
        began = time.process_time()
        with pytest.raises(Refused):
            await login.finish({"name": name, "password": "faux"}, "")
        return time.process_time() - began

    await seconds("agent")
    known = [await seconds("agent") for _ in range(5)]
    unknown = [await seconds("nobody") for _ in range(5)]
    assert 0.5 < statistics.median(known) / statistics.median(unknown) < 2


async def test_a_session_is_new_at_each_login_and_ends_the_one_before(
    app: FastAPI, database: asyncpg.Connection
) -> None:
    async with client(app, **PAGE) as browser:
        # A session that somebody else chose is not taken over.
        browser.cookies.set("sourcier_session", "chosen-by-an-attacker", domain="desk.test")
        await sign_in(browser, "agent")
        first = _session(browser)
        assert first != "chosen-by-an-attacker"
        page = await browser.get("/desk/account")
        again = {"name": "agent2", "password": PASSWORD, "csrf": csrf_of(page)}
        assert (await browser.post("/login", data=again)).status_code == 303
        assert _session(browser) != first
        assert await database.fetchval("select count(*) from feedback.sessions") == 1
        assert "p-agent2" in (await browser.get("/desk/account")).text
    kept = await database.fetchval("select token_sha256 from feedback.sessions")
    assert kept.hex() == digest(_session(browser)), "only the hash is kept"


def _session(browser: Any) -> str:
    return str(browser.cookies.get("sourcier_session", domain="desk.test") or "")


@pytest.mark.parametrize(("host", "prefix"), [("127.0.0.1", ""), ("0.0.0.0", "__Host-")])  # noqa: S104 - a container's
async def test_cookies_are_closed(settings: Settings, host: str, prefix: str) -> None:
    settings = settings.model_copy(update={"http": Http(host=host)})
    async with application(settings) as app, client(app, **PAGE) as browser:
        browser.base_url = SITE.replace("http:", "https:")
        page = await browser.get("/login")
        entered = await sign_in(browser, "agent")
        for answer, name in ((page, "browser"), (entered, "session")):
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith(f"{prefix}sourcier_{name}=")
            assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
            assert ("Secure" in cookie) == bool(prefix)
            assert "Domain" not in cookie
            assert ("Strict-Transport-Security" in answer.headers) == bool(prefix)
        assert (await browser.get("/desk/account")).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "\t//evil.example",
        "/\t/evil.example",
        "/%0d%0aSet-Cookie:x=y\r\nX: y",
        "",
    ],
)
async def test_a_login_leads_nowhere_else(app: FastAPI, address: str) -> None:
    async with client(app, **PAGE) as browser:
        entered = await sign_in(browser, "agent", next=address)
        assert entered.headers["location"] == HOME
        there = await browser.get("/login", params={"next": address})
        assert there.headers["location"] == HOME


async def test_a_link_opens_once(app: FastAPI, database: asyncpg.Connection) -> None:
    async with program(app, "operator") as operator:
        made = await operator.post("/v1/login-links", json={"account": "rien"})
        assert made.status_code == 201
        unknown = await operator.post("/v1/login-links", json={"account": "nobody"})
        assert (unknown.status_code, "nobody" in unknown.json()["detail"]) == (404, True)
    path = made.json()["path"]
    async with client(app, **PAGE) as browser, client(app, **PAGE) as second:
        for _ in range(3):  # looking at the page, as a mail scanner does, does not use it
            page = await browser.get(path)
        assert "Rien" in page.text or "rien" in page.text
        assert "password" not in page.text
        link = re.search(r'name="link" value="([^"]+)"', page.text)
        assert link
        fields = {"link": link.group(1), "csrf": csrf_of(page)}
        late = csrf_of(await second.get(path))
        assert (await browser.post("/login", data=fields)).status_code == 303
        assert (await browser.get("/desk/account")).status_code == 200
        refused = await second.post("/login", data=fields | {"csrf": late})
        assert refused.status_code == 401
        assert "déjà servi" in refused.text
        assert "Lien périmé" in (await second.get(path)).text
    assert (await told(database, "link.made"))[-1]["object"] == "account:rien"


async def test_a_link_expires(app: FastAPI, database: asyncpg.Connection) -> None:
    token = await cast(Desk, app.state.desk).signing.new_link(ADMIN, "agent")
    await database.execute("update feedback.login_links set expires = now() - interval '1 s'")
    async with client(app, **PAGE) as browser:
        assert "Lien périmé" in (await browser.get(f"/login?link={token}")).text
        page = await browser.get("/login")
        late = await browser.post("/login", data={"link": token, "csrf": csrf_of(page)})
        assert late.status_code == 401


Change = Callable[[asyncpg.Connection, Path], Any]


async def _unused(database: asyncpg.Connection, folder: Path) -> None:
    await database.execute("update feedback.sessions set expires = now() - interval '1 s'")


async def _too_old(database: asyncpg.Connection, folder: Path) -> None:
    await database.execute("update feedback.sessions set created = now() - interval '8 days'")


async def _removed(database: asyncpg.Connection, folder: Path) -> None:
    others = [each for each in ACCOUNTS if each.name != "agent"]
    (folder / "accounts.toml").write_text(written(others))


async def _other_password(database: asyncpg.Connection, folder: Path) -> None:
    changed = [each.model_copy(update={"since": utcnow()}) for each in ACCOUNTS]
    (folder / "accounts.toml").write_text(written(changed))


@pytest.mark.parametrize("change", [_unused, _too_old, _removed, _other_password])
async def test_a_session_ends(
    app: FastAPI, database: asyncpg.Connection, tmp_path: Path, change: Change
) -> None:
    async with client(app, **PAGE) as browser:
        await sign_in(browser, "agent")
        assert (await browser.get("/desk/account")).status_code == 200
        await change(database, tmp_path)
        assert (await browser.get("/desk/account")).status_code == 303
        assert await database.fetchval("select count(*) from feedback.sessions") == 0


async def test_a_session_in_use_goes_on(app: FastAPI, database: asyncpg.Connection) -> None:
    async with client(app, **PAGE) as browser:
        await sign_in(browser, "agent")
        assert "set-cookie" not in (await browser.get("/desk/account")).headers
        await database.execute("update feedback.sessions set expires = now() + interval '1 hour'")
        renewed = await browser.get("/desk/account")
        assert "Max-Age=43200" in renewed.headers["set-cookie"]
        left = await database.fetchval("select expires - now() from feedback.sessions")
        assert left > timedelta(hours=11)


async def test_the_other_sessions_can_be_closed(app: FastAPI) -> None:
    async with client(app, **PAGE) as here, client(app, **PAGE) as there:
        await sign_in(here, "agent")
        await sign_in(there, "agent")
        page = await here.get("/desk/account")
        assert page.text.count("ouverte le") == 2
        closed = await here.post("/desk/account/sessions/end", data={"csrf": csrf_of(page)})
        told_so = await here.get(closed.headers["location"])
        assert "1 autre session fermée" in told_so.text
        assert (await there.get("/desk/account")).status_code == 303


async def test_roles_change_at_once(app: FastAPI, tmp_path: Path) -> None:
    async with client(app, **PAGE) as browser:
        await sign_in(browser, "agent")
        assert (await browser.get("/desk/audit")).status_code == 403
        more = [each.model_copy(update={"roles": frozenset({"admin"})}) for each in ACCOUNTS]
        (tmp_path / "accounts.toml").write_text(written(more))
        assert (await browser.get("/desk/audit")).status_code == 200


async def test_too_many_tries_have_to_wait(settings: Settings) -> None:
    desk = settings.desk.model_copy(update={"logins_per_minute": 3})
    async with application(settings.model_copy(update={"desk": desk})) as app:
        async with client(app, **PAGE) as browser:
            for _ in range(2):
                assert (await sign_in(browser, "agent", password="faux")).status_code == 401
            assert (await sign_in(browser, "agent")).status_code == 303, "and starts anew"
        async with client(app, **PAGE) as browser:
            for _ in range(3):
                assert (await sign_in(browser, "agent", password="faux")).status_code == 401
            late = await sign_in(browser, "agent")
            assert late.status_code == 429
            assert 0 < int(late.headers["Retry-After"]) <= 60
            assert "réessayez dans" in late.text
        async with program(app, "unknown") as stranger:
            assert (await stranger.get("/v1/drafts")).status_code == 429, "tokens are tries too"


async def test_an_account_is_limited_wherever_it_asks_from(settings: Settings) -> None:
    desk = settings.desk.model_copy(update={"requests_per_minute": 5})
    async with (
        application(settings.model_copy(update={"desk": desk})) as app,
        program(app, "agent") as one,
        program(app, "agent2") as other,
    ):
        statuses = [(await one.get("/v1/figures")).status_code for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        late = await one.get("/v1/figures")
        assert late.headers["content-type"] == "application/problem+json"
        assert int(late.headers["Retry-After"]) > 0
        assert (await other.get("/v1/figures")).status_code == 200
        assert (await one.get("/static/desk.css")).status_code == 200


async def test_the_token_may_stand_in_a_form_with_files(app: FastAPI) -> None:
    async with client(app, **PAGE) as browser:
        await sign_in(browser, "agent")
        token = csrf_of(await browser.get("/desk/account"))
        big = {"file": ("big.bin", b"x" * 500_000)}

        async def post(fields: Mapping[str, str]) -> int:
            answer = await browser.post("/desk/account/sessions/end", data=fields, files=big)
            return answer.status_code

        assert await post({"csrf": token}) == 303
        assert await post({"csrf": token[:-1]}) == 403
        assert await post({}) == 403
        long = {"csrf": token, "text": "é" * 300_000}
        assert (await browser.post("/desk/account/sessions/end", data=long)).status_code == 303


async def test_large_requests_are_refused_unread(app: FastAPI) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        raise AssertionError("nobody reads on")

    async with client(app) as browser:
        sized = await browser.post("/v1/drafts/x/review", content=b"x" * 2_100_000)
        assert sized.status_code == 413
        assert (await browser.post("/v1/drafts/x/review", content=endless())).status_code == 411


async def test_an_outage_and_a_mistake_are_told_with_all_headers(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = cast(Desk, app.state.desk).signing

    async def fails(error: Exception, status: int) -> None:
        async def broken(token: str) -> None:
            raise error

        monkeypatch.setattr(signing, "by_bearer", broken)
        async with program(app, "agent") as asking:
            answer = await asking.get("/v1/drafts")
        assert answer.status_code == status
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert "secret" not in answer.text

    await fails(Unavailable("PostgreSQL: secret"), 503)
    await fails(RuntimeError("secret"), 500)


async def test_a_proxys_own_password_is_no_way_around_the_token(app: FastAPI) -> None:
    async with client(app, **PAGE, Authorization="Basic YTpi") as browser:
        fields = {"name": "agent", "password": PASSWORD}
        assert (await browser.post("/login", data=fields)).status_code == 403
        assert (await sign_in(browser, "agent")).status_code == 303
        assert (await browser.get("/desk/account")).status_code == 200
        assert (await browser.post("/logout")).status_code == 403


async def test_static_files_and_sources_bear_no_cookie(app: FastAPI) -> None:
    async with client(app, **PAGE) as browser:
        await sign_in(browser, "agent")
        for path in ("/static/desk.css", f"/sources/{'0' * 8}-0000-0000-0000-{'0' * 12}/abc"):
            answer = await browser.get(path)
            assert "set-cookie" not in answer.headers
            assert answer.headers.get("cache-control") != "no-store"
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_the_audit_is_read_by_admins_and_changed_by_nobody(
    app: FastAPI, database: asyncpg.Connection
) -> None:
    audit = cast(Desk, app.state.desk).audit
    await audit.record(ADMIN, "test.done", "draft:1\x00", "default", words=3, told="\x00é")
    await audit.record("somebody", "test.done", "draft:2", "autre")
    await audit.record("somebody", "dataset.export")
    for statement in (
        "update feedback.audit set account = 'x'",
        "delete from feedback.audit",
        "truncate feedback.audit",
    ):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await database.execute(statement)
    async with client(app, **PAGE) as browser:
        await sign_in(browser, "admin")
        page = await browser.get("/desk/audit?action=test.done&account=admin&since=2026-01-01")
        assert 'class="nowrap">test.done</td>' in page.text
        assert ("draft:1" in page.text, "draft:2" in page.text) == (True, False)
        assert "words : 3" in page.text
        assert "export lancé" in (await browser.get("/desk/audit?action=dataset.export")).text
        odd = await browser.get("/desk/audit?since=hier&until=9999-12-31&account=%27%22%3Cb%3E")
        assert "Aucune entrée" in odd.text
        assert "<b>" not in odd.text
        assert (await browser.get("/desk/audit?before=0")).status_code == 422


async def test_pages_of_the_audit(app: FastAPI, database: asyncpg.Connection) -> None:
    await database.execute(
        "insert into feedback.audit (account, action) select 'many', 'many.' || n % 3"
        " from generate_series(1, 150) n"
    )
    async with client(app, **PAGE) as browser:
        await sign_in(browser, "admin")
        first = await browser.get("/desk/audit?account=many")
        assert first.text.count("<tr ") == 101
        after = re.search(r'href="(/desk/audit[^"]*before=\d+)"', first.text)
        assert after
        second = await browser.get(after.group(1).replace("&amp;", "&"))
        assert second.text.count("<tr ") == 51
        assert 'value="many.2"' in second.text


class Provider:
    """A login of another kind, as one for OIDC would be: it sends the browser away and back."""

    def __init__(self, accounts: AccountsFile) -> None:
        self._accounts = accounts
        self._asked: dict[str, str] = {}

    async def begin(self, back: str, browser: str) -> str | None:
        self._asked[browser] = "state"
        return "https://id.example/authorize?state=state"

    async def finish(self, answer: Mapping[str, str], browser: str) -> Account:
        account = await self._accounts.named(answer.get("name", ""))
        if self._asked.pop(browser, None) is None or account is None:
            raise Refused("Cette connexion n'a pas commencé ici.")
        return account


async def test_another_login_takes_the_same_place(app: FastAPI, settings: Settings) -> None:
    desk = cast(Desk, app.state.desk)
    accounts = AccountsFile(settings.desk.accounts)
    pool = await open_pool(Postgres(dsn=settings.postgres.dsn, pool=2), "test")
    see = desk.signing._see
    provider = Provider(accounts)
    sessions = PostgresSessions(pool)
    desk.signing = SigningIn(provider, accounts, sessions, PostgresAudit(pool), see, 12, utcnow)
    async with client(app, **PAGE) as browser:
        away = await browser.get("/login")
        assert away.headers["location"] == "https://id.example/authorize?state=state"
        bound = browser.cookies.get("sourcier_browser", domain="desk.test") or ""
        token = await desk.signing.sign_in({"name": "agent", "code": "c"}, bound, "192.0.2.7")
        with pytest.raises(Refused):
            await desk.signing.sign_in({"name": "agent", "code": "c"}, bound, "192.0.2.7")
        browser.cookies.set("sourcier_session", token, domain="desk.test")
        assert (await browser.get("/desk/account")).status_code == 200
    await pool.close()
