"""The HTTP API of a review over a real PostgreSQL, as a mail system of its own uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import httpx
import pytest

from services.feedback.access import Viewer
from services.feedback.adapters.edits import PostgresEdits
from services.feedback.adapters.postgres import PostgresDrafts
from services.feedback.adapters.replies import PostgresReplies
from services.feedback.answering import Answering
from services.feedback.api import build_api
from services.feedback.desk.cookies import Cookies
from services.feedback.desk.limiting import Limits
from services.feedback.desk.parts import Desk
from services.feedback.editing import Editing
from services.feedback.openapi import described
from services.feedback.service import FeedbackService
from shared import settings
from shared.events import DraftReady
from shared.identity import stable_id
from shared.postgres import open_pool
from shared.queries import SearchAnswer, SearchQuery
from tests import samples
from tests.viewers import AGENT, ELSEWHERE

TABLES = "mails, drafts, passages, documents, reviews, outbox, replies, unmatched"
DRAFT = f"/v1/drafts/{samples.DRAFT}"
COLLEAGUE = AGENT.model_copy(update={"account": "béa", "name": "Béa", "pseudonym": "p-béa"})
FOUND = samples.PASSAGE.model_copy(update={"passage_id": uuid4(), "document_id": uuid4()})
UNKNOWN = stable_id("unknown")
"""Of nothing; the same on every worker that collects these tests."""
ACCOUNTS = {"alix": AGENT, "bea": COLLEAGUE, "ailleurs": ELSEWHERE}


class _Tokens:
    """An account's name is its token."""

    async def by_bearer(self, token: str) -> Viewer | None:
        return ACCOUNTS.get(token)


async def _search(_: SearchQuery) -> SearchAnswer:
    return SearchAnswer(passages=(FOUND,), evidence=0.9, embedding="e", retrieval="r")


@pytest.fixture
async def api(postgres_dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    pool = await open_pool(settings.Postgres(dsn=postgres_dsn, pool=4), "test")
    await pool.execute(f"set search_path = feedback; truncate {TABLES} cascade")
    service = FeedbackService(PostgresDrafts(pool), lambda: samples.AT, lambda: None)
    (event,) = (event for event in samples.events() if isinstance(event, DraftReady))
    await service.record_draft(event)
    parts = SimpleNamespace(
        config=settings.Settings(),
        feedback=service,
        editing=Editing(PostgresEdits(pool), _search, lambda: samples.AT, 10),
        answering=Answering(
            PostgresReplies(pool), lambda: samples.AT, lambda: None, service.withdraw
        ),
        signing=_Tokens(),
        cookies=Cookies(secure=False, seconds=60),
        limits=Limits(10_000, 10_000),
    )
    transport = httpx.ASGITransport(build_api(cast(Desk, parts)))
    headers = {"Authorization": "Bearer alix"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://feedback", headers=headers
    ) as client:
        yield client
    await pool.close()


def by(account: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {account}"}


async def test_a_review_from_lock_to_sent_reply(api: httpx.AsyncClient) -> None:
    opened = await api.post(f"{DRAFT}/lock", json={})
    assert opened.status_code == 200, opened.text
    assert opened.json()["lock"]["account"] == AGENT.account
    (passage,) = (await api.get(f"{DRAFT}/search", params={"question": "Qui paie ?"})).json()
    added = await api.put(
        f"{DRAFT}/citations/{passage['passage_id']}", json={"question": "Qui paie ?"}
    )
    assert added.json()["numbers"] == {str(FOUND.document_id): 2}
    wrong = await api.put(f"{DRAFT}/wrong-passages/{samples.PASSAGE.passage_id}")
    assert wrong.json()["wrong"] == [str(samples.PASSAGE.passage_id)]
    saved = await api.put(f"{DRAFT}/edit", json={"text": "Oui [2].", "revision": 0})
    assert saved.json()["revision"] == 1
    review = {"decision": "edited", "revision": 1, "reasons": ["wrong-source"], "note": "Vieux."}
    done = await api.post(f"{DRAFT}/review", json=review)
    assert done.status_code == 200, done.text
    assert done.json()["review"]["citations_added"] == [str(FOUND.passage_id)]
    (reply,) = (await api.get("/v1/replies", params={"state": "approved"})).json()
    assert reply["reply"]["text"] == "Oui [2]."
    told = await api.post(
        f"/v1/mails/{samples.MAIL.mail_id}/reply",
        json={"state": "sent", "reply_id": reply["reply_id"], "message_id": "<r@x>"},
    )
    assert told.status_code == 202, told.text
    one = await api.get(f"/v1/replies/{reply['reply_id']}")
    assert one.json()["reply"]["references"][0]["number"] == 2


async def test_another_agent_is_told_who_works_on_it(api: httpx.AsyncClient) -> None:
    await api.post(f"{DRAFT}/lock", json={})
    for refused in (
        await api.post(f"{DRAFT}/lock", json={}, headers=by("bea")),
        await api.put(f"{DRAFT}/edit", json={"text": "x", "revision": 0}, headers=by("bea")),
        await api.post(f"{DRAFT}/review", json={"decision": "approved"}, headers=by("bea")),
    ):
        assert refused.status_code == 409
        assert refused.headers["content-type"] == "application/problem+json"
        assert AGENT.name in refused.json()["detail"]
    forced = await api.post(f"{DRAFT}/lock", json={"force": True}, headers=by("bea"))
    assert forced.json()["lock"]["name"] == "Béa"
    assert (await api.delete(f"{DRAFT}/lock", headers=by("bea"))).status_code == 204
    assert (await api.get(f"{DRAFT}/edit")).json()["lock"] is None


async def test_a_text_saved_meanwhile_is_not_overwritten(api: httpx.AsyncClient) -> None:
    await api.put(f"{DRAFT}/edit", json={"text": "Un.", "revision": 0})
    late = await api.put(f"{DRAFT}/edit", json={"text": "Deux.", "revision": 0})
    assert late.status_code == 409
    assert "autre fenêtre" in late.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("PUT", f"{DRAFT}/edit", {"text": "x" * 100_001, "revision": 0}, 422, "text"),
        ("PUT", f"{DRAFT}/edit", {"text": "x"}, 422, "revision"),
        ("PUT", f"{DRAFT}/wrong-passages/{UNKNOWN}", None, 404, "passage"),
        ("PUT", f"{DRAFT}/citations/{UNKNOWN}", {"question": "Qui ?"}, 404, "cherchez"),
        ("GET", f"{DRAFT}/search", None, 422, "question"),
        ("POST", f"{DRAFT}/review", {"decision": "unused"}, 422, "decision"),
        (
            "POST",
            f"{DRAFT}/review",
            {"decision": "rejected", "reasons": ["bof"]},
            422,
            "missing-information",
        ),
        ("GET", f"/v1/replies/{UNKNOWN}", None, 404, "réponse"),
        ("POST", f"/v1/mails/{UNKNOWN}/reply", {"state": "failed"}, 404, "e-mail"),
        (
            "POST",
            f"/v1/mails/{samples.MAIL.mail_id}/reply",
            {"state": "sent"},
            422,
            "message_id",
        ),
    ],
)
async def test_problems_are_said_in_words(
    api: httpx.AsyncClient, method: str, path: str, body: object, status: int, word: str
) -> None:
    answer = await api.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]


def test_the_published_description_has_not_drifted() -> None:
    path = Path(__file__).parents[2] / "docs/desk-api.json"
    told = "run `python -m services.feedback.openapi > docs/desk-api.json`"
    assert path.read_text() == described(), told
