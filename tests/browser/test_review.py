"""The review page in a real browser, worked by keyboard alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import nats
import pytest
from playwright.sync_api import Page, expect

from shared.progress import DraftProgress
from tests.browser.answering import answering
from tests.browser.conftest import DeskServer, PageAs
from tests.browser.seed import drafted
from tests.browser.seed_texts import CASES

pytestmark = pytest.mark.xdist_group("desk")


@pytest.fixture(scope="module", autouse=True)
def index(desk_server: DeskServer) -> Iterator[None]:
    with answering(desk_server.broker, desk_server.seeded):
        yield


def opened(page_as: PageAs, draft: UUID, account: str = "agent", **more: Any) -> Page:
    page = page_as(account, path=f"/desk/drafts/{draft}", **more)
    page.wait_for_selector("body[data-following]")
    return page


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_contain_text("Enregistré ", timeout=20_000)


def decision(server: DeskServer, draft: UUID) -> dict[str, Any]:
    rows = server.sql(
        "select decision, reasons, data ->> 'final_text' as text, data ->> 'note' as note,"
        " data -> 'citations_added' as added, data -> 'wrong_passages' as wrong"
        " from feedback.reviews where draft_id = $1",
        draft,
    )
    return dict(rows[0]) if rows else {}


def type_over(page: Page, old: str, new: str) -> None:
    """Select ``old`` in the text as Shift and arrows would, and type ``new``."""
    page.keyboard.press("Alt+t")
    found = page.evaluate(
        "old => { const t = document.activeElement; const at = t.value.indexOf(old);"
        " t.setSelectionRange(at, at + old.length); return [t.id, at]; }",
        old,
    )
    assert found[0] == "text"
    assert found[1] >= 0
    page.keyboard.type(new) if new else page.keyboard.press("Delete")


def test_five_drafts_by_keyboard_alone(page_as: PageAs, desk_server: DeskServer) -> None:
    cases = ("part-etude", "deux-questions", "emprunt", "controle", "creche")
    same, edited, rejected, again, cited = (desk_server.fresh(case) for case in cases)

    # Approved as it is: two keys, and what will be sent is seen in between.
    page = opened(page_as, same)
    page.keyboard.press("Alt+a")
    page.wait_for_url("**/check")
    expect(page.get_by_role("heading", level=1)).to_have_text("Vérifier avant l'envoi")
    expect(page.locator("#approve")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Réponse approuvée sans changement")).to_be_visible()
    expect(page.locator("#next")).to_be_focused()
    assert decision(desk_server, same)["decision"] == "approved"

    # Edited, the difference read, approved.
    page.goto(f"/desk/drafts/{edited}")
    type_over(page, "Cordialement,", "Bien cordialement,")
    saved(page)
    page.keyboard.press("Alt+v")
    expect(page.locator("#difference ins")).to_contain_text("Bien cordialement")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/check")
    expect(page.locator("ins")).to_contain_text("Bien cordialement")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Réponse corrigée puis approuvée")).to_be_visible()
    assert "Bien cordialement," in decision(desk_server, edited)["text"]

    # Rejected with reasons.
    page.goto(f"/desk/drafts/{rejected}")
    page.keyboard.press("Alt+r")
    page.keyboard.press("Space")
    for _ in range(5):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("Il fallait citer le barème.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Brouillon rejeté")).to_be_visible()
    found = decision(desk_server, rejected)
    assert found["reasons"] == ["missing-information", "other"]
    assert found["note"] == "Il fallait citer le barème."

    # Another draft asked for; it announces itself, and is opened.
    page.goto(f"/desk/drafts/{again}")
    page.keyboard.press("Alt+g")
    page.keyboard.type("Plus court.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**asked=1")
    expect(page.get_by_text("Il est en cours de rédaction")).to_be_visible()
    _progress(desk_server, again, "Le guichet régional répond sous")
    expect(page.locator(".asked-text")).to_have_text("Le guichet régional répond sous")
    new = _another(desk_server, "controle", again)
    expect(page.locator("#newer")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{new}")
    expect(page.get_by_text("nouvelle proposition n° 1")).to_be_visible()

    # A citation dropped, another searched for and added at the cursor.
    page.goto(f"/desk/drafts/{cited}")
    page.locator("#uncite-1").focus()
    page.keyboard.press("Enter")
    type_over(page, "Cordialement,", "Voir le barème")
    page.keyboard.press("Alt+c")
    page.keyboard.type("plafond étude communes habitants")
    page.keyboard.press("Enter")
    expect(page.locator("#found button").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator("#text")).to_have_value(_containing("Voir le barème [2]"))
    expect(page.locator("#text")).not_to_have_value(_containing("[1]"))
    expect(page.locator("#source-2")).not_to_contain_text("pas citée dans le texte")
    saved(page)
    page.keyboard.press("Alt+a")
    page.wait_for_url("**/check")
    expect(page.locator(".references li")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Réponse corrigée puis approuvée")).to_be_visible()
    found = decision(desk_server, cited)
    assert found["added"] not in (None, "[]")
    assert "[1]" not in found["text"]


def _containing(text: str) -> Any:
    return re.compile(re.escape(text))


def _progress(server: DeskServer, draft: UUID, text: str) -> None:
    """What generate tells while it writes."""
    (row,) = server.sql("select mail_id, mailbox from feedback.drafts where draft_id = $1", draft)
    told = DraftProgress(**dict(row), request_id=1, engine="openai", text=text)

    async def tell() -> None:
        client = await nats.connect(server.broker)
        await client.publish(told.subject(), told.model_dump_json().encode())
        await client.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(tell())).result()


def _another(server: DeskServer, name: str, draft: UUID) -> UUID:
    """What generate would say after the wish: the e-mail's next draft."""
    (row,) = server.sql(
        "select m.block from feedback.drafts d join feedback.mails m using (mail_id)"
        " where d.draft_id = $1",
        draft,
    )
    mail = type(server.seeded.blocks[name]).model_validate_json(row["block"])
    case = next(case for case in CASES if case.name == name)
    event = drafted(server.seeded, case, mail, mail.received, request_id=1)
    server.say(event)
    return event.data.draft_id


