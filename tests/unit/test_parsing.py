"""Every format read or refused with a reason, whatever the bytes."""

import csv
import datetime as dt
import io
import unicodedata
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import docx
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odf import opendocument, table, text

from services.ingest.parsing import Limits, ParsedDocument, Unreadable, parse_document

LIMITS = Limits()
KINDS = "pdf docx odt xlsx csv html md mdx eml txt"
NAMES = ["a", *(f"a.{kind}" for kind in KINDS.split())]
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "documents"


def read(data: bytes | str, name: str, media_type: str | None = None) -> ParsedDocument:
    raw = data.encode() if isinstance(data, str) else data
    document = parse_document(raw, name, media_type, LIMITS)
    ends = [0, *(block.end for block in document.blocks)]
    assert all(
        end <= block.start < block.end for end, block in zip(ends, document.blocks, strict=False)
    )
    assert unicodedata.is_normalized("NFC", document.text)
    return document


def blocks(document: ParsedDocument) -> list[tuple[str, int, str]]:
    return [(b.kind, b.level, document.text[b.start : b.end]) for b in document.blocks]


def refusal(data: bytes, name: str, limits: Limits = LIMITS, media_type: str | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        parse_document(data, name, media_type, limits)
    assert caught.value.reason_fr.endswith(".")
    return caught.value.code


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    target = io.BytesIO()
    save(target)
    return target.getvalue()


def word(fill: Callable[[docx.document.Document], object]) -> bytes:
    document = docx.Document()
    fill(document)
    return saved(document.save)


def test_html_main_content_lists_and_tables() -> None:
    document = read(
        """<!doctype html><html><head><title>Aides | Mairie</title>
        <link rel=canonical href="https://exemple.fr/aides"><style>p{}</style></head><body>
        <nav><a href=/>Accueil</a></nav><div style="display: none">caché</div>
        <main><h1>Les aides</h1><p>Un <b>pre</b>mier<br>paragraphe&nbsp;: oui.</p>
        <ul><li>Un</li><li>Deux<ol><li>Deux un</li></ol></li></ul>
        <table><caption>Taux</caption><tr><th>Dépense<th>Taux<th>Plafond</tr>
        <tr><td rowspan=2>Étude</td><td>80 %</td><td>30 000 €</td></tr>
        <tr><td>50 %</td><td></td></tr></table><script>alert(1)</script>
        <h2>Contact</h2><p>Écrivez-nous.</p></main><footer>Mentions</footer></body></html>""",
        "a.html",
    )
    assert (document.title, document.url) == ("Les aides", "https://exemple.fr/aides")
    assert blocks(document) == [
        ("heading", 1, "Les aides"),
        ("paragraph", 0, "Un premier\nparagraphe\u00a0: oui."),
        ("list", 1, "- Un"),
        ("list", 1, "- Deux"),
        ("list", 2, "1. Deux un"),
        ("table", 0, "Taux"),
        ("row", 0, "Dépense : Étude ; Taux : 80 % ; Plafond : 30 000 €"),
        ("row", 0, "Dépense : Étude ; Taux : 50 %"),
        ("heading", 2, "Contact"),
        ("paragraph", 0, "Écrivez-nous."),
    ]


def test_html_nesting_is_bounded() -> None:
    assert refusal(b"<html>" + b"<div>" * 200_000 + b"x", "a.html") == "bomb"


def test_markdown_front_matter_that_is_not_yaml() -> None:
    document = read(
        "---\ntitle: Aide de l'Anah : travaux\nurl: https://exemple.fr/x\n---\n\n# Autre titre\n\n"
        "Un texte\nsur deux lignes.\n\n"
        "| Dépense | Taux |\n|---|---|\n| Audit | 50 % |\n| Étude | 80 % |\n",
        "a.md",
    )
    assert (document.title, document.url) == ("Aide de l'Anah : travaux", "https://exemple.fr/x")
    assert ("row", 0, "Dépense : Étude ; Taux : 80 %") in blocks(document)


def test_mdx_has_no_code() -> None:
    document = read(
        "---\ntitre: 'Éco-prêt'\n---\nimport Carte from '@/carte'\nexport const meta = { a: 1 }\n\n"
        "## Montant\n\n<Carte style={{ color: 'red' }}>Jusqu'à **50 000 €**.</Carte>\n\n"
        "{/* note */}\n\n"
        "- un\n- deux\n",
        "a.mdx",
    )
    assert document.title == "Éco-prêt"
    assert blocks(document) == [
        ("heading", 2, "Montant"),
        ("paragraph", 0, "Jusqu'à 50 000 €."),
        ("list", 1, "- un"),
        ("list", 1, "- deux"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_text_encodings(encoding: str) -> None:
    body = "Éligibilité des écoles\n\nL'aide couvre « 80 % » des études préalables, soit 1 000 €."
    document = read(body.encode(encoding), "note.txt")
    assert document.text == body


def test_text_structure() -> None:
    document = read(
        "GUIDE DES TRAVAUX\n\n1. Dépôt du dossier\n\n"
        "La commune dépose son dossier sur la plateforme du programme avant\n"
        "la date limite, avec la délibération du conseil et un plan de finance-\n"
        "ment complet.\n\nPièces :\n- délibération\n- plan\n",
        "guide.txt",
    )
    assert document.title == "GUIDE DES TRAVAUX"
    assert [kind for kind, _, _ in blocks(document)] == [
        "heading", "heading", "paragraph", "paragraph", "list", "list",
    ]  # fmt: skip
    assert "plan de financement complet." in document.text


def test_docx_headings_lists_and_tables() -> None:
    def fill(document: docx.document.Document) -> None:
        document.add_heading("Règlement", 0)
        document.add_heading("Article 1", 1)
        document.add_paragraph("Le texte de l'article.")
        document.add_paragraph("une pièce", style="List Bullet")
        grid = document.add_table(rows=3, cols=2)
        for row, cells in enumerate([("Dépense", "Taux"), ("Audit", "50 %"), ("Étude", "80 %")]):
            for column, value in enumerate(cells):
                grid.cell(row, column).text = value

    document = read(word(fill), "a.docx")
    assert document.title == "Règlement"
    assert ("heading", 1, "Article 1") in blocks(document)
    assert ("list", 1, "- une pièce") in blocks(document)
    assert blocks(document)[-1] == ("row", 0, "Dépense : Étude ; Taux : 80 %")


def test_odt_headings_lists_and_tables() -> None:
    source = opendocument.OpenDocumentText()
    source.text.addElement(text.H(outlinelevel=1, text="Convention"))
    paragraph = text.P(text="Entre la commune")
    paragraph.addElement(text.LineBreak())
    paragraph.addText("et l'État.")
    source.text.addElement(paragraph)
    items = text.List()
    item = text.ListItem()
    item.addElement(text.P(text="annexe"))
    items.addElement(item)
    source.text.addElement(items)
    grid = table.Table()
    for cells in [("Dépense", "Taux"), ("Audit", "50 %")]:
        row = table.TableRow()
        for value in cells:
            cell = table.TableCell()
            cell.addElement(text.P(text=value))
            row.addElement(cell)
        grid.addElement(row)
    source.text.addElement(grid)
    document = read(saved(source.save), "a.odt")
    assert document.title == "Convention"
    assert blocks(document) == [
        ("heading", 1, "Convention"),
        ("paragraph", 0, "Entre la commune\net l'État."),
        ("list", 1, "- annexe"),
        ("row", 0, "Dépense : Audit ; Taux : 50 %"),
    ]


def test_xlsx_sheets_and_number_formats() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Taux 2026"
    sheet.append(["Barème illustratif"])
    sheet.append(["Dépense", "Taux", "Plafond", "Depuis"])
    sheet.append(["Étude", 0.8, 30000, dt.date(2026, 1, 31)])
    sheet["B3"].number_format = "0%"
    sheet["C3"].number_format = '#,##0 "€"'
    sheet["Z9000"] = None
    document = read(saved(book.save), "bareme-2026.xlsx")
    assert document.title == "bareme 2026"
    assert blocks(document) == [
        ("heading", 1, "Taux 2026"),
        ("paragraph", 0, "Barème illustratif"),
        ("row", 0, "Dépense : Étude ; Taux : 80 % ; Plafond : 30 000 € ; Depuis : 31/01/2026"),
    ]


@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_csv_delimiters_and_quotes(delimiter: str) -> None:
    target = io.StringIO()
    writer = csv.writer(target, delimiter=delimiter)
    writer.writerows([["nom_commune", "Montant"], ["Aix, « sud »; nord", "21 667,00 €"], ["B", ""]])
    document = read(target.getvalue().encode("cp1252"), "liste.csv")
    assert [line for _, _, line in blocks(document)] == [
        "nom commune : Aix, « sud »; nord ; Montant : 21 667,00 €",
        "nom commune : B",
    ]


def test_eml() -> None:
    document = read(
        b"From: Mairie <mairie@exemple.fr>\r\nTo: a@exemple.fr\r\n"
        b"Subject: =?utf-8?q?=C3=89cole?=\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n"
        b"<p>Nos \xe9coles</p><p>Merci</p>\r\n",
        "a.eml",
    )
    assert document.title == "École"
    assert "Nos écoles" in document.text


def bomb(size: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * size)
    return target.getvalue()


def test_zip_bomb_by_declared_size() -> None:
    assert refusal(bomb(20 << 20), "a.docx") == "bomb"
    assert refusal(bomb(4 << 20), "a.docx", Limits(max_expanded=1 << 20)) == "bomb"


def test_zip_bomb_that_lies_about_its_size() -> None:
    data = bytearray(bomb(20 << 20))
    size = (20 << 20).to_bytes(4, "little")
    assert data.count(size) >= 1
    lying = bytes(data).replace(size, (100).to_bytes(4, "little"))
    assert refusal(lying, "a.docx", Limits(max_expanded=1 << 20)) in ("bomb", "broken")


def test_zip_with_too_many_members() -> None:
    def save(target: io.BytesIO) -> None:
        with zipfile.ZipFile(target, "w") as archive:
            for number in range(50):
                archive.writestr(f"{number}.xml", "")

    assert refusal(saved(save), "a.docx", Limits(max_members=20)) == "bomb"


def test_xml_entities_are_refused() -> None:
    original = word(lambda document: document.add_paragraph("texte"))
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(original)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name == "word/document.xml":
                body = body.replace(
                    b"<w:document",
                    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><w:document',
                    1,
                )
            new.writestr(name, body)
    assert refusal(target.getvalue(), "a.docx") == "bomb"


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "a.txt", "empty"),
        (b" \n\n", "a.pdf", "empty"),
        (b"<html><body><script>x</script></body></html>", "a.html", "empty"),
        (b"---\ntitle: Vide\n---\n", "a.md", "empty"),
        (b"\x89PNG\r\n\x1a\n....", "a.png", "unsupported"),
        (b"{\\rtf1 bonjour}", "a.rtf", "unsupported"),
        (b'{"a": 1}', "a.json", "unsupported"),
        (b"- a: 1", "faq.yaml", "unsupported"),
        (b"<?xml version='1.0'?><a/>", "a", "unsupported"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.doc", "unsupported"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "a.docx",
            "encrypted",
        ),
        (b"pas un pdf", "a.pdf", "broken"),
        (b"PK\x03\x04" + bytes(50), "a.docx", "broken"),
        (bytes(range(1, 256)) * 20, "a.txt", "undecodable"),
        (b"\xef\xbb\xbf\xff\xfe", "a.txt", "undecodable"),
    ],
)
def test_refusals(data: bytes, name: str, code: str) -> None:
    assert refusal(data, name) == code


