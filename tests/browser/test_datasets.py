"""The datasets in a real browser: an export from the first click to the downloaded rows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PageAs

Check = Callable[[Page], None]

pytestmark = [pytest.mark.xdist_group("desk"), pytest.mark.timeout(400)]
LONG = 300_000
"""Milliseconds for the export's own process on a busy machine."""


def shot(page: Page, name: str) -> None:
    """A picture where $SHOTS says, for whoever looks at it."""
    if "SHOTS" in os.environ:
        page.screenshot(path=Path(os.environ["SHOTS"]) / f"{name}.png", full_page=True)


def test_an_export_from_the_page_to_the_rows(page_as: PageAs, axe: Check) -> None:
    page = page_as("data", path="/desk/datasets")
    expect(page.get_by_role("heading", name="Relectures disponibles")).to_be_visible()
    axe(page)
    shot(page, "datasets-before")
    page.get_by_label("Préférences aussi sur les brouillons sans modèle").check()
    page.get_by_role("button", name="Exporter").click()
    expect(page.get_by_text("Vous pouvez quitter cette page")).to_be_visible()
    axe(page)
    shot(page, "datasets-running")
    link = page.locator("#export").get_by_role("link", name="v1")
    expect(link).to_be_visible(timeout=LONG)
    shot(page, "datasets-after")
    axe(page)
    link.click()
    expect(page.get_by_role("heading", name="Version v1")).to_be_visible()
    page.get_by_text("Différence, mot à mot").first.click()
    expect(page.locator(".difference").first).to_be_visible()
    axe(page)
    shot(page, "datasets-version")
    with page.expect_download() as begun:
        page.get_by_role("link", name="manifest.json").click()
    made = json.loads(Path(begun.value.path()).read_text())
    assert sum(made["rows"]["dpo"].values()) >= 1
    with page.expect_download() as begun:
        page.get_by_role("link", name="dpo/train.jsonl").click()
    rows = [json.loads(line) for line in Path(begun.value.path()).read_text().splitlines()]
    assert rows[0]["chosen"][0]["content"] != rows[0]["rejected"][0]["content"]


def test_nothing_ticked_is_told(page_as: PageAs) -> None:
    page = page_as("data", path="/desk/datasets")
    for box in page.locator("input[name=kinds]").all():
        box.uncheck()
    page.get_by_role("button", name="Exporter").click()
    expect(page.get_by_role("alert")).to_contain_text("Cochez au moins un jeu")


def test_the_page_at_390_px_in_english(page_as: PageAs, axe: Check) -> None:
    page = page_as("data", width=390, lang="en", path="/desk/datasets")
    expect(page.get_by_role("heading", name="Datasets", exact=True)).to_be_visible()
    axe(page)
    shot(page, "datasets-390")
    page.get_by_role("link", name="v1").last.click()
    expect(page.get_by_role("heading", name="Preview")).to_be_visible()
    axe(page)
    shot(page, "datasets-version-390")


def test_only_data_scientists_see_it(page_as: PageAs) -> None:
    page = page_as("agent")
    assert page.goto("/desk/datasets").status == 403  # type: ignore[union-attr]  # a page answers
    assert page.goto("/v1/datasets").status == 403  # type: ignore[union-attr]  # likewise
    assert page.goto("/v1/datasets/1/files/dpo/train.jsonl").status == 403  # type: ignore[union-attr]