def test_a_mark_shows_its_passage_in_the_document(page_as: PageAs, desk_server: DeskServer) -> None:
    page = opened(page_as, desk_server.fresh("part-etude"))
    page.keyboard.press("Alt+t")
    page.evaluate(
        "() => { const t = document.activeElement; const at = t.value.indexOf('[1]') + 1;"
        " t.setSelectionRange(at, at); }"
    )
    page.keyboard.press("Alt+s")
    expect(page.locator("#source-1")).to_be_focused()
    mark = page.locator("#source-1 .document-text mark")
    expect(mark).to_contain_text("Plafond par projet")
    expect(mark).to_be_in_viewport()
    expect(page.locator("#source-1 .page-number")).to_have_text("Page 1")
    # By mouse: the mark in the text as it is read.
    page.locator("#preview-box > summary").click()
    page.locator("#preview a.mark").first.click()
    expect(page.locator("#source-1")).to_be_focused()


def test_what_is_typed_survives_reload_and_restart(
    page_as: PageAs, desk_server: DeskServer
) -> None:
    draft = desk_server.fresh("emprunt")
    page = opened(page_as, draft)
    type_over(page, "Cordialement,", "Avant le rechargement,")
    page.reload()
    expect(page.locator("#text")).to_have_value(_containing("Avant le rechargement,"))
    type_over(page, "Avant le rechargement,", "Avant l'arrêt,")
    saved(page)
    desk_server.stop()
    type_over(page, "Avant l'arrêt,", "Pendant l'arrêt,")
    expect(page.locator("#saved")).to_contain_text("Pas encore enregistré")
    desk_server.start()
    saved(page)
    (row,) = desk_server.sql("select text from feedback.edits where draft_id = $1", draft)
    assert "Pendant l'arrêt," in row["text"]
    page.reload()
    expect(page.locator("#text")).to_have_value(_containing("Pendant l'arrêt,"))


def test_two_agents_meet_on_a_draft(page_as: PageAs, desk_server: DeskServer) -> None:
    draft = desk_server.fresh("session")
    first = opened(page_as, draft)
    type_over(first, "Cordialement,", "De Camille,")
    saved(first)
    second = opened(page_as, draft, "agent2")
    expect(second.get_by_text("Camille Agent travaille sur ce brouillon")).to_be_visible()
    expect(second.locator("#text")).not_to_be_editable()
    second.locator("#take").focus()
    second.keyboard.press("Enter")
    expect(second.locator("#text")).to_be_editable()
    expect(second.locator("#text")).to_have_value(_containing("De Camille,"))
    # The first hears of it without doing anything, and cannot overwrite.
    expect(first.locator("#conflict")).to_contain_text("Dominique Agent a pris la main")
    type_over(second, "De Camille,", "De Dominique,")
    saved(second)
    type_over(first, "De Camille,", "Encore Camille,")
    expect(first.locator("#conflict")).to_contain_text("travaille sur ce brouillon")
    (row,) = desk_server.sql("select text from feedback.edits where draft_id = $1", draft)
    assert "De Dominique," in row["text"]
    # Taking over compares both texts; nothing is lost on either side.
    first.locator("#conflict button").focus()
    first.keyboard.press("Enter")
    expect(first.get_by_text("Deux textes différents")).to_be_visible()
    expect(first.locator(".alert del")).to_contain_text("Dominique")
    expect(first.locator("#text")).to_have_value(_containing("Encore Camille,"))


