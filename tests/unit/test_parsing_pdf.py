"""PDF: pages, headings, repaired words, tables row by row, and refusals."""

import io

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # ships no types
import pytest
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    ListFlowable,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from services.ingest.parsing import Limits, ParsedDocument, Unreadable, parse_document

LIMITS = Limits()
STYLES = getSampleStyleSheet()
PROSE = (
    "Le programme accompagne les collectivités dans la rénovation des bâtiments scolaires, de la "
    "maternelle à l'université, et finance une partie des études préalables. Les travaux doivent "
    "réduire la consommation d'énergie d'au moins quarante pour cent."
)


def build(story: list[object], **options: object) -> bytes:
    target = io.BytesIO()
    SimpleDocTemplate(target, pagesize=A4, **options).build(story)
    return target.getvalue()


def read(data: bytes, name: str = "guide.pdf") -> ParsedDocument:
    return parse_document(data, name, "application/pdf", LIMITS)


def lines(document: ParsedDocument, kind: str) -> list[str]:
    return [document.text[b.start : b.end] for b in document.blocks if b.kind == kind]


def table(rows: list[list[str]]) -> Table:
    return Table(rows, style=TableStyle([("GRID", (0, 0), (-1, -1), 0.5, "black")]))


@pytest.fixture(scope="module")
def guide() -> ParsedDocument:
    cell = STYLES["BodyText"]
    story = [
        Paragraph("Guide du programme", STYLES["Title"]),
        Paragraph("1. Dépenses prises en charge", STYLES["Heading2"]),
        Paragraph(PROSE, cell),
        Spacer(1, 12),
        table(
            [
                ["Type de dépense", "Taux", "Plafond"],
                ["Étude préalable", "80 %", "30 000 €"],
                ["Audit énergétique", "50 %", "15 000 €"],
                [Paragraph("Assistance à maîtrise d'ouvrage de longue durée", cell), "30 %", ""],
                ["Travaux", "20 %", "400 000 €"],
            ]
        ),
        PageBreak(),
        Paragraph("2. Calendrier", STYLES["Heading2"]),
        Paragraph(PROSE, cell),
        ListFlowable(
            [Paragraph("Dépôt en mars", cell), Paragraph("Réponse en mai", cell)],
            bulletType="bullet",
        ),
    ]
    return read(build(story))


def test_headings_paragraphs_and_title(guide: ParsedDocument) -> None:
    assert guide.title == "Guide du programme"
    assert lines(guide, "heading") == [
        "Guide du programme",
        "1. Dépenses prises en charge",
        "2. Calendrier",
    ]
    assert lines(guide, "paragraph")[0] == PROSE
    assert [line[1:].strip() for line in lines(guide, "list")] == [
        "Dépôt en mars",
        "Réponse en mai",
    ]


def test_blocks_know_their_page(guide: ParsedDocument) -> None:
    assert [page for page, _, _ in guide.pages] == [1, 2]
    for number, start, end in guide.pages:
        assert all(b.page == number for b in guide.blocks if start <= b.start < end)
    second = guide.pages[1]
    assert guide.text[second[1] : second[2]].startswith("2. Calendrier")


def test_table_rows_name_their_columns(guide: ParsedDocument) -> None:
    rows = lines(guide, "row")
    assert "Type de dépense : Étude préalable ; Taux : 80 % ; Plafond : 30 000 €" in rows
    assert "Type de dépense : Travaux ; Taux : 20 % ; Plafond : 400 000 €" in rows
    assert any("longue durée" in row and "30 %" in row for row in rows)


def test_two_columns_are_read_one_after_the_other() -> None:
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4)
    for side, word in ((60, "gauche"), (320, "droite")):
        text = canvas.beginText(side, 780)
        for number in range(20):
            text.textLine(f"Ligne {number} de la colonne {word} du texte")
        canvas.drawText(text)
    canvas.save()
    text = read(target.getvalue()).text
    assert text.index("Ligne 19 de la colonne gauche") < text.index("Ligne 0 de la colonne droite")


def test_hyphenated_words_and_running_headers() -> None:
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4)
    for page in range(1, 5):
        canvas.drawString(60, 810, "Collectivité de démonstration")
        text = canvas.beginText(60, 760)
        text.textLine(f"Le contenu de la page {page} porte sur la réno-")
        text.textLine("vation des écoles et des collèges.")
        canvas.drawText(text)
        canvas.drawString(280, 30, f"{page}")
        canvas.showPage()
    canvas.save()
    document = read(target.getvalue())
    assert "rénovation des écoles" in document.text
    assert "Collectivité de démonstration" not in document.text
    assert len(document.pages) == 4


def test_sentence_goes_on_over_the_page() -> None:
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4)
    canvas.drawString(60, 700, "Une première phrase entière. Puis le dossier doit être déposé")
    canvas.showPage()
    canvas.drawString(60, 700, "avant le 30 juin par la commune.")
    canvas.save()
    document = read(target.getvalue())
    assert "doit être déposé avant le 30 juin" in document.text
    assert [document.text[start:end][:12] for _, start, end in document.pages] == [
        "Une première",
        "avant le 30 ",
    ]


def test_encrypted() -> None:
    data = build([Paragraph(PROSE, STYLES["BodyText"])], encrypt=StandardEncryption("secret"))
    with pytest.raises(Unreadable, match="mot de passe") as refusal:
        read(data)
    assert refusal.value.code == "encrypted"


def test_scan_has_no_text() -> None:
    document = pdfium.PdfDocument.new()
    document.new_page(595, 842)
    target = io.BytesIO()
    document.save(target)
    with pytest.raises(Unreadable, match="OCR") as refusal:
        read(target.getvalue())
    assert refusal.value.code == "no-text"


@pytest.mark.parametrize("keep", [20, 400, 1500])
def test_cut_short_is_broken_or_read(keep: int) -> None:
    data = build([Paragraph(PROSE, STYLES["BodyText"])])
    with pytest.raises(Unreadable) as refusal:
        read(data[:keep])
    assert refusal.value.code in ("broken", "no-text")


def test_too_many_pages() -> None:
    data = build(
        [Paragraph("Texte", STYLES["BodyText"]), PageBreak(), Paragraph("b", STYLES["BodyText"])]
    )
    with pytest.raises(Unreadable, match="2 pages"):
        parse_document(data, "a.pdf", None, Limits(max_pages=1))
