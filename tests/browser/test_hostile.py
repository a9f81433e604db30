"""500 hostile strings wherever a stranger may write: none runs, none loads, all are shown.

Any script error, any violation of the content security policy and any request that leaves the
origin fails a test of this folder anyway (``page_as``); here the pages themselves are searched too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from shared import events as e
from shared.clock import utcnow
from shared.document_events import (
    DocumentIndexed,
    DocumentIndexedData,
    DocumentRejected,
    DocumentRejectedData,
)
from shared.envelope import Event
from shared.identity import sha256, stable_id
from shared.objects import S3Objects
from shared.records import (
    Address,
    Attachment,
    Check,
    DocumentBlock,
    DocumentVersion,
    MailBlock,
    Part,
    Passage,
    PassageScores,
    Source,
)
from shared.routing import OfMail
from tests.browser.conftest import DeskServer, PageAs
from tests.browser.hostile import strings
from tests.browser.seed import PRINTS

pytestmark = pytest.mark.xdist_group("desk")

STRINGS = strings()
EACH = 100
"""Strings of one e-mail, its draft and its document."""
GROUPS = [STRINGS[at : at + EACH] for at in range(0, len(STRINGS), EACH)]
AT = utcnow()
FOUND = """() => {
  const all = [...document.querySelectorAll('*')];
  const attributes = all.flatMap((e) =>
    [...e.attributes].map((a) => [e.tagName, a.name, a.value]));
  const named = (names) => attributes.filter(([, name]) => names.test(name));
  const ids = all.map((e) => e.id).filter(Boolean);
  const read = (value) => { try { return new URL(value, location.href); } catch { return {}; } };
  const away = (value) => read(value).origin !== location.origin;
  const html = (elements) => elements.map((e) => e.outerHTML.slice(0, 300));
  return {
    harmed: window.harmed ?? null,
    handlers: named(/^on|hx-on|hx-vals/),
    styled: named(/^style$/),
    scripts: html([...document.scripts].filter((s) => !s.src || away(s.src))),
    framed: html([...document.querySelectorAll(
      'iframe,frame,object,embed,applet,base,style,meta[http-equiv]')]),
    loaded: named(/^(src|srcset|poster|background|data|ping|(form)?action|(data-)?hx-(get|post))$/)
      .filter(([, , value]) => away(value)),
    led: named(/href$/)
      .filter(([, , value]) => !/^(https?|mailto|tel):$/.test(read(value).protocol)),
    twice: ids.filter((id, at) => ids.indexOf(id) !== at),
  };
}"""


def block(group: int) -> MailBlock:
    """An e-mail with the strings in every field that its sender writes."""
    own = GROUPS[group]
    together = "\n".join(own)
    mail_id = stable_id("hostile", str(group))
    return MailBlock(
        mail_id=mail_id,
        mailbox="edurenov",
        thread_id=stable_id("hostile-thread", str(group)),
        message_id=f"<hostile-{group}@evil.example>",
        sender=Address(address=" ".join(own[:20]), name=" ".join(own)),
        reply_to=Address(address=" ".join(own[20:40])),
        subject=" ".join(own),
        received=AT,
        new_text=together,
        questions=own,
        category=own[0],
        raw_key=f"mails/edurenov/{mail_id}.eml",
        attachments=tuple(
            Attachment(
                name=name,
                media_type=name[:100],
                size=10,
                state="read",
                text_key=f"mails/edurenov/{mail_id}/text",
            )
            for name in own
        ),
        earlier=own,
    )


def document(group: int) -> DocumentBlock:
    own = GROUPS[group]
    text = "\n".join(own)
    identity = stable_id("hostile-document", str(group))
    return DocumentBlock(
        document_id=identity,
        version=DocumentVersion(submitted=AT, sha256=sha256(text.encode())),
        collection="edurenov",
        name=" ".join(own),
        title=" ".join(own),
        url=["javascript:window.harmed=1", 'https://evil.example/"><script>', own[0]][group % 3],
        media_type="text/html",
        size=len(text),
        original_key=f"documents/hostile/{group}",
        text_key=f"documents/hostile/{group}/text.json",
    )


def draft(group: int) -> e.DraftReady | e.DraftDeclined:
    own, paper = GROUPS[group], document(group)
    at = 0
    passages = []
    for number, text in enumerate(own):
        passages.append(
            Passage(
                passage_id=stable_id("hostile-passage", str(group), str(number)),
                document_id=paper.document_id
                if number < 3
                else stable_id("hostile-other", str(group), str(number)),
                version=paper.version,
                title=text,
                url=text,
                heading_path=(text, text),
                start=at,
                end=at + len(text),
                text=text,
                audience="public",
                scores=PassageScores(fused=0.5),
            )
        )
        at += len(text) + 1
    common: dict[str, Any] = {
        "mail": block(group),
        "draft_id": stable_id("hostile-draft", str(group)),
        "passages": tuple(passages),
        "engine": "openai",
        "fingerprints": PRINTS,
        "raw_output": own[0],
    }
    if group == len(GROUPS) - 1:
        declined = e.DraftDeclinedData(**common, why="out-of-scope", detail=" ".join(own))
        return e.DraftDeclined.make(
            source="x", subject="x", time=AT, data=declined, id=stable_id("h", str(group))
        )
    sources = tuple(
        Source(
            number=number,
            document_id=passage.document_id,
            version=passage.version,
            title=passage.title,
            url=passage.url,
            heading_path=passage.heading_path,
            passage_ids=(passage.passage_id,),
        )
        for number, passage in enumerate(passages[2:], 1)
    )
    ready = e.DraftReadyData(
        **common,
        checks=tuple(Check(name=text, passed=False, detail=text) for text in own),
        greeting=own[0],
        parts=tuple(Part(text=p.text, citations=(p.passage_id,)) for p in passages[2:]),
        closing=own[1],
        text="\n".join(f"{text} [{number}]" for number, text in enumerate(own[2:], 1)),
        sources=sources,
        unanswered=own,
    )
    return e.DraftReady.make(
        source="x", subject="x", time=AT, data=ready, id=stable_id("h", str(group))
    )


def happened(group: int) -> Iterator[Event]:
    """What the other services would say."""
    own, paper = GROUPS[group], document(group)
    names = iter(range(9))

    def make(kind: type[Event], data: Any) -> Event:
        identity = stable_id("hostile-event", str(group), str(next(names)))
        return kind.make(source="x", subject="x", time=AT, data=data, id=identity)

    yield make(DocumentIndexed, DocumentIndexedData(document=paper, count=1, embedding="e"))
    rejected = stable_id("hostile-rejected", str(group))
    yield make(
        DocumentRejected,
        DocumentRejectedData(
            collection="edurenov",
            document_id=rejected,
            name=" ".join(own),
            url=own[0],
            submitted=AT,
            code="broken",
            detail=" ".join(own),
        ),
    )
    skipped = e.MailSkippedData(
        mailbox="edurenov",
        mail_id=stable_id("hostile-skipped", str(group)),
        reason="empty",
        detail=" ".join(own),
        sender=Address(address=" ".join(own), name=" ".join(own)),
        subject=" ".join(own),
        received=AT,
        raw_key=block(group).raw_key,
    )
    yield make(e.MailSkipped, skipped)
    yield make(e.MailAccepted, OfMail(mail=block(group)))
    yield draft(group)


async def store(server: DeskServer) -> None:
    """The bodies behind the events' keys."""
    objects = S3Objects(server.store)
    for group, own in enumerate(GROUPS):
        mail, paper = block(group), document(group)
        raw = (
            "From: <script>window.harmed=1</script> <a@evil.example>\r\nSubject: "
            + own[0].replace("\n", " ")
            + "\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
            + "\r\n".join(f"<p>{text}</p>" for text in own)
        )
        await objects.put(mail.raw_key, raw.encode())
        await objects.put(f"mails/edurenov/{mail.mail_id}/text", "\n".join(own).encode())
        await objects.put(paper.original_key, "\n".join(own).encode())
        await objects.put(paper.text_key, json.dumps({"text": "\n".join(own)}).encode())


