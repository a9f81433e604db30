"""HTTP intake: the events it makes, and words for what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from services.ingest.api import build_api
from services.ingest.inbox import HttpInbox
from services.ingest.service import DocumentIntake
from shared.delivery import Unavailable
from shared.document_events import DocumentChunked, DocumentSubmitted
from shared.envelope import Event
from shared.events import MailReceived
from shared.identity import document_id, mail_id
from shared.objects import MemoryObjects
from shared.settings import Ingest
from tests.fakes.intake_memory import DirectReader, MemoryIntake, WordCounter

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
MAIL = b"From: a@x.org\r\nMessage-ID: <1@x.org>\r\n\r\nBonjour ?\r\n"


class World:
    """The API over a store in memory, and what it said."""

    def __init__(self) -> None:
        self.said: list[Event] = []
        self.down = False
        self.objects = MemoryObjects()
        self.documents = DocumentIntake(
            self.objects, DirectReader(WordCounter()), MemoryIntake(), lambda: AT, "test", 2**20
        )
        inbox = HttpInbox(self.objects, lambda: AT, ["default"])
        limits = Ingest(mail_max_bytes=2**20, document_max_bytes=2**20)
        self.api = build_api(inbox, self.documents, self.say, limits)

    async def say(self, event: Event) -> None:
        if self.down:
            raise Unavailable("broker")
        self.said.append(event)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=world.api)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


async def test_mail(http: httpx.AsyncClient, world: World) -> None:
    for _ in range(2):
        answer = await http.post("/v1/mails", params={"mailbox": "default"}, content=MAIL)
        assert answer.status_code == 202
        assert answer.json()["mail_id"] == str(mail_id("default", MAIL))
    first, second = world.said
    assert isinstance(first, MailReceived)
    assert first.id == second.id
    assert world.objects.data[first.data.key or ""] == MAIL


@pytest.mark.parametrize("form", [True, False])
async def test_document_and_rebuild(http: httpx.AsyncClient, world: World, form: bool) -> None:
    fields = {"name": "guide.md", "collection": "guides", "title": "Le guide"}
    body = b"# Titre\n\nTexte."
    if form:
        files = {"file": ("autre.md", body, "text/markdown")}
        answer = await http.post("/v1/documents", data=fields, files=files)
    else:
        answer = await http.post("/v1/documents", params=fields, content=body)
    assert answer.status_code == 202
    assert answer.json()["document_id"] == str(document_id("guides", "guide.md"))
    event = world.said.pop()
    assert isinstance(event, DocumentSubmitted)
    assert (event.data.title, event.data.collection) == ("Le guide", "guides")
    assert isinstance(await world.documents.take(event), DocumentChunked)
    answer = await http.post("/v1/index/rebuild", params={"embedding": "e5"})
    assert answer.json() == {"count": 1}
    assert isinstance(world.said[0], DocumentChunked)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/v1/mails?mailbox=autre", MAIL, 422, "Boîtes configurées : default"),
        ("/v1/mails", b"", 422, "vide"),
        ("/v1/mails", b"x" * (2**20 + 1), 413, "1 Mio"),
        ("/v1/documents", b"x", 422, "?name="),
        ("/v1/documents?name=a&collection=Pas%20un%20slug", b"x", 422, "collection"),
        ("/v1/documents?name=a.txt", b"x" * (2**20 + 1), 413, "1 Mio"),
    ],
)
async def test_refusals(
    http: httpx.AsyncClient, world: World, path: str, body: bytes, status: int, words: str
) -> None:
    answer = await http.post(path, content=body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert world.said == []


async def test_form_without_a_file(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/documents", files={"autre": ("a.txt", b"x")})
    assert (answer.status_code, "file" in answer.json()["detail"]) == (422, True)
    broken = {"content-type": "multipart/form-data"}
    answer = await http.post("/v1/documents", content=b"x", headers=broken)
    assert answer.status_code == 422


async def test_broker_down(http: httpx.AsyncClient, world: World) -> None:
    world.down = True
    answer = await http.post("/v1/mails", content=MAIL)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
