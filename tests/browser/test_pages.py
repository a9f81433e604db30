"""Every page: axe-core finds nothing, at both widths, in both languages, and nothing sticks out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import DeskServer, PageAs
from tests.browser.pages import PAGES, Shot

pytestmark = pytest.mark.xdist_group("desk")


@pytest.mark.parametrize("shot", PAGES, ids=lambda shot: shot.name)
def test_axe_finds_nothing(
    shot: Shot, page_as: PageAs, desk_server: DeskServer, axe: Callable[[Page], None]
) -> None:
    address = shot.address(desk_server.seeded)
    page = page_as(shot.account)
    for width, lang in ((1280, "fr"), (390, "en")):
        page.set_viewport_size({"width": width, "height": 900})
        page.context.add_cookies([{"name": "lang", "value": lang, "url": desk_server.url}])
        # The language of a public source is part of its address, for caches.
        asked = address.replace("?", f"?lang={lang}&") if "/sources/" in address else address
        answer = page.goto(asked)
        assert answer is not None
        assert answer.status == shot.status, address
        assert page.locator("html").get_attribute("lang") == lang
        assert page.locator("h1").count() == 1
        axe(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{address} is {wide} px wide on a screen of {width}"


def test_every_french_word_has_its_english(page_as: PageAs) -> None:
    """Words of the frame and of the queue, as shown; a static test covers the templates."""
    page = page_as("admin", lang="en", path="/desk/drafts")
    assert page.get_by_role("link", name="Datasets").is_visible()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Messages")
    page.get_by_role("button", name="Français").click()
    page.get_by_role("link", name="Jeux de données").wait_for()
    assert page.url.endswith("/desk/drafts")


def test_menu_of_a_small_screen_by_keyboard(page_as: PageAs) -> None:
    page = page_as("agent", width=390, path="/desk/drafts")
    button = page.get_by_role("button", name="Menu")
    assert not page.get_by_role("link", name="Documents").is_visible()
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Documents").wait_for()
    assert button.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert button.get_attribute("aria-expanded") == "false"
    assert page.evaluate("document.activeElement.className") == "menu-button"


def test_queue_by_keyboard_from_the_skip_link_to_a_draft(page_as: PageAs) -> None:
    page = page_as("agent", path="/desk/drafts")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    seen = []
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id"))
        if str(seen[-1]).startswith("d-"):
            break
    assert seen[:6] == [
        f"tab-{v}" for v in ("waiting", "declined", "skipped", "pending", "decided")
    ] + ["f-q"]
    outline = page.evaluate(
        "getComputedStyle(document.activeElement.closest('.item')).outlineStyle"
    )
    assert outline == "solid", "the focus is not to be seen"
    page.keyboard.press("Enter")
    page.wait_for_url("**/desk/drafts/*-*")


def test_pages_without_javascript(page_as: PageAs) -> None:
    page = page_as("agent", width=390, path="/desk/drafts", java_script_enabled=False)
    assert page.get_by_role("link", name="Documents").is_visible()
    page.get_by_label("Catégorie").select_option("études")
    page.get_by_role("button", name="Filtrer").click()
    assert "category=%C3%A9tudes" in page.url
    # Other tests have decided some of them.
    assert page.locator(".item").count() >= 1
