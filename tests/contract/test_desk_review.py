"""The review page over HTTP without a script: real PostgreSQL, every action a plain form."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from services.feedback.access import Viewer
from services.feedback.desk.parts import Desk
from shared.delivery import Unavailable
from shared.document_events import DocumentIndexed, DocumentRejected, DocumentRemoved
from shared.events import DraftDeclined, DraftReady, ReplySent, ReplySentData
from shared.identity import sha256
from shared.objects import MemoryObjects
from shared.queries import SearchAnswer, SearchQuery
from shared.records import Passage
from tests import samples
from tests.contract.desk_app import application, config, program
from tests.viewers import AGENT

pytestmark = pytest.mark.asyncio(loop_scope="module")
EVENTS = {type(event): event for event in samples.events()}
PAGE = {"Accept": "text/html"}
OTHER = samples.PASSAGE.model_copy(
    update={
        "passage_id": uuid4(),
        "document_id": uuid4(),
        "title": "Barème",
        "text": "Le taux est de 1,5 %.",
    }
)
ACTIONS = (
    *("save", "search", "cite", "uncite", "wrong", "take", "release", "check", "approve"),
    *("reject", "regenerate"),
)
TEXT = f"Bonjour,\n\n{samples.TEXT} [1]\n\nCordialement,"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_app(
    postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FastAPI]:
    async with application(config(postgres_dsn, tmp_path_factory.mktemp("desk"))) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def app(one_app: FastAPI) -> FastAPI:
    """The application over empty tables."""
    await rows(one_app, "truncate feedback.mails, feedback.documents, feedback.outbox cascade")
    return one_app


def desk_of(app: FastAPI) -> Desk:
    desk = app.state.desk
    assert isinstance(desk, Desk)
    return desk


async def put(app: FastAPI, event: DraftReady | DraftDeclined) -> UUID:
    await desk_of(app).feedback.record_draft(event)
    return event.data.draft_id


def ready(**changes: object) -> DraftReady:
    event = EVENTS[DraftReady]
    assert isinstance(event, DraftReady)
    return event.model_copy(update={"data": event.data.model_copy(update=changes)})


def searches(app: FastAPI, *passages: Passage) -> None:
    """The index answers with ``passages``; without any it is down."""

    async def search(query: SearchQuery) -> SearchAnswer:
        if not passages:
            raise Unavailable("nobody answers")
        return SearchAnswer(passages=passages, evidence=0.5, embedding="e1", retrieval="r1")

    desk_of(app).editing._search = search


class Page:
    """A person at the review page, whose browser has no script."""

    def __init__(self, http: httpx.AsyncClient, draft: UUID) -> None:
        self.http, self.base = http, f"/desk/drafts/{draft}"
        self.shown: httpx.Response

    async def open(self, path: str = "") -> str:
        self.shown = await self.http.get(self.base + path, headers=PAGE)
        assert self.shown.status_code == 200, self.shown.text
        return self.shown.text

    async def press(self, action: str, **fields: object) -> httpx.Response:
        """Send the page's form to ``action``, with what stands in it but for ``fields``."""
        typed = {"revision": self.field("revision"), "text": self.text}
        self.shown = await self.http.post(
            self.base + action, data=typed | fields, headers=PAGE, follow_redirects=True
        )
        return self.shown

    @property
    def text(self) -> str:
        found = re.search(r"<textarea id=\"text\"[^>]*>\n(.*?)</textarea>", self.shown.text, re.S)
        found = found or re.search(
            r"<textarea name=\"text\" hidden>\n(.*?)</textarea>", self.shown.text, re.S
        )
        assert found, self.shown.text
        return html.unescape(found.group(1))

    def field(self, name: str) -> str:
        found = re.search(f'name="{name}" value="([^"]*)"', self.shown.text)
        assert found, name
        return found.group(1)


@pytest_asyncio.fixture(loop_scope="module")
async def agent(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, "agent") as http:
        yield http