def test_a_draft_given_back_can_be_typed_in_again(page_as: PageAs, desk_server: DeskServer) -> None:
    draft = desk_server.fresh("session")
    first = opened(page_as, draft)
    second = opened(page_as, draft, "agent2")
    second.locator("#take").click()
    expect(first.locator("#conflict")).to_contain_text("Dominique Agent a pris la main")
    first.locator("#text").fill("Tapé entre-temps.")
    expect(first.locator("#conflict")).to_contain_text("travaille sur ce brouillon")
    second.locator("#release").click()
    expect(first.locator("#conflict")).to_have_count(0)
    saved(first)
    (row,) = desk_server.sql("select text from feedback.edits where draft_id = $1", draft)
    assert row["text"] == "Tapé entre-temps."


def test_two_windows_of_one_agent(page_as: PageAs, desk_server: DeskServer) -> None:
    draft = desk_server.fresh("universite")
    first, second = opened(page_as, draft), opened(page_as, draft)
    first.locator("#text").fill("Dans la première fenêtre.")
    saved(first)
    second.locator("#text").fill("Dans la seconde fenêtre.")
    expect(second.locator("#conflict")).to_contain_text("modifié dans une autre fenêtre")
    second.locator("#conflict button").click()
    expect(second.locator(".alert del")).to_contain_text("première")
    expect(second.locator(".alert ins")).to_contain_text("seconde")
    second.get_by_role("button", name="Enregistrer mon texte").click()
    expect(second.locator(".alert")).to_have_count(0)
    (row,) = desk_server.sql("select text from feedback.edits where draft_id = $1", draft)
    assert row["text"] == "Dans la seconde fenêtre."


def test_a_decision_elsewhere_is_told(page_as: PageAs, desk_server: DeskServer) -> None:
    draft = desk_server.fresh("guadeloupe")
    page = opened(page_as, draft, "agent2")
    desk_server.sql("update feedback.drafts set status = 'withdrawn' where draft_id = $1", draft)
    expect(page.locator("#conflict")).to_contain_text("n'attend plus de décision")


def test_a_draft_only_looked_at_is_free_for_others(
    page_as: PageAs, desk_server: DeskServer
) -> None:
    draft = desk_server.fresh("part-etude")
    page = opened(page_as, draft)
    held = "select from feedback.locks where draft_id = $1 and expires > now()"
    assert desk_server.sql(held, draft)
    page.goto("/desk/drafts")
    for _ in range(50):
        if not desk_server.sql(held, draft):
            return
        page.wait_for_timeout(100)
    raise AssertionError("the draft is still reserved")


def test_keys_alone_do_nothing_while_typing(page_as: PageAs, desk_server: DeskServer) -> None:
    page = opened(page_as, desk_server.fresh("penalite"))
    page.keyboard.press("Alt+t")
    page.keyboard.press("Control+End")
    page.keyboard.type(" ?argvtscmnh")
    expect(page.locator("#text")).to_have_value(_containing(" ?argvtscmnh"))
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("Alt+h")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_every_state_of_the_page_passes_axe(
    page_as: PageAs, desk_server: DeskServer, axe: Callable[[Page], None]
) -> None:
    seeded = desk_server.seeded
    for width, lang in ((1280, "fr"), (390, "en")):
        page = page_as("agent", width=width, lang=lang)
        for case in ("deux-questions", "bretagne", "passeport", "isolation-corrigee"):
            page.goto(f"/desk/drafts/{seeded.drafts[case]}")
            axe(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (case, width)
        draft = seeded.drafts["deux-questions"]
        page.goto(f"/desk/drafts/{draft}")
        for box in page.locator("details").all():
            box.evaluate("box => box.open = true")
        page.wait_for_selector(".excerpt mark")
        page.wait_for_selector(".whole")
        axe(page)
        page.goto(f"/desk/drafts/{draft}/check")
        axe(page)
        page.goto(f"/desk/mails/{seeded.mails['deliberation']}/whole")
        axe(page)


def test_without_a_script_every_action_is_a_form(page_as: PageAs, desk_server: DeskServer) -> None:
    draft = desk_server.fresh("climatiseurs")
    page = page_as("agent", path=f"/desk/drafts/{draft}", java_script_enabled=False)
    page.fill("#text", page.input_value("#text") + " Merci.")
    page.fill("#q", "plafond")
    page.press("#q", "Enter")
    expect(page.locator("#found button").first).to_be_visible()
    expect(page.locator("#text")).to_have_value(_containing(" Merci."))
    page.locator("#found button").first.click()
    expect(page.get_by_text("ajouté à la main")).to_be_visible()
    page.click("#check")
    page.click("#approve")
    expect(page.get_by_text("Réponse corrigée puis approuvée")).to_be_visible()
