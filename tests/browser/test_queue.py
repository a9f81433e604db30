"""The queue in a real browser."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from services.feedback.desk.cookies import SESSION
from tests.browser.conftest import DeskServer, PageAs

pytestmark = pytest.mark.xdist_group("desk")


def test_a_draft_appears_without_reloading(page_as: PageAs, desk_server: DeskServer) -> None:
    page = page_as("agent", path="/desk/drafts")
    page.wait_for_selector("body[data-following]")
    before = page.locator("#tab-waiting .count").inner_text()
    page.evaluate("window.same = true")
    page.locator(".item-title a").first.focus()
    focused = page.evaluate("document.activeElement.id")
    draft = desk_server.fresh(subject="Une question toute neuve")
    page.wait_for_selector(f"[data-draft='{draft}']")
    page.get_by_role("status").get_by_text("1 nouveau brouillon").wait_for()
    expect(page.locator("#tab-waiting .count")).to_have_text(str(int(before) + 1))
    assert page.evaluate("window.same"), "the page was loaded again"
    assert page.evaluate("document.activeElement.id") == focused, "the focus was lost"


def test_nothing_is_told_of_other_mailboxes(page_as: PageAs, desk_server: DeskServer) -> None:
    page = page_as("agent", path="/desk/drafts")
    page.wait_for_selector("body[data-following]")
    page.evaluate(
        "window.heard = []; document.body.addEventListener('desk:draft', (e) =>"
        " window.heard.push(e.detail.id))"
    )
    other = desk_server.fresh("guadeloupe")
    mine = desk_server.fresh()
    page.wait_for_selector(f"[data-draft='{mine}']")
    assert page.evaluate("window.heard").count(str(mine)) >= 1
    assert str(other) not in page.evaluate("window.heard")
    answer = page.goto(f"/desk/drafts/{other}")
    assert answer is not None
    assert answer.status == 404


def test_a_colleagues_lock_shows_and_goes(page_as: PageAs, desk_server: DeskServer) -> None:
    draft = desk_server.fresh()
    page = page_as("agent", path="/desk/drafts")
    page.wait_for_selector("body[data-following]")
    line = page.locator(f"[data-draft='{draft}']")
    desk_server.sql(
        "insert into feedback.locks values"
        " ($1, 'agent2', 'Dominique Agent', now(), now() + interval '5 minutes')",
        draft,
    )
    expect(line).to_contain_text("En relecture : Dominique Agent")
    desk_server.sql("delete from feedback.locks where draft_id = $1", draft)
    expect(line).not_to_contain_text("En relecture")


def test_filters_are_in_the_address_and_survive_a_live_change(
    page_as: PageAs, desk_server: DeskServer
) -> None:
    page = page_as("agent2", path="/desk/drafts")
    page.get_by_label("Boîte").select_option("outre-mer")
    page.get_by_role("button", name="Filtrer").click()
    page.wait_for_url("**mailbox=outre-mer*")
    page.wait_for_selector("body[data-following]")
    lines = page.locator(".item").count()
    draft = desk_server.fresh("guadeloupe")
    page.wait_for_selector(f"[data-draft='{draft}']")
    assert page.locator(".item").count() == lines + 1
    page.get_by_label("Objet ou expéditeur").fill("GUADELOUPE")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=GUADELOUPE*")
    assert page.locator(".item").count() == lines + 1, "accents and case do not matter"
    page.get_by_role("link", name="Tout afficher").click()
    page.wait_for_url("**/desk/drafts")


def test_a_mail_in_preparation_leads_to_its_draft(page_as: PageAs, desk_server: DeskServer) -> None:
    mail = desk_server.fresh("part-etude")
    mail_id = desk_server.sql("select mail_id from feedback.drafts where draft_id = $1", mail)[0][0]
    desk_server.sql("update feedback.mails set outcome = 'pending' where mail_id = $1", mail_id)
    page = page_as("agent", path=f"/desk/mails/{mail_id}")
    page.wait_for_selector("body[data-following]")
    assert page.get_by_text("Un brouillon est en préparation").is_visible()
    desk_server.sql("update feedback.mails set outcome = 'draft' where mail_id = $1", mail_id)
    page.get_by_role("link", name="Ouvrir le brouillon").click()
    page.wait_for_url(f"**/desk/drafts/{mail}")


def test_odd_addresses_are_answered_in_words(page_as: PageAs) -> None:
    page = page_as("agent")
    for address, status in (
        ("/desk/drafts?view=nothing", 422),
        ("/desk/drafts?after=1-2", 422),
        ("/desk/drafts?days=0", 422),
        ("/desk/drafts/not-an-id", 404),
        ("/desk/nothing", 404),
        ("/desk/drafts?q=%00&mailbox=&unknown=1", 200),
        ("/desk/drafts?after=99999999999999999-00000000000000000000000000000000", 200),
    ):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == status, address
        assert page.locator("h1").count() == 1, address
        assert "Input should" not in page.content()


def test_open_pages_outlive_the_process_and_do_not_delay_its_end(
    page_as: PageAs, desk_server: DeskServer
) -> None:
    page = page_as("agent", path="/desk/drafts")
    page.wait_for_selector("body[data-following]")
    cookie = {SESSION: desk_server.sign_in("agent")}
    with (
        httpx.Client(base_url=desk_server.url, cookies=cookie) as client,
        client.stream("GET", "/desk/live", timeout=20) as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        next(lines)
        seconds = desk_server.stop()
        list(lines)
    try:
        assert seconds < 10, "the process waited for a page that follows"
        page.get_by_role("status").get_by_text("La page ne suit plus").wait_for()
    finally:
        desk_server.start()
    page.wait_for_selector("body[data-following]", timeout=20_000)
    draft = desk_server.fresh()
    page.wait_for_selector(f"[data-draft='{draft}']")
