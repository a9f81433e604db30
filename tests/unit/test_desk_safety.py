"""The parts of the desk's safety that need no server: addresses, forms in pieces, cookies."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from services.feedback.desk.cookies import is_secure, token_of
from services.feedback.desk.crossing import has_token, is_foreign
from services.feedback.desk.guards import is_public
from services.feedback.desk.limiting import Limits, address_of
from services.feedback.desk.problems import is_local, login_url
from shared.settings import Desk, Http, Settings

TOKEN = "Zx-9_token"
FORMS = {
    "application/x-www-form-urlencoded": f"csrf={TOKEN}&text=%C3%A9&next=%2F".encode(),
    "multipart/form-data; boundary=b": (
        f'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{TOKEN}\r\n'
        '--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nxyz\r\n--b--\r\n'
    ).encode(),
}


def request(client: str | None = None, /, **headers: str) -> Request:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw}
    return Request(scope | {"client": (client, 1) if client else None})


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, "?"),
    ],
)
def test_who_asks_is_an_address_or_a_network(host: str | None, known: str) -> None:
    assert address_of(request(host)) == known


@pytest.mark.parametrize("kind", FORMS)
@given(cuts=st.lists(st.integers(0, 200), max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_form_may_come_in_any_pieces_and_is_read_whole(kind: str, cuts: list[int]) -> None:
    body = FORMS[kind]
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    parts = [body[a:b] for a, b in pairwise(edges)]
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": n < len(parts) - 1}
        for n, part in enumerate(parts)
    ]
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    async def run() -> None:
        fine, again = await has_token(request(content_type=kind), receive, TOKEN)
        assert fine
        read = b""
        while True:
            message = await again()
            read += message["body"]
            if not message["more_body"]:
                break
        assert read == body

    _run(run())


def _run(coroutine: object) -> None:
    """Drive a coroutine that never waits for anything."""
    with pytest.raises(StopIteration):
        coroutine.send(None)  # type: ignore[attr-defined]  # a coroutine


@pytest.mark.parametrize("kind", [*FORMS, "application/json", "text/plain", ""])
def test_another_token_or_none_is_refused(kind: str) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": FORMS.get(kind, b"csrf=x"), "more_body": False}

    async def run() -> None:
        for token in ("Zx-9_toke", "other", ""):
            fine, _ = await has_token(request(content_type=kind), receive, token)
            assert not fine

    _run(run())


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({"host": "desk.test"}, False),
        ({"host": "desk.test", "origin": "https://desk.test"}, False),
        ({"host": "desk.test:8080", "origin": "http://desk.test:8080"}, False),
        ({"host": "desk.test", "origin": "https://desk.test.evil.example"}, True),
        ({"host": "desk.test", "origin": "https://evil.example"}, True),
        ({"host": "desk.test", "origin": "null"}, True),
        ({"host": "desk.test", "sec_fetch_site": "same-origin"}, False),
        ({"host": "desk.test", "sec_fetch_site": "same-site"}, True),
        ({"host": "desk.test", "sec_fetch_site": "cross-site"}, True),
    ],
)
def test_a_page_of_another_site_is_recognised(headers: dict[str, str], foreign: bool) -> None:
    assert is_foreign(request(**headers)) == foreign


@pytest.mark.parametrize(
    ("host", "given", "secure"),
    [
        ("127.0.0.1", None, False),
        ("::1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", None, True),  # noqa: S104 - a container's
        ("desk.example", None, True),
        ("0.0.0.0", False, False),  # noqa: S104 - a container's
        ("127.0.0.1", True, True),
    ],
)
def test_cookies_are_secure_everywhere_but_on_loopback(
    host: str, given: bool | None, secure: bool
) -> None:
    config = Settings(http=Http(host=host), desk=Desk(secure_cookies=given))
    assert is_secure(config) == secure


def test_the_token_before_login_needs_the_browsers_cookie() -> None:
    assert token_of("") == ""
    assert token_of("a") != token_of("b")
    assert "a" * 24 not in token_of("a" * 24)


def test_what_is_public_is_told_by_its_path() -> None:
    assert is_public("/static/desk.css")
    assert is_public("/login")
    for path in ("/desk/drafts", "/v1/drafts", "/login/", "/static", "/loginx", "//static/x"):
        assert not is_public(path)


def test_where_a_login_leads() -> None:
    assert is_local("/desk/drafts?a=b#c")
    assert login_url("/desk/é&b=1") == "/login?next=%2Fdesk%2F%C3%A9%26b%3D1"
    assert login_url("/") == login_url("") == "/login"


def test_tries_are_counted_by_address_and_by_name() -> None:
    limits = Limits(requests_per_minute=2, logins_per_minute=3)
    assert [limits.request("a") > 0 for _ in range(3)] == [False, False, True]
    assert limits.request("b") == 0
    assert [limits.login("jeanne", f"192.0.2.{n}") > 0 for n in range(31)][-2:] == [False, True]
    limits.signed_in("jeanne", "192.0.2.1")
    assert limits.login("jeanne", "192.0.2.1") == 0
