"""The HTTP API over a store in memory: shapes, problem JSON, repeated reviews; and the relay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from services.feedback.api import build_api
from services.feedback.outbox import Relay, say_one
from services.feedback.records import ReviewWish
from services.feedback.reviewing import EVENT_MOST, Unacceptable
from services.feedback.service import FeedbackService
from shared.admin import MAX_MESSAGE
from shared.delivery import Unavailable
from shared.document_events import DocumentIndexed
from shared.envelope import Event
from shared.events import DraftReady, MailAccepted, ReplyApproved
from shared.identity import stable_id
from tests import samples
from tests.fakes.feedback_memory import MemoryDrafts
from tests.viewers import AGENT, desk_for

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
    transport = httpx.ASGITransport(build_api(desk_for(service, AGENT)))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://feedback", headers={"Authorization": "Bearer x"}
    ) as client:
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


async def test_roles_are_those_of_the_pages(store: MemoryDrafts) -> None:
    service = FeedbackService(store, lambda: samples.AT, lambda: None)
    may = {"agent": [200, 200], "curator": [200, 200], "data": [403, 200], "": [403, 403]}
    for role, wanted in (may | {"admin": [200, 200]}).items():
        viewer = AGENT.model_copy(update={"roles": frozenset({role} - {""})})
        transport = httpx.ASGITransport(build_api(desk_for(service, viewer)))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://feedback", headers={"Authorization": "Bearer x"}
        ) as api:
            asked = [await api.get("/v1/documents"), await api.get("/v1/figures")]
        assert [answer.status_code for answer in asked] == wanted, role


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


async def test_another_draft_is_asked_for(api: httpx.AsyncClient, store: MemoryDrafts) -> None:
    url = f"/v1/drafts/{samples.DRAFT}/regenerate"
    asked = await api.post(url, json={"instruction": "Plus court.", "engine": "extractive"})
    assert asked.status_code == 202
    assert asked.json() == {
        "mail_id": str(samples.MAIL.mail_id),
        "mailbox": samples.MAIL.mailbox,
        "request_id": 1,
    }
    assert (await api.post(url, json={})).json()["request_id"] == 2
    assert (await store.figures(AGENT)).outbox == 2
    await api.post(f"/v1/drafts/{samples.DRAFT}/review", json={"decision": "rejected"})
    late = await api.post(url, json={})
    assert late.status_code == 409
    assert "rejeté" in late.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("POST", f"/v1/drafts/{UNKNOWN}/regenerate", {}, 404, "brouillon"),
        ("POST", f"/v1/drafts/{samples.DRAFT}/regenerate", {"engine": "gpt"}, 422, "extractive"),
        (
            "POST",
            f"/v1/drafts/{samples.DRAFT}/regenerate",
            {"instruction": "x" * 2001},
            422,
            "instruction",
        ),
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


@pytest.mark.parametrize(
    "wish", [{"reasons": ["x" * 501]}, {"reasons": ["x"] * 21}, {"final_text": "x" * 100_001}]
)
async def test_a_review_over_the_limits_is_422(
    api: httpx.AsyncClient, wish: dict[str, object]
) -> None:
    url = f"/v1/drafts/{samples.DRAFT}/review"
    answer = await api.post(url, json={"decision": "edited", "final_text": "Oui [1]."} | wish)
    assert answer.status_code == 422
    assert next(iter(wish)) in answer.json()["detail"]


async def _reviewed(store: MemoryDrafts, **mail: object) -> list[Event]:
    """What leaves with the approval of a draft whose e-mail is `mail`."""
    event = EVENTS[DraftReady]
    assert isinstance(event, DraftReady)
    block = event.data.mail.model_copy(update=mail)
    draft = event.model_copy(update={"data": event.data.model_copy(update={"mail": block})})
    service = FeedbackService(store, lambda: samples.AT, lambda: None)
    await service.record_draft(draft)
    await service.review(AGENT, samples.DRAFT, ReviewWish(decision="approved"))
    said: list[Event] = []

    async def say(event: Event) -> None:
        said.append(event)

    await store.relay(say, 10)
    return said


async def test_the_reply_to_an_endless_subject_and_thread_is_cut(store: MemoryDrafts) -> None:
    references = tuple(f"<{n}@mairie.example>" for n in range(40_000))
    _, reply = await _reviewed(store, subject="é" * 600_000, references=references)
    assert isinstance(reply, ReplyApproved)
    assert len(reply.data.subject) == 500
    own = samples.MAIL.message_id
    assert reply.data.thread_references == (*references[-49:], own)


async def test_an_event_larger_than_the_broker_takes_is_refused_at_review(
    store: MemoryDrafts,
) -> None:
    assert EVENT_MOST < MAX_MESSAGE
    with pytest.raises(Unacceptable, match="raccourcissez"):
        await _reviewed(store, message_id=f"<{'x' * 1_000_000}@mairie.example>")


async def test_an_event_nobody_can_decode_is_refused_in_words() -> None:
    async def say(event: Event) -> None:
        raise AssertionError("there is nothing to say")

    assert "Field required" in (await say_one(say, b'{"type": "sourcier.past.v0"}') or "")


async def test_a_database_that_is_down_is_503(
    api: httpx.AsyncClient, store: MemoryDrafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(viewer: object) -> None:
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