def test_too_large_and_too_long() -> None:
    assert refusal(b"a" * 101, "a.txt", Limits(max_bytes=100)) == "too-large"
    assert refusal(b"mot " * 101, "a.txt", Limits(max_text=100)) == "too-large"
    assert refusal(b"a;b\n" * 101, "a.csv", Limits(max_rows=100)) == "too-large"


def test_content_wins_over_the_name() -> None:
    data = word(lambda document: document.add_paragraph("Un courrier."))
    assert read(data, "courrier.txt", "text/plain").text == "Un courrier."
    assert read("<html><body><p>Page</p></body></html>", "sans-nom").text == "Page"


def test_yaml_is_read_when_its_sender_says_text() -> None:
    assert read("question: oui", "faq.yaml", "text/plain").text == "question: oui"


def test_control_characters_are_dropped() -> None:
    assert read("a\x00b\u200bc\u00ad d\r\ne\u0301", "a.txt", None).text == "abc d\né"


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=300),
    name=st.sampled_from(NAMES),
    start=st.sampled_from(
        [b"", b"%PDF-1.7\n", b"PK\x03\x04", b"<html>", b"---\na: b\n", b"\xff\xfe"]
    ),
)
def test_any_bytes_are_read_or_refused(data: bytes, name: str, start: bytes) -> None:
    with suppress(Unreadable):
        read(start + data, name)


