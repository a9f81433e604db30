"""The HTTP API over a store in memory: shapes, problem JSON, repeated reviews; and the relay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from services.feedback.api import build_api
from services.feedback.outbox import Relay
from services.feedback.service import FeedbackService
from shared.delivery import Unavailable
from shared.document_events import DocumentIndexed
from shared.envelope import Event
from shared.events import DraftReady, MailAccepted
from shared.identity import stable_id
from tests import samples
from tests.fakes.feedback_memory import MemoryDrafts

UNKNOWN = stable_id("nobody")
EVENTS = {type(event): event for event in samples.events()}


@pytest.fixture
def store() -> MemoryDrafts:
    return MemoryDrafts()


@pytest.fixture
async def api(store: MemoryDrafts) -> AsyncIterator[httpx.AsyncClient]:
    service = FeedbackService(store, lambda: samples.AT, lambda: None)
    draft, mail, document = (EVENTS[kind] for kind in (DraftReady, MailAccepted, DocumentIndexed))
    assert isinstance(draft, DraftReady)
    assert isinstance(mail, MailAccepted)
    assert isinstance(document, DocumentIndexed)
    await service.record_mail(mail)
    await service.record_draft(draft)
    await service.record_document(document)
    transport = httpx.ASGITransport(build_api(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://feedback") as client:
        yield client


async def test_list_show_outcome_figures_and_documents(api: httpx.AsyncClient) -> None:
    (line,) = (await api.get("/v1/drafts", params={"status": "waiting"})).json()
    assert line["draft_id"] == str(samples.DRAFT)
    assert line["outcome"] == "draft"
    assert line["sender"]["address"] == samples.MAIL.sender.address
    shown = (await api.get(f"/v1/drafts/{samples.DRAFT}")).json()
    assert shown["ready"]["sources"][0]["number"] == 1
    assert shown["ready"]["text"].startswith("Bonjour")
    mail = (await api.get(f"/v1/mails/{samples.MAIL.mail_id}")).json()
    assert (mail["outcome"], mail["draft_id"]) == ("draft", str(samples.DRAFT))
    figures = (await api.get("/v1/figures")).json()
    assert figures["outcomes"] == {"draft": 1}
    assert figures["documents"] == {"indexed": 1}
    (document,) = (await api.get("/v1/documents")).json()
    assert document["title"] == samples.BLOCK.title


async def test_a_review_may_be_sent_twice_but_not_changed(api: httpx.AsyncClient) -> None:
    url = f"/v1/drafts/{samples.DRAFT}/review"
    first = await api.post(url, json={"decision": "approved"})
    again = await api.post(url, json={"decision": "approved"})
    assert (first.status_code, first.json()) == (200, again.json())
    assert (await api.get("/v1/drafts", params={"status": "approved"})).json() != []
    other = await api.post(url, json={"decision": "rejected"})
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"
    assert "déjà été approuvé" in other.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("GET", f"/v1/drafts/{UNKNOWN}", None, 404, "brouillon"),
        ("GET", f"/v1/mails/{UNKNOWN}", None, 404, "e-mail"),
        ("GET", "/v1/drafts/rien", None, 422, "draft_id"),
        ("GET", "/v1/drafts?limit=0", None, 422, "limit"),
        ("POST", f"/v1/drafts/{samples.DRAFT}/review", {"decision": "oui"}, 422, "decision"),
        (
            "POST",
            f"/v1/drafts/{samples.DRAFT}/review",
            {"decision": "edited", "final_text": "Voir [9]."},
            422,
            "[9]",
        ),
    ],
)
async def test_problems_are_said_in_words(
    api: httpx.AsyncClient, method: str, path: str, body: object, status: int, word: str
) -> None:
    answer = await api.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert word in answer.json()["detail"]


async def test_a_database_that_is_down_is_503(
    api: httpx.AsyncClient, store: MemoryDrafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down() -> None:
        raise Unavailable("PostgreSQL: connection refused")

    monkeypatch.setattr(store, "figures", down)
    answer = await api.get("/v1/figures")
    assert answer.status_code == 503
    assert "base de données" in answer.json()["detail"]


class Outbox:
    """Fails as told, then has one event."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.failed = asyncio.Event()
        self.relayed = asyncio.Event()

    async def relay(self, say: object, limit: int) -> int:
        if self.failures:
            self.failed.set()
            raise self.failures.pop()
        self.relayed.set()
        return 1


@pytest.mark.parametrize("failure", [Unavailable("down"), RuntimeError("bug")])
async def test_the_relay_outlives_failures(failure: Exception) -> None:
    async def say(event: Event) -> None:
        raise AssertionError(event)

    outbox = Outbox(failure)
    relay = Relay(outbox, say)
    running = asyncio.create_task(relay.run())
    await outbox.failed.wait()
    relay.wake()
    await asyncio.wait_for(outbox.relayed.wait(), 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