@pytest.fixture(scope="module")
def hostile(desk_server: DeskServer) -> DeskServer:
    """The desk after all strings arrived."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(store(desk_server))).result()
    desk_server.say(*(event for group in range(len(GROUPS)) for event in happened(group)))
    wanted = [stable_id("hostile-draft", str(group)) for group in range(len(GROUPS))]
    for _ in range(300):
        kept = desk_server.sql(
            "select (select count(*) from feedback.drafts where draft_id = any($1::uuid[]))"
            " + (select count(*) from feedback.documents where collection = 'edurenov'"
            " and submitted = $2) as n",
            wanted,
            AT,
        )
        if kept[0]["n"] >= 3 * len(GROUPS):
            return desk_server
    raise AssertionError("feedback did not keep what was said")


class Watched:
    """A page that is searched after each step."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.seen = 0
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))

    def visit(self, path: str) -> None:
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.status < 500, path
        self.search(path)

    def search(self, path: str) -> None:
        self.seen += 1
        found = self.page.evaluate(FOUND)
        assert not any(found.values()), (path, {k: v for k, v in found.items() if v})


def test_the_search_finds_harm(hostile: DeskServer, browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(
        "<p id=a></p><p id=a></p><script>window.harmed=1</script><b onclick=x style='a:b'>"
        "<img src=https://evil.invalid/x><a href=javascript:x>y</a><iframe></iframe>"
    )
    found = page.evaluate(FOUND.replace("location.origin", "'https://here.invalid'"))
    page.close()
    assert all(found.values()), found


@pytest.mark.parametrize("group", range(len(GROUPS)))
def test_an_email_its_draft_and_its_document(
    group: int, hostile: DeskServer, page_as: PageAs
) -> None:
    watched = Watched(page_as("admin"))
    page, mail, paper = watched.page, block(group), document(group)
    base = f"/desk/drafts/{stable_id('hostile-draft', str(group))}"
    watched.visit(base)
    assert page.locator(".mail-text").text_content() == mail.new_text
    assert page.locator("h1").text_content() == mail.subject
    open_some(page)
    page.wait_for_selector(".whole")
    page.wait_for_selector(".attachment-text")
    page.wait_for_selector(".excerpt")
    page.evaluate(
        "() => document.querySelectorAll('main *').forEach((e) =>"
        " ['mouseover', 'pointerover', 'focus', 'animationstart', 'load', 'error']"
        ".forEach((kind) => e.dispatchEvent(new Event(kind))))"
    )
    watched.search(base)
    watched.visit(base + "/check")
    watched.visit(f"/desk/mails/{mail.mail_id}")
    watched.visit(f"/desk/mails/{mail.mail_id}/whole")
    watched.visit(f"/desk/mails/{stable_id('hostile-skipped', str(group))}")
    where = f"{paper.document_id}/{paper.version.sha256[:16]}?p=0-400"
    watched.visit(f"/desk/documents/{paper.document_id}")
    watched.visit(f"/desk/documents/{where}")
    assert page.locator("main").text_content().count("harmed") > EACH / 2  # type: ignore[union-attr]  # there is one
    watched.visit(f"/sources/{where}")
    assert page.locator("main").text_content().count("harmed") > EACH / 2  # type: ignore[union-attr]  # there is one
    assert watched.seen == 9


def open_some(page: Page) -> None:
    """Open the e-mail's lazy parts, and the first passages in their documents."""
    for box in (
        page.locator(".review-mail > .lazy-details"),
        page.locator(".attachments .lazy-details"),
        page.locator(".in-document"),
    ):
        for number in range(min(box.count(), 2)):
            box.nth(number).evaluate("box => box.open = true")


def test_lists_and_what_addresses_carry(hostile: DeskServer, page_as: PageAs) -> None:
    watched = Watched(page_as("admin"))
    for path in (
        "/desk/drafts",
        "/desk/drafts?view=declined",
        "/desk/mails?outcome=skipped",
        "/desk/documents",
        "/desk/documents?collection=edurenov",
        "/desk/figures",
        "/desk/datasets",
        "/desk/audit",
    ):
        watched.visit(path)
        shown = watched.page.locator("main").text_content() or ""
        listed = path.startswith(("/desk/drafts", "/desk/mails", "/desk/documents"))
        assert not listed or shown.count("harmed") > EACH / 2, path
    base = f"/desk/drafts/{stable_id('hostile-draft', '0')}"
    for at in range(0, len(STRINGS), 25):
        given = quote("".join(STRINGS[at : at + 25])[:1900])
        watched.visit(f"/desk/drafts?text={given}&mailbox={given[:60]}")
        if at % 100 == 0:
            watched.visit(f"{base}?q={given}")
            watched.visit(f"/desk/documents?q={given}")
            watched.visit(f"/desk/{given[:200]}")
            watched.visit(f"/sources/{given[:100]}/{given[:100]}")


def test_typed_text_is_text(hostile: DeskServer, page_as: PageAs) -> None:
    """What an agent pastes is shown by the page's script: in the text, the preview, the notices."""
    watched = Watched(page_as("agent", path=f"/desk/drafts/{hostile.fresh('part-etude')}"))
    page = watched.page
    pasted = "\n".join(text + " [1]" for text in STRINGS)
    # As a paste does; filling in a field of 40,000 characters takes Playwright ten seconds.
    page.locator("#text").evaluate(
        "(field, text) => { field.value = text; field.dispatchEvent(new Event('input')); }", pasted
    )
    page.locator("#preview-box > summary").click()
    page.locator("#difference-box > summary").click()
    page.get_by_text("Enregistré ").wait_for()
    page.wait_for_selector("#difference ins")
    watched.search("typed")
    assert page.locator("#preview").text_content() == pasted + "\n"
    page.reload()
    watched.search("reloaded")
    assert page.input_value("#text") == pasted
