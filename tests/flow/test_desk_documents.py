"""A document's life on the embedded stack: handed in at the desk, cited, replaced, removed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from shared.identity import document_id

from .conftest import Stack, letter

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]
RULE = """# Garage à vélos des collèges

La subvention « Vélo-collège » finance {share} % du coût d'un garage à vélos sécurisé, dans la
limite de 12 places par collège.
"""
QUESTION = (
    "Bonjour,\r\n\r\nQuelle part du coût d'un garage à vélos de collège la subvention"
    " Vélo-collège finance-t-elle ?\r\n"
)


def until(seen: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, what
        time.sleep(0.3)


def hand_in(api: httpx.Client, path: str, name: str, content: str) -> None:
    answer = api.post(
        path,
        headers={"Accept": "application/json"},
        files={"file": (name, content.encode(), "text/markdown")},
        data={"collection": "default"},
    )
    assert answer.status_code in (202, 303), answer.text


def test_from_upload_to_removal(stack: Stack, tmp_path: Path) -> None:
    document = document_id("default", "velos.md")
    home = f"/desk/documents/{document}"
    with stack.feedback() as api, httpx.Client(base_url=api.base_url) as reader:
        api.headers["Accept"] = "text/html"
        hand_in(api, "/desk/documents", "velos.md", RULE.format(share=60))
        until(lambda: "passage" in api.get(home).text, "the document is not indexed")
        told = stack.send(letter(tmp_path, "velos", QUESTION))["velos.eml"]
        assert told["outcome"] == "draft", told
        draft = api.get(f"/v1/drafts/{told['draft_id']}").json()
        cited = next(p for p in draft["ready"]["passages"] if p["document_id"] == str(document))
        page = f"/sources/{document}/{cited['version']['sha256'][:16]}"
        address = f"{page}?p={cited['start']}-{cited['end']}"
        assert "60 % du coût" in reader.get(address).text.split("<mark", 1)[1].split("</mark>")[0]
        assert reader.get(f"{page}/original").text == RULE.format(share=60)

        hand_in(api, f"{home}/version", "velos-2.md", RULE.format(share=70))
        until(lambda: "cite une version ancienne" in api.get(home).text, "the draft is not flagged")
        assert "Ce document a changé depuis la réponse" in reader.get(address).text

        assert api.post(f"{home}/remove").status_code == 303
        draft = api.get(f"/v1/drafts/{told['draft_id']}").json()
        assert draft["status"] == "withdrawn"
        assert reader.get(address).status_code == 410
        assert reader.get(f"{page}/original").status_code == 410


def test_a_broken_file_says_why(stack: Stack) -> None:
    with stack.feedback() as api:
        api.headers["Accept"] = "text/html"
        hand_in(api, "/desk/documents", "abime.pdf", "%PDF-1.7\nrien")
        home = f"/desk/documents/{document_id('default', 'abime.pdf')}"
        until(lambda: "Le PDF est endommagé" in api.get(home).text, "no reason is shown")
