"""``make screenshots``: each page at 1280 and 390 px to ``docs/screenshots``."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.conftest import DeskServer, PageAs
from tests.browser.history import grow
from tests.browser.pages import PAGES, Shot

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
HIGHEST = {1280: 1600, 390: 1500}
COLOURS = 160


@pytest.mark.parametrize("shot", PAGES, ids=lambda shot: shot.name)
def test_write(shot: Shot, page_as: PageAs, desk_server: DeskServer) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    if shot.name.startswith("figures"):
        grow(desk_server)
    for width, highest in HIGHEST.items():
        page = page_as(shot.account, width=width, path=shot.address(desk_server.seeded))
        page.wait_for_load_state("networkidle" if not shot.account else "load")
        # As tall a screen as the page, so that what sticks to its edges is where it belongs.
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": min(max(height, 700), highest)})
        page.wait_for_timeout(300)
        image = Image.open(io.BytesIO(page.screenshot()))
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(FOLDER / f"{shot.name}-{width}.png", optimize=True)
