"""Blocks → PDF with reportlab: pages with header and footer, bookmarks, tables."""

import io
import re
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)

from examples.sources.blocks import Block

_SHEET = getSampleStyleSheet()
_BODY = ParagraphStyle("body", parent=_SHEET["BodyText"], fontSize=11, leading=16, spaceAfter=7)
_NOTE = ParagraphStyle(
    "note", parent=_BODY, fontName="Helvetica-Oblique", backColor=colors.whitesmoke, borderPadding=6
)
_ITEM = ParagraphStyle("item", parent=_BODY, leftIndent=14, bulletIndent=2)
_HEADINGS = {
    level: ParagraphStyle(f"Heading{level}", parent=_SHEET[f"Heading{level}"], keepWithNext=1)
    for level in (1, 2, 3)
}
_CELL = ParagraphStyle("cell", parent=_BODY, fontSize=9.5, leading=12, spaceAfter=0)
_HEAD = ParagraphStyle("head", parent=_CELL, fontName="Helvetica-Bold")
_TABLE = [
    ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
    ("BACKGROUND", (0, 0), (-1, 0), colors.lightgrey),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]


class _Document(BaseDocTemplate):  # type: ignore[misc]  # reportlab has no types
    """Adds a bookmark for every heading as it is laid out."""

    def afterFlowable(self, flowable: Flowable) -> None:
        style = getattr(flowable, "style", None)
        if style is None or not style.name.startswith("Heading"):
            return
        text = flowable.getPlainText()
        self.canv.bookmarkPage(text)
        self.canv.addOutlineEntry(text, text, level=int(style.name[-1]) - 1)


def _table(rows: tuple[tuple[str, ...], ...]) -> Table:
    cells = [
        [Paragraph(escape(c), _CELL if i else _HEAD) for c in row] for i, row in enumerate(rows)
    ]
    columns = len(rows[0])
    first = 17 * cm * (0.34 if columns > 3 else 0.5)
    widths = [first, *[(17 * cm - first) / (columns - 1)] * (columns - 1)]
    return Table(cells, colWidths=widths, repeatRows=1, style=_TABLE, spaceBefore=4, spaceAfter=8)


def _flowables(blocks: list[Block]) -> list[Flowable]:
    story: list[Flowable] = []
    number = 0
    for block in blocks:
        number = number + 1 if block.kind == "number" else 0
        # French puts a no-break space before these, so that none starts a line.
        text = re.sub(r" ([:;?!»%€])", "\u00a0\\1", escape(block.text))
        match block.kind:
            case "heading":
                story.append(Paragraph(text, _HEADINGS[block.level]))
            case "note":
                story += [Paragraph(text, _NOTE), Spacer(1, 8)]
            case "paragraph":
                story.append(Paragraph(text, _BODY))
            case "bullet" | "number":
                story.append(Paragraph(text, _ITEM, bulletText=f"{number}." if number else "•"))
            case "table":
                story.append(_table(block.rows))
    return story


def write_pdf(blocks: list[Block]) -> bytes:
    """An A4 PDF with a text layer, titled by its first heading; same blocks, same bytes."""
    title = blocks[0].text

    def furniture(canvas: Canvas, document: Any) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(2 * cm, A4[1] - 1.2 * cm, title)
        canvas.drawRightString(A4[0] - 2 * cm, 1.2 * cm, f"Page {document.page}")

    out = io.BytesIO()
    document = _Document(
        out,
        pagesize=A4,
        title=title,
        author="Démonstration de Sourcier",
        subject="Document illustratif",
        lang="fr",
        invariant=1,
    )
    frame = Frame(2 * cm, 2 * cm, 17 * cm, A4[1] - 4 * cm, id="page")
    document.addPageTemplates(PageTemplate(frames=[frame], onPage=furniture))
    document.build(_flowables(blocks))
    return out.getvalue()