@pytest_asyncio.fixture(loop_scope="module")
async def page(app: FastAPI, agent: httpx.AsyncClient) -> Page:
    """A waiting draft with one cited source, opened."""
    opened = Page(agent, await put(app, ready()))
    await opened.open()
    return opened


async def rows(app: FastAPI, statement: str) -> list[asyncpg.Record]:
    pool = desk_of(app).mails.store._pool  # type: ignore[attr-defined]  # PostgreSQL it is
    found: list[asyncpg.Record] = await pool.fetch(statement)
    return found


async def test_the_page_shows_mail_draft_and_source(page: Page) -> None:
    text = page.shown.text
    assert "Qui finance l&#39;étude préalable ?" in text
    assert page.text == TEXT
    assert "Études préalables" in text
    assert "page 2" in text
    assert 'href="#source-1"' in text
    assert "plan.pdf" in text
    assert "illisible : ouvrez-la dans votre messagerie" in text


async def test_typed_text_is_kept_and_no_blank_edit_made(app: FastAPI, page: Page) -> None:
    await page.press("/save")
    assert await rows(app, "select from feedback.edits") == []
    await page.press("/save", text=TEXT.replace("50 %", "60 %").replace("\n", "\r\n"))
    assert "60 %" in page.text
    assert page.field("revision") == "1"
    assert "<del>" in page.shown.text
    assert "<ins>" in page.shown.text


async def test_an_emptied_text_is_kept_too(page: Page) -> None:
    await page.press("/save", text="", with_text="1")
    assert page.text == ""
    checked = await page.press("/check")
    assert "Aucun texte à envoyer" in checked.text


async def test_approving_shows_first_what_will_be_sent(app: FastAPI, page: Page) -> None:
    checked = await page.press("/check", text=TEXT.replace("50 %", "60 %"))
    assert checked.url.path.endswith("/check")
    assert "Re: Étude" in checked.text
    assert "accueil@mairie.example" in checked.text
    assert "[1] Études préalables" in checked.text
    decided = await page.press("/approve")
    assert "Réponse corrigée puis approuvée" in decided.text
    assert "p-agent" in decided.text
    (sent,) = await rows(app, "select event from feedback.outbox where type like '%approved%'")
    assert "60 %" in sent["event"]
    assert await rows(app, "select from feedback.edits") == []


async def test_a_reply_that_cannot_leave_says_why(page: Page) -> None:
    checked = await page.press("/check", text="Bonjour [7].")
    assert "Cette réponse ne peut pas partir telle quelle" in checked.text
    assert 'id="approve"' not in checked.text


async def test_what_was_not_checked_is_not_sent(app: FastAPI, page: Page) -> None:
    """The text was saved in another window after it was checked."""
    await page.press("/check", text=TEXT + "!")
    draft = UUID(page.base.rsplit("/", 1)[1])
    await desk_of(app).editing.save(viewer("agent"), draft, TEXT + " Autre.", 1)
    refused = await page.press("/approve")
    assert refused.status_code == 409
    assert "Deux textes différents" in refused.text
    assert await rows(app, "select from feedback.reviews") == []


def viewer(name: str) -> Viewer:
    return AGENT.model_copy(update={"account": name, "name": name, "pseudonym": f"p-{name}"})


async def test_rejecting_needs_a_reason(app: FastAPI, page: Page) -> None:
    refused = await page.press("/reject", text=TEXT + " Plus.")
    assert refused.status_code == 422
    assert "Choisissez au moins une raison." in refused.text
    assert page.text == TEXT + " Plus."
    refused = await page.press("/reject", reasons=["other"], note=" ")
    assert "Précisez l&#39;autre raison." in refused.text
    decided = await page.press("/reject", reasons=["invented", "other"], note="Le taux est faux.")
    assert "Brouillon rejeté" in decided.text
    assert "Une affirmation est inventée" in decided.text
    assert "Le taux est faux." in decided.text
    (review,) = await rows(app, "select reasons, reviewer from feedback.reviews")
    assert review["reasons"] == ["invented", "other"]
    assert review["reviewer"] == "p-agent"


