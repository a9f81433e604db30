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
COLOURS = 96


@pytest.mark.parametrize("shot", PAGES, ids=lambda shot: shot.name)
def test_write(shot: Shot, page_as: PageAs, desk_server: DeskServer) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    if shot.name.startswith("figures"):
        grow(desk_server)
    for width, highest in HIGHEST.items():
        page = page_as(shot.account, width=width, path=shot.address(desk_server.seeded))
        page.wait_for_load_state("networkidle" if not shot.account else "load")
        page.wait_for_timeout(300)
        image = Image.open(io.BytesIO(page.screenshot(full_page=True)))
        image = image.crop((0, 0, image.width, min(image.height, highest)))
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(FOLDER / f"{shot.name}-{width}.png", optimize=True)
