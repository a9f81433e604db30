"""Documents, sources and figures in a real browser; ingest reads what is handed in."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import httpx
import nats
import pytest
from playwright.sync_api import Page, expect
from tokenizers import Tokenizer, models, pre_tokenizers

from deploy.local.process import free_ports
from deploy.local.service import wait_until_ready
from services.feedback.desk.cookies import SESSION
from shared.clock import utcnow
from shared.document_events import DocumentChunked, DocumentIndexed, DocumentIndexedData
from shared.envelope import caused
from shared.identity import document_id
from tests.browser.conftest import DeskServer, PageAs
from tests.browser.seed import digest
from tests.fakes.model_folder import model_folder

pytestmark = pytest.mark.xdist_group("desk")
Check = Callable[[Page], None]
BAREME = "bareme-cofinancement-etudes.pdf"
LONG = 60_000
"""Milliseconds for another process to do its part on a busy machine."""


def shot(page: Page, name: str) -> None:
    """A picture where $SHOTS says, for whoever looks at it."""
    if "SHOTS" in os.environ:
        page.screenshot(path=Path(os.environ["SHOTS"]) / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def ingest(desk_server: DeskServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """ingest as a process beside feedback, with a tokenizer of words."""
    folder = tmp_path_factory.mktemp("ingest")
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(model_folder(folder / "model") / "tokenizer.json"))
    port = free_ports(1)[0]
    log = folder / "ingest.log"
    process = subprocess.Popen(
        [sys.executable, "-m", "services.ingest.app"],
        stderr=log.open("wb"),
        env={
            **os.environ,
            "SOURCIER_CONFIG": str(folder / "none.toml"),
            "SOURCIER_NATS__URL": desk_server.broker,
            "SOURCIER_STREAMS__MAX_BYTES": str(16 * 1024 * 1024),
            "SOURCIER_POSTGRES__DSN": desk_server.dsn,
            "SOURCIER_OBJECTS__ENDPOINT": desk_server.store.endpoint,
            "SOURCIER_OBJECTS__ACCESS_KEY": desk_server.store.access_key,
            "SOURCIER_OBJECTS__SECRET_KEY": desk_server.store.secret_key.get_secret_value(),
            "SOURCIER_OBJECTS__BUCKET": desk_server.store.bucket,
            "SOURCIER_EMBEDDING__MODEL": str(folder / "model"),
            "SOURCIER_HTTP__PORT": str(port),
        },
    )
    wait_until_ready(f"http://127.0.0.1:{port}", process, log)
    yield
    process.terminate()
    process.wait(30)


def index(desk: DeskServer, document: UUID) -> None:
    """What embed and retrieve do: wait for the document's chunks and say that it is indexed."""

    async def chunked() -> DocumentChunked:
        client = await nats.connect(desk.broker)
        heard = await client.jetstream().subscribe("document.chunked.v1.>", ordered_consumer=True)
        try:
            while True:
                event = DocumentChunked.model_validate_json((await heard.next_msg(60)).data)
                # The same content again is another version.
                if event.data.document.document_id == document and event.id not in done:
                    return event
        finally:
            await client.close()

    done = _SAID.setdefault(desk.url, set())
    with ThreadPoolExecutor(1) as thread:
        event = thread.submit(lambda: asyncio.run(chunked())).result()
    done.add(event.id)
    data = DocumentIndexedData(
        document=event.data.document, count=event.data.count, embedding="e5-small"
    )
    desk.say(caused(event, DocumentIndexed, source="retrieve", time=utcnow(), data=data))


_SAID: dict[str, set[UUID]] = {}


def files(*names: tuple[str, str]) -> list[dict[str, object]]:
    return [
        {"name": name, "mimeType": "text/markdown", "buffer": content.encode()}
        for name, content in names
    ]


def test_files_are_handed_in_and_a_broken_one_says_why(
    page_as: PageAs, desk_server: DeskServer, ingest: None, axe: Check
) -> None:
    page = page_as("curateur", path="/desk/documents")
    page.wait_for_selector("body[data-following]")
    page.evaluate("window.same = true")
    page.get_by_label("Collection", exact=True).fill("essais")
    page.get_by_label("Fichiers").set_input_files(
        files(("isolation.md", "# Isolation\n\nLe taux est de 35 %."), ("abime.pdf", "%PDF-1.7\nx"))
    )
    page.get_by_role("button", name="Déposer").click()
    recent = page.locator("#handed li")
    expect(recent).to_have_count(2, timeout=LONG)
    broken = recent.filter(has_text="abime.pdf")
    expect(broken).to_contain_text("Refusé", timeout=LONG)
    expect(page.get_by_role("status")).to_contain_text("abime.pdf : Refusé")
    expect(broken).to_contain_text("endommagé")
    expect(recent.filter(has_text="isolation.md")).to_contain_text("En cours de lecture")
    shot(page, "upload")
    axe(page)
    index(desk_server, document_id("essais", "isolation.md"))
    expect(recent.filter(has_text="isolation.md")).to_contain_text("Indexé", timeout=LONG)
    expect(page.locator("#found .item").filter(has_text="isolation.md")).to_contain_text("Indexé")
    expect(page.locator("#shelves")).to_contain_text("essais 2")
    assert page.evaluate("window.same"), "the page was loaded again"