async def test_reasons_of_an_edit_and_what_cannot_be_kept(app: FastAPI, page: Page) -> None:
    refused = await page.press("/reject", reasons=["colour"])
    assert refused.status_code == 422
    assert "Raison inconnue : colour." in refused.text
    refused = await page.press("/regenerate", instruction="x" * 2001)
    assert "dépasse 2000 caractères" in refused.text
    await page.press("/check", text=TEXT + " Plus.")
    await page.press("/approve", reasons=["wrong-tone"], note=" Trop sec. ")
    (review,) = await rows(app, "select reasons, data ->> 'note' as note from feedback.reviews")
    assert (review["reasons"], review["note"]) == (["wrong-tone"], "Trop sec.")


async def test_another_draft_is_asked_for_and_announced(app: FastAPI, page: Page) -> None:
    asked = await page.press("/regenerate", instruction="Plus court.")
    assert asked.url.params["asked"] == "1"
    assert "Nouveau brouillon demandé" in asked.text
    state = (await page.http.get(page.base + "/state?asked=1")).json()
    assert state["newer"] is None
    new = await put(app, ready(draft_id=uuid4(), request_id=1))
    state = (await page.http.get(page.base + "/state?asked=1")).json()
    assert state["newer"] == str(new)
    assert f'href="/desk/drafts/{new}"' in await page.open()


async def test_a_citation_is_found_added_and_taken_back(app: FastAPI, page: Page) -> None:
    searches(app, OTHER)
    found = await page.press("/search", q="Quel taux ?", text=TEXT + " Ici.")
    assert "Le taux est de 1,5 %." in found.text
    assert page.text == TEXT + " Ici."
    cited = await page.press(f"/cite?passage={OTHER.passage_id}", q="Quel taux ?")
    assert 'id="source-2"' in cited.text
    assert "ajouté à la main" in cited.text
    kept = await page.press("/save", text=TEXT + " Ici [2].")
    assert 'href="#source-2"' in kept.text
    dropped = await page.press("/uncite?number=2")
    assert page.text == TEXT + " Ici."
    assert 'id="source-2"' not in dropped.text
    await page.press("/uncite?number=1")
    assert "[1]" not in page.text


async def test_a_search_that_does_not_answer_keeps_the_page(app: FastAPI, page: Page) -> None:
    searches(app)
    found = await page.press("/search", q="Quel taux ?", text=TEXT + " Ici.")
    assert "La recherche dans les documents ne répond pas" in found.text
    assert page.text == TEXT + " Ici."


async def test_a_passage_is_called_wrong_apart_from_the_answer(app: FastAPI, page: Page) -> None:
    where = f"/wrong?passage={samples.PASSAGE.passage_id}"
    assert "signalé comme faux" in (await page.press(where)).text
    assert "signalé comme faux" not in (await page.press(f"{where}&undo=1")).text
    await page.press(where)
    checked = await page.press("/check")
    assert "ses passages sont dits faux" in checked.text
    await page.press("/approve")
    (review,) = await rows(app, "select decision, data from feedback.reviews")
    assert review["decision"] == "approved"
    assert str(samples.PASSAGE.passage_id) in review["data"]


async def test_two_agents_do_not_overwrite_each_other(app: FastAPI, page: Page) -> None:
    draft = UUID(page.base.rsplit("/", 1)[1])
    other = viewer("dominique")
    await desk_of(app).editing.take_over(other, draft)
    await desk_of(app).editing.save(other, draft, TEXT + " De Dominique.", 0)
    refused = await page.press("/save", text=TEXT + " De moi.")
    assert refused.status_code == 409
    assert "dominique travaille sur ce brouillon" in refused.text
    assert page.text == TEXT + " De moi."
    taken = await page.press("/take")
    assert taken.status_code == 409
    assert "Deux textes différents" in taken.text
    assert page.text == TEXT + " De moi."
    assert "Dominique" in taken.text
    kept = await page.press("/save")
    assert kept.status_code == 200
    assert page.text == TEXT + " De moi."


