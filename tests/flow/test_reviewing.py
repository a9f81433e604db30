"""A review on the embedded stack over HTTP: index searched, citation added, reply told of."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from .conftest import Stack, letter

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(400)]


def test_from_lock_to_sent_reply(stack: Stack, tmp_path: Path) -> None:
    text = "Bonjour,\r\n\r\nQuelle part de l'étude préalable est prise en charge ?\r\n"
    (told,) = stack.send(letter(tmp_path, "relecture", text)).values()
    assert told["outcome"] == "draft", told
    draft = f"/v1/drafts/{told['draft_id']}"
    with stack.feedback() as api:
        opened = api.post(f"{draft}/lock", json={})
        assert opened.status_code == 200, opened.text
        cited = {s["document_id"] for s in opened.json()["sources"]}
        asked = {"question": "délai de réponse et pièces du dossier"}
        found = api.get(f"{draft}/search", params=asked)
        assert found.status_code == 200, found.text
        new = next(p for p in found.json() if p["document_id"] not in cited)
        added = api.put(f"{draft}/citations/{new['passage_id']}", json=asked)
        assert added.status_code == 200, added.text
        number = added.json()["numbers"][new["document_id"]]
        reply = f"Bonjour,\n\nVoici la pièce qui manquait [{number}].\n"
        saved = api.put(f"{draft}/edit", json={"text": reply, "revision": 0})
        assert saved.json()["revision"] == 1
        done = api.post(f"{draft}/review", json={"decision": "edited", "revision": 1})
        assert done.status_code == 200, done.text
        assert done.json()["review"]["citations_added"] == [new["passage_id"]]
        waiting = api.get("/v1/replies", params={"state": "approved", "limit": 500}).json()
        (mine,) = (r for r in waiting if r["draft_id"] == told["draft_id"])
        assert [r["title"] for r in mine["reply"]["references"]] == [new["title"]]
        word = {"state": "sent", "reply_id": mine["reply_id"], "message_id": "<r@x>", "text": reply}
        assert api.post(f"/v1/mails/{told['mail_id']}/reply", json=word).status_code == 202
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            state = api.get(f"/v1/replies/{mine['reply_id']}").json()["state"]
            if state == "sent":
                break
            time.sleep(0.2)
        assert state == "sent"
