"""The queue in a real browser."""

from __future__ import annotations

import pytest

from tests.browser.conftest import DeskServer, PageAs

pytestmark = pytest.mark.xdist_group("desk")


def test_a_draft_appears_without_reloading(page_as: PageAs, desk_server: DeskServer) -> None:
    page = page_as("agent", path="/desk/drafts")
    page.wait_for_selector("body[data-following]")
    page.evaluate("window.same = true")
    draft = desk_server.fresh(subject="Une question toute neuve")
    page.wait_for_selector(f"[data-draft='{draft}']")
    page.get_by_role("status").get_by_text("1 nouveau brouillon").wait_for()
    assert page.evaluate("window.same"), "the page was loaded again"