async def test_a_draft_held_by_another_can_only_be_read(app: FastAPI, page: Page) -> None:
    draft = UUID(page.base.rsplit("/", 1)[1])
    await desk_of(app).editing.take_over(viewer("dominique"), draft)
    text = await page.open()
    assert "dominique travaille sur ce brouillon" in text
    assert "readonly" in text
    assert 'id="check"' not in text
    state = (await page.http.get(page.base + "/state")).json()
    assert state["holder"] == "dominique"
    taken = await page.press("/take")
    assert taken.status_code == 200
    assert 'id="check"' in taken.text


async def test_what_is_left_to_others_is_free_at_once(app: FastAPI, page: Page) -> None:
    left = await page.press("/release", text=TEXT + " En cours.")
    assert left.url.path == "/desk/drafts"
    assert await rows(app, "select from feedback.locks") == []
    assert "En cours." in await page.open()


async def test_a_declined_draft_is_answered_by_hand(app: FastAPI, agent: httpx.AsyncClient) -> None:
    event = EVENTS[DraftDeclined]
    assert isinstance(event, DraftDeclined)
    page = Page(agent, await put(app, event))
    text = await page.open()
    assert "Les documents ne répondent pas à cette question." in text
    assert "Passages les plus proches" in text
    await page.press(f"/cite?passage={samples.PASSAGE.passage_id}", text="Bonjour, oui.")
    await page.press("/check", text="Bonjour, oui [1].")
    assert "[1] Études préalables" in page.shown.text
    decided = await page.press("/approve")
    assert "Réponse corrigée puis approuvée" in decided.text


async def test_a_newer_version_is_told(app: FastAPI, page: Page) -> None:
    event = EVENTS[DocumentIndexed]
    assert isinstance(event, DocumentIndexed)
    version = samples.VERSION.model_copy(
        update={"submitted": samples.AT, "sha256": sha256(b"newer")}
    )
    block = event.data.document.model_copy(update={"version": version})
    data = event.data.model_copy(update={"document": block})
    await desk_of(app).feedback.record_document(event.model_copy(update={"data": data}))
    text = await page.open()
    assert "La source [1] a une version plus récente" in text
    assert f"/desk/documents/{samples.DOCUMENT}" in text


async def test_a_removal_is_told_although_a_later_version_was_refused(
    app: FastAPI, page: Page
) -> None:
    await page.press("/save", text=TEXT + " Encore.")
    removed, refused = EVENTS[DocumentRemoved], EVENTS[DocumentRejected]
    assert isinstance(removed, DocumentRemoved)
    assert isinstance(refused, DocumentRejected)
    later = {"document_id": samples.DOCUMENT, "submitted": samples.AT + timedelta(days=9)}
    data = refused.data.model_copy(update=later)
    for event in (removed, refused.model_copy(update={"data": data})):
        await desk_of(app).feedback.record_document(event)
    assert "La source [1] a été retirée" in await page.open()
    checked = await page.open("/check")
    assert "dont le document a été retiré" in checked
    assert 'id="approve"' not in checked


async def test_what_was_typed_is_shown_when_a_reply_left_from_elsewhere(
    app: FastAPI, page: Page
) -> None:
    await page.press("/save", text="À moitié <écrit>")
    mail = {"mailbox": "default", "mail_id": samples.MAIL.mail_id, "message_id": "<r@x>"}
    data = ReplySentData(sent=samples.AT, text="Voyez le guichet du département.", **mail)
    await desk_of(app).answering.hear(
        ReplySent.make(source="test", subject="x", time=samples.AT, data=data, id=uuid4())
    )
    text = await page.open()
    assert "Ce qui était en cours de saisie" in text
    assert "À moitié &lt;écrit&gt;</div>" in text


