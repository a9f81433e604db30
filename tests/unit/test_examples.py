"""The examples can be read, say that they are illustrative, and hold the expected answers."""

import email
import email.policy
import json
import re
import runpy
import subprocess
import sys
import threading
import zipfile
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest
from docx import Document
from docx.table import Table
from odf import teletype
from odf.opendocument import load
from selectolax.lexbor import LexborHTMLParser

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DOCUMENTS = sorted(p for p in (EXAMPLES / "documents").iterdir())
MAILS = sorted((EXAMPLES / "mails").glob("*.eml"))
EXPECTED: dict[str, dict[str, Any]] = json.loads(
    (EXAMPLES / "mails/expected.json").read_text(encoding="utf-8")
)
MARK = "document illustratif, rédigé pour la démonstration de sourcier"
DRAFTS = [name for name, case in EXPECTED.items() if case["outcome"] == "draft"]


def _docx(path: Path) -> str:
    parts = Document(str(path)).iter_inner_content()
    return "\n".join(
        "\n".join(" | ".join(c.text for c in row.cells) for row in part.rows)
        if isinstance(part, Table)
        else part.text
        for part in parts
    )


def _xlsx(path: Path) -> str:
    book = openpyxl.load_workbook(path, read_only=True)
    return "\n".join(" | ".join(str(c) for c in row) for sheet in book for row in sheet.values)


def _mail(path: Path) -> EmailMessage:
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)


def _eml(path: Path) -> str:
    body = _mail(path).get_body(("plain", "html"))
    return body.get_content() if body else ""


def _pdf(path: Path) -> str:
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(path))


READERS = {
    ".docx": _docx,
    ".eml": _eml,
    ".html": lambda path: LexborHTMLParser(path.read_text(encoding="utf-8")).text(),
    ".odt": lambda path: teletype.extractText(load(str(path)).text),
    ".pdf": _pdf,
    ".xlsx": _xlsx,
}


def text_of(path: Path) -> str:
    """The words of a document with every run of spaces and line breaks made one space."""
    reader = READERS.get(path.suffix, lambda p: p.read_text(encoding="utf-8"))
    return re.sub(r"\s+", " ", reader(path))


def test_enough_documents_and_formats() -> None:
    assert len(DOCUMENTS) >= 14
    assert len({p.suffix for p in DOCUMENTS}) >= 6
    assert sum(p.stat().st_size for p in EXAMPLES.rglob("*") if p.is_file()) < 1_000_000


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_document_says_early_that_it_is_illustrative(path: Path) -> None:
    assert MARK in text_of(path).lower()[:700]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_document_has_substance_and_only_reserved_addresses(path: Path) -> None:
    text = text_of(path)
    assert len(text.split()) >= 200
    assert all(domain.endswith(".example") for domain in re.findall(r"@([\w.-]+\w)", text))


def test_pdfs_have_several_pages_a_title_and_bookmarks() -> None:
    for path in (p for p in DOCUMENTS if p.suffix == ".pdf"):
        pdf = pypdfium2.PdfDocument(path)
        assert len(pdf) >= 2, path.name
        assert pdf.get_metadata_value("Title")
        assert len(list(pdf.get_toc())) >= 5


def test_office_documents_use_real_heading_styles() -> None:
    for path in (p for p in DOCUMENTS if p.suffix == ".docx"):
        styles = [p.style.name for p in Document(str(path)).paragraphs if p.style]
        assert styles[0] == "Heading 1"
        assert styles.count("Heading 2") >= 4
    for path in (p for p in DOCUMENTS if p.suffix == ".odt"):
        with zipfile.ZipFile(path) as archive:
            assert archive.infolist()[0].filename == "mimetype"
            assert archive.read("content.xml").count(b"<text:h ") >= 5


def test_every_mail_is_expected_and_every_expectation_has_its_mail() -> None:
    assert len(MAILS) >= 12
    assert {p.name for p in MAILS} == set(EXPECTED)
    assert {case["outcome"] for case in EXPECTED.values()} == {"draft", "declined", "skipped"}
    assert {case["reason"] for case in EXPECTED.values() if "reason" in case} == {
        "auto-reply",
        "list",
        "empty",
    }


