"""Coming in and leaving: login page, one-time links, the account's own page."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from services.feedback.desk.cookies import token_of
from services.feedback.desk.guards import SignedIn
from services.feedback.desk.limiting import address_of
from services.feedback.desk.parts import desk_of
from services.feedback.desk.problems import is_local, too_often
from services.feedback.desk.rendering import render
from services.feedback.desk.words import told
from services.feedback.signing_in import Refused

router = APIRouter(include_in_schema=False)
HOME = "/"
Text = Annotated[str, Form(max_length=1000)]


@router.get("/login")
async def login(request: Request, next: str = "", link: str = "", out: bool = False) -> Response:
    if request.state.viewer and not link:
        return RedirectResponse(_back(next), 303)
    desk = desk_of(request)
    browser = desk.cookies.browser(request) or secrets.token_urlsafe(24)
    if not request.state.csrf:
        request.state.csrf = token_of(browser)
    elsewhere = None if link else await desk.signing.login.begin(_back(next), browser)
    account = await desk.signing.linked(link) if link else None
    page: Response = (
        RedirectResponse(elsewhere, 303)
        if elsewhere
        else _page(request, 200, next, link, account, "", out)
    )
    desk.cookies.set_browser(page, browser)
    return page


@router.post("/login")
async def sign_in(
    request: Request,
    name: Text = "",
    password: Text = "",
    link: Text = "",
    next: Text = "",
) -> Response:
    desk, address = desk_of(request), address_of(request)
    known = name.strip().lower()[:64]
    if wait := desk.limits.login("" if link else known, address):
        return too_often(request, wait)
    given = {"link": link} if link else {"name": known, "password": password}
    try:
        token = await desk.signing.sign_in(given, desk.cookies.browser(request), address)
    except Refused as error:
        return _page(request, 401, next, "", None, told(error), False)
    desk.limits.signed_in(known, address)
    if request.state.caller.by == "cookie":  # its session makes room for the new one
        await desk.signing.end(request.state.caller.token)
    gone = RedirectResponse(_back(next), 303)
    desk.cookies.set_session(gone, token)
    return gone


@router.post("/logout")
async def logout(request: Request, viewer: SignedIn) -> Response:
    desk = desk_of(request)
    await desk.signing.sign_out(viewer, request.state.caller.token)
    gone = RedirectResponse("/login?out=true", 303)
    desk.cookies.forget(gone)
    return gone


@router.get("/desk/account")
async def account(request: Request, viewer: SignedIn, ended: int | None = None) -> Response:
    sessions = await desk_of(request).signing.sessions_of(viewer)
    return render(request, "account.html.j2", sessions=sessions, ended=ended)


@router.post("/desk/account/sessions/end")
async def end_sessions(request: Request, viewer: SignedIn) -> Response:
    signing = desk_of(request).signing
    ended = await signing.sign_out_elsewhere(viewer, request.state.caller.token)
    return RedirectResponse(f"/desk/account?ended={ended}", 303)


def _page(
    request: Request,
    status: int,
    back: str,
    link: str,
    account: str | None,
    error: str,
    out: bool,
) -> Response:
    values = {"back": back, "link": link, "account": account, "error": error, "out": out}
    return render(request, "login.html.j2", status, **values)


def _back(address: str) -> str:
    return address if is_local(address) else HOME