async def test_a_newer_message_of_the_conversation_is_told(app: FastAPI, page: Page) -> None:
    later = samples.AT + timedelta(hours=1)
    mail = samples.MAIL.model_copy(update={"mail_id": uuid4(), "received": later})
    # The draft that an agent works on stays although its e-mail is overtaken.
    await page.press("/save", text=TEXT + " Encore.")
    newer = await put(app, ready(draft_id=uuid4(), mail=mail))
    text = await page.open()
    assert "Un message plus récent de cette conversation est arrivé" in text
    assert f'href="/desk/drafts/{newer}"' in text
    assert 'id="check"' in text


async def test_the_conversation_shows_what_was_answered(
    app: FastAPI, agent: httpx.AsyncClient, page: Page
) -> None:
    await page.press("/check")
    await page.press("/approve")
    mail = samples.MAIL.model_copy(
        update={"mail_id": uuid4(), "message_id": "<q2@x>", "new_text": "Et la suite ?"}
    )
    later = Page(agent, await put(app, ready(draft_id=uuid4(), mail=mail)))
    text = await later.open()
    assert "Conversation" in text
    assert "Notre réponse" in text
    assert "remise à la messagerie" in text


async def test_another_mailbox_is_as_if_absent(app: FastAPI, page: Page) -> None:
    async with program(app, "agent2") as http:
        for path in ("", "/check", "/state", f"/passages/{samples.PASSAGE.passage_id}"):
            assert (await http.get(page.base + path, headers=PAGE)).status_code == 404
        form = {"text": "x", "reasons": "other", "note": "x", "q": "x"}
        one = f"?passage={samples.PASSAGE.passage_id}&number=1"
        for action in ACTIONS:
            answer = await http.post(f"{page.base}/{action}{one}", data=form, headers=PAGE)
            assert answer.status_code == 404, action
        assert (await http.get(f"/desk/mails/{samples.MAIL.mail_id}/whole")).status_code == 404
    assert len(await rows(app, "select from feedback.locks where account = 'agent'")) == 1


async def test_the_whole_mail_and_attachments(app: FastAPI, agent: httpx.AsyncClient) -> None:
    objects = MemoryObjects()
    desk_of(app).mails._objects = objects
    objects.data[samples.MAIL.raw_key] = (
        b"From: x@y.example\r\nContent-Type: text/html\r\n\r\n"
        b"<p onclick='x()'>Bonjour</p><img src=https://spy.example/a>"
    )
    objects.data["text"] = "Texte de la pièce".encode()
    read = samples.MAIL.attachments[0].model_copy(update={"state": "read", "text_key": "text"})
    mail = samples.MAIL.model_copy(update={"attachments": (read,)})
    await put(app, ready(mail=mail))
    whole = await agent.get(f"/desk/mails/{mail.mail_id}/whole", headers=PAGE)
    assert "<p>Bonjour</p>" in whole.text
    assert "1 image n&#39;est pas affichée." in whole.text
    assert "spy.example" not in whole.text
    text = await agent.get(f"/desk/mails/{mail.mail_id}/attachments/0", headers=PAGE)
    assert "Texte de la pièce" in text.text
    assert (await agent.get(f"/desk/mails/{mail.mail_id}/attachments/1")).status_code == 404


async def test_a_passage_whose_document_is_gone_shows_its_text(page: Page) -> None:
    text = await page.open(f"/passages/{samples.PASSAGE.passage_id}")
    assert "Le document ne peut pas être montré" in text
    assert samples.TEXT in html.unescape(text)


async def test_the_next_draft_comes_after_this_one(app: FastAPI, page: Page) -> None:
    mail = samples.MAIL.model_copy(update={"mail_id": uuid4(), "thread_id": uuid4()})
    second = await put(app, ready(draft_id=uuid4(), mail=mail))
    assert f'href="/desk/drafts/{second}"' in await page.open()
    await desk_of(app).editing.take_over(viewer("dominique"), second)
    assert 'id="next"' not in await page.open()
