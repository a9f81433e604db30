"""Coming in and leaving in a real browser, by keyboard."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import expect

from services.feedback.accounts import digest
from tests.browser.conftest import DeskServer, PageAs

pytestmark = pytest.mark.xdist_group("desk")


def test_in_by_a_link_and_out_by_keyboard(page_as: PageAs, desk_server: DeskServer) -> None:
    token = secrets.token_urlsafe(24)
    desk_server.sql(
        "insert into feedback.login_links (token_sha256, account, expires)"
        " values ($1, 'admin', now() + interval '5 minutes')",
        bytes.fromhex(digest(token)),
    )
    page = page_as(None, path=f"/login?link={token}&next=/desk/account")
    page.get_by_role("button", name="Entrer").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Mon compte")
    page.get_by_role("button", name="Se déconnecter").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Vous êtes déconnecté.")).to_be_visible()
    page.goto(f"/login?link={token}")
    expect(page.get_by_text("Lien périmé")).to_be_visible()


def test_a_wrong_password_is_told_aloud(page_as: PageAs) -> None:
    page = page_as(None, path="/login")
    page.get_by_label("Nom du compte").fill("agent")
    page.get_by_label("Mot de passe").fill("ce n'est pas lui")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Le nom ou le mot de passe n'est pas le bon")
    assert page.get_by_label("Mot de passe").input_value() == ""