@settings(max_examples=100, deadline=None)
@given(body=st.text(max_size=400), name=st.sampled_from(NAMES))
def test_any_text_is_read_or_refused(body: str, name: str) -> None:
    with suppress(Unreadable):
        read(body.encode("utf-8", "replace"), name)


SOUND = {
    "a.docx": word(lambda document: document.add_heading("Titre").add_run("texte")),
    "a.xlsx": saved(openpyxl.Workbook().save),
}


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(SOUND)), data=st.data())
def test_damaged_containers_are_read_or_refused(name: str, data: st.DataObject) -> None:
    body = bytearray(SOUND[name])
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(body) - 1))
        body[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
        body = body or bytearray(b"x")
    with suppress(Unreadable):
        read(bytes(body), name)


def test_a_damaged_byte_does_not_make_another_encoding() -> None:
    text = "Éligibilité des écoles : études préalables, aidées à 80 %."
    body = text.encode().replace(b"pr\xc3\xa9alables", b"pr\xe9alables")
    assert read(body, "a.txt").text == text.replace("préa", "pr\ufffda")


@pytest.mark.parametrize("member", ["word/document.xml", "[Content_Types].xml", "_rels/.rels"])
def test_damaged_office_files(member: str) -> None:
    original = word(lambda document: document.add_paragraph("texte"))
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(original)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"<broken" if name == member else old.read(name))
    with suppress(Unreadable):
        assert read(target.getvalue(), "a.docx").text == "texte"


@pytest.mark.skipif(not DATA.is_dir(), reason="the real documents are not on this machine")
def test_real_documents_are_read_or_refused() -> None:
    outcomes: dict[str, str] = {}
    for path in sorted(DATA.rglob("*")):
        if path.is_file():
            try:
                outcomes[path.name] = read(path.read_bytes(), path.name).title
            except Unreadable as error:
                outcomes[path.name] = error.code
    refused = {name for name, outcome in outcomes.items() if outcome == "unsupported"}
    assert refused == {"FAQ.yaml", "personas.yaml", "mesaidesreno.model.json"}
    assert outcomes["F1328-part.md"] == "Aide de l'Anah : travaux d'amélioration de l'habitat"
    assert outcomes["certificat_de_travail.docx"] == "Certificat de travail"