def test_files_are_dropped_on_the_page(page_as: PageAs, desk_server: DeskServer) -> None:
    page = page_as("curateur", path="/desk/documents")
    page.get_by_label("Collection", exact=True).fill("glisses")
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["un"], "un.txt", {type: "text/plain"}));
            data.items.add(new File(["deux"], "deux.txt", {type: "text/plain"}));
            data.items.add(new File([], "vide.txt", {type: "text/plain"}));
            const drop = document.getElementById("drop");
            drop.dispatchEvent(new DragEvent("dragover", {dataTransfer: data, bubbles: true}));
            drop.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        }"""
    )
    expect(page.locator("#sending .bad")).to_have_text(re.compile("vide.txt.*Le fichier est vide"))
    for name in ("un.txt", "deux.txt"):
        expect(page.locator("#handed")).to_contain_text(name)
    rows = desk_server.sql("select name from feedback.submissions where collection = 'glisses'")
    assert sorted(row["name"] for row in rows) == ["deux.txt", "un.txt"]


def test_without_javascript_the_form_does_it(page_as: PageAs, axe: Check) -> None:
    page = page_as("curateur", path="/desk/documents", java_script_enabled=False)
    page.get_by_label("Collection", exact=True).fill("sans-script")
    page.get_by_label("Fichiers").set_input_files(files(("note.md", "# Note"), ("rien.md", "")))
    page.get_by_role("button", name="Déposer").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("1 fichier refusé")
    expect(alert).to_contain_text("rien.md : Le fichier est vide.")
    expect(page.locator("#handed")).to_contain_text("note.md")
    assert page.get_by_label("Collection", exact=True).input_value() == "sans-script"


def test_a_document_is_replaced_and_removed(
    page_as: PageAs, desk_server: DeskServer, ingest: None, axe: Check
) -> None:
    document = document_id("vie", "regle.md")
    page = page_as("curateur", path="/desk/documents")
    page.get_by_label("Collection", exact=True).fill("vie")
    page.get_by_label("Fichiers").set_input_files(files(("regle.md", "# Règle\n\nTaux : 50 %.")))
    page.get_by_role("button", name="Déposer").click()
    expect(page.locator("#handed")).to_contain_text("regle.md", timeout=LONG)
    index(desk_server, document)
    page.goto(f"/desk/documents/{document}")
    expect(page.locator("#document")).to_contain_text("Indexé", timeout=LONG)
    page.get_by_label("Fichier").set_input_files(
        files(("autre-nom.md", "# Règle nouvelle\n\nTaux : 40 %."))
    )
    page.get_by_role("button", name="Remplacer").click()
    expect(page.get_by_role("alert")).to_contain_text("La nouvelle version est déposée")
    index(desk_server, document)
    expect(page.locator("#document .item").filter(has_text="remplacée")).to_have_count(
        1, timeout=LONG
    )
    shot(page, "replaced")
    axe(page)
    old = page.locator(".item", has_text="remplacée").locator("h3 a")
    address = (old.get_attribute("href") or "").replace("/desk/documents/", "/sources/")
    reader = httpx.get(f"{desk_server.url}{address}")
    assert "Taux : 50 %." in reader.text
    assert "Ce document a changé depuis la réponse" in reader.text
    page.get_by_role("link", name="Retirer…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Retirer ce document ?")
    page.get_by_role("button", name="Retirer le document").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Le document est retiré")
    gone = httpx.get(f"{desk_server.url}{address}")
    assert gone.status_code == 410
    assert "Document retiré" in gone.text
    said = desk_server.sql(
        "select action from feedback.audit where object = $1 order by position", str(document)
    )
    assert [row["action"] for row in said] == ["document.submitted"] * 2 + ["document.removed"]


def test_an_agent_reads_but_does_not_change(page_as: PageAs, desk_server: DeskServer) -> None:
    document = desk_server.seeded.documents[BAREME]
    page = page_as("agent", path="/desk/documents")
    expect(page.get_by_label("Fichiers")).to_have_count(0)
    page.get_by_label("Titre, nom ou adresse").fill("barème")
    page.keyboard.press("Enter")
    expect(page.locator("#found .item")).to_have_count(1)
    assert "text=bar" in page.url
    page.locator("#found .item a").click()
    assert page.url.endswith(f"/desk/documents/{document}")
    expect(page.get_by_role("button", name="Remplacer")).to_have_count(0)
    assert page.goto(f"/desk/documents/{document}/remove").status == 403  # type: ignore[union-attr]  # a page answered


def test_whoever_got_a_reply_reads_its_source(
    page_as: PageAs, desk_server: DeskServer, axe: Check
) -> None:
    passage = desk_server.seeded.passage(BAREME, "50 %")
    place = f"/sources/{passage.document_id}/{passage.version.sha256[:16]}"
    address = f"{place}?p={passage.start}-{passage.end}"
    page = page_as(None, width=390, path=f"{address}#passage")
    marked = page.locator("mark#passage")
    assert " ".join(passage.text.split())[:60] in " ".join(marked.inner_text().split())
    expect(marked).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "source-390")
    axe(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    shot(page, "source-1280")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("mark#passage")).to_be_visible()
    axe(page)


def test_a_public_source_is_for_caches_and_not_for_cookies(desk_server: DeskServer) -> None:
    passage = desk_server.seeded.passage(BAREME, "50 %")
    place = f"{desk_server.url}/sources/{passage.document_id}/{passage.version.sha256[:16]}"
    read = httpx.get(place, cookies={"lang": "en", "session": "x"})
    assert (read.status_code, read.headers["cache-control"]) == (200, "public, max-age=300")
    assert "set-cookie" not in read.headers
    assert httpx.head(place).status_code == 200
    assert '<html lang="fr">' in read.text
    file = httpx.get(f"{place}/original")
    assert file.content.startswith(b"%PDF")
    assert file.headers["content-disposition"].startswith(f'attachment; filename="{BAREME}"')
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in file.headers["content-security-policy"]
    for wrong in (f"{place[:-4]}0000", f"{place}x", f"{desk_server.url}/sources/{UUID(int=1)}/0"):
        for path in (wrong, f"{wrong}/original"):
            answer = httpx.get(path)
            assert answer.status_code == 404
            assert "Source introuvable" in answer.text
    # A page of the document in the desk is for those who signed in.
    assert httpx.get(place.replace("/sources/", "/desk/documents/")).status_code in (303, 401)


def test_figures_are_chosen_by_the_address(
    page_as: PageAs, desk_server: DeskServer, axe: Check
) -> None:
    page = page_as("data", path="/desk/figures")
    axe(page)
    page.get_by_label("Regrouper").select_option("mailbox")
    page.get_by_role("button", name="Afficher").click()
    page.wait_for_url("**by=mailbox**")
    page.get_by_label("Période").select_option("0")
    page.get_by_role("button", name="Afficher").click()
    page.wait_for_url("**weeks=0**")
    decided = page.locator("#decisions")
    plot = decided.get_by_role("img", name=re.compile("Ce que deviennent les brouillons"))
    expect(plot).to_be_visible()
    decided.get_by_text("Voir le tableau").click()
    expect(decided.get_by_role("rowheader", name="edurenov")).to_be_visible()
    shot(page, "figures-boxes")
    axe(page)
    with page.expect_download() as loading:
        decided.get_by_role("link", name="Télécharger en CSV").click()
    lines = loading.value.path().read_text("utf-8-sig").splitlines()
    assert lines[0] == "mailbox,approved,edited,rejected,unused,total"
    counts = desk_server.sql(
        "select d.mailbox, count(*) as n from feedback.reviews join feedback.drafts d"
        " using (draft_id) group by 1 order by 2 desc, 1"
    )
    assert [(line.split(",")[0], int(line.split(",")[-1])) for line in lines[1:]] == [
        (row["mailbox"], row["n"]) for row in counts
    ]
    page.goto("/desk/figures?mailbox=inconnue")
    expect(page.get_by_text("Rien à montrer pour ce choix")).to_have_count(5)
    axe(page)


def test_an_upload_that_is_too_large_is_refused_before_it_comes(desk_server: DeskServer) -> None:
    session = desk_server.sign_in("curateur")
    (row,) = desk_server.sql(
        "select csrf from feedback.sessions where token_sha256 = $1", digest(session)
    )
    connection = http.client.HTTPConnection("127.0.0.1", desk_server.port, timeout=30)
    connection.putrequest("POST", "/desk/documents")
    for name, value in {
        "Cookie": f"{SESSION}={session}",
        "X-CSRF-Token": row["csrf"],
        "Accept": "application/json",
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(10**10),
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "plusieurs fois" in answer.read().decode()
    connection.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_pictures(page_as: PageAs, desk_server: DeskServer, width: int) -> None:
    """Nothing is wider than the screen."""
    one = desk_server.seeded.documents[BAREME]
    passage = desk_server.seeded.passage(BAREME, "50 %")
    place = f"{one}/{passage.version.sha256[:16]}?p={passage.start}-{passage.end}"
    page = page_as("curateur", width=width)
    for name, path in {
        "documents": "/desk/documents",
        "document": f"/desk/documents/{one}",
        "text": f"/desk/documents/{place}",
        "remove": f"/desk/documents/{one}/remove",
        "figures": "/desk/figures?weeks=26",
    }.items():
        page.goto(path)
        shot(page, f"{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