@pytest.mark.parametrize("path", MAILS, ids=lambda p: p.name)
def test_mail_is_well_formed(path: Path) -> None:
    raw, mail = path.read_bytes(), _mail(path)
    assert raw.count(b"\n") == raw.count(b"\r\n") > 0
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert raw.split(b"\r\n\r\n")[0].isascii()
    assert [defect for part in mail.walk() for defect in part.defects] == []
    assert all(mail[name] for name in ("Message-ID", "Date", "MIME-Version"))
    assert mail["Date"].datetime.tzinfo
    assert len(mail["From"].addresses) == 1
    for address in (*mail["From"].addresses, *mail["To"].addresses):
        assert address.domain.endswith(".example")
        assert "  " not in address.display_name


@pytest.mark.parametrize("name", DRAFTS)
def test_expected_keys_stand_in_the_named_documents(name: str) -> None:
    for answer in EXPECTED[name]["answers"]:
        assert answer["documents"]
        assert answer["keys"]
        for document in answer["documents"]:
            text = text_of(EXAMPLES / "documents" / document)
            assert [key for key in answer["keys"] if key not in text] == []


def test_the_table_alone_answers_the_mail_about_the_share() -> None:
    (answer,) = EXPECTED["06-part-prise-en-charge.eml"]["answers"]
    row = "Commune de 2 000 à 9 999 habitants 70 % 60 % 50 % 55 000 €"
    assert row in text_of(EXAMPLES / "documents" / answer["documents"][0])
    others = [p.name for p in DOCUMENTS if "55 000 €" in text_of(p)]
    assert others == answer["documents"]


def test_forms_that_the_mails_are_there_for() -> None:
    text = {p.name: _eml(p) for p in MAILS}
    assert "Le\u00a0lun. 2 nov. 2026 à\u202f10:12" in text["03-fil-gmail-appel-offres.eml"]
    assert all(
        f"\r\n{head} : " in text["04-fil-outlook-deliberation.eml"]
        for head in ("De", "Envoyé", "À", "Objet")
    )
    assert text["12-message-vide.eml"].strip() == ""
    assert "maître d’œuvre" in text["16-windows-1252-outre-mer.eml"]
    (attachment,) = _mail(EXAMPLES / "mails/07-piece-jointe-deliberation.eml").iter_attachments()
    pdf = pypdfium2.PdfDocument(BytesIO(attachment.get_content()))
    assert "délibérations" in pdf[0].get_textpage().get_text_range()


def test_a_rebuild_gives_the_committed_texts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.build", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    built = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(built) >= 20
    for path in built:
        committed = EXAMPLES / path.relative_to(tmp_path)
        if path.suffix == ".eml":
            # The attachment's compressed bytes may change with the library; all else may not.
            keep = slice(None, 600) if path.name.startswith("07-") else slice(None)
            assert path.read_bytes()[keep] == committed.read_bytes()[keep], path.name
        else:
            assert text_of(path) == text_of(committed), path.name


class _Moved(BaseHTTPRequestHandler):
    """Redirects, or says what is no HTTP."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/":
            self.send_response(302)
            self.send_header("location", "/taken")
            self.end_headers()
        else:
            self.wfile.write(b"no HTTP\r\n\r\n")

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_relay_holds_a_redirect_and_nonsense_for_not_taken() -> None:
    relay = runpy.run_path(str(EXAMPLES / "integrate/webhook_relay.py"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Moved)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        assert relay["post"](f"{url}/", "whsec_c2VjcmV0", "1", b"{}") == (False, 302)
        taken, why = relay["post"](f"{url}/nonsense", "whsec_c2VjcmV0", "1", b"{}")
        assert not taken
        assert "BadStatusLine" in why
    finally:
        server.shutdown()
        server.server_close()
