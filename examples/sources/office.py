"""Blocks → DOCX and ODT, rows → XLSX, with fixed dates so that a rebuild gives the same bytes."""

import io
import re
import zipfile
from datetime import datetime

from docx import Document
from odf import dc, meta, style, table, text
from odf.opendocument import OpenDocumentText
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font

from examples.sources.blocks import Block

_DATE = datetime(2026, 9, 1, 9, 0, 0)
_STAMP = _DATE.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
_DATES = re.compile(
    rb"(<(dcterms:modified|dcterms:created|meta:creation-date|dc:date)\b[^>]*>)[^<]*(</)"
)
_AUTHOR = "Démonstration de Sourcier"


def _fixed(archive: bytes) -> bytes:
    # The libraries stamp entries and core properties with the current time; put ours instead.
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename in ("docProps/core.xml", "meta.xml"):
                content = _DATES.sub(rb"\g<1>" + _STAMP + rb"\g<3>", content)
            fixed = zipfile.ZipInfo(entry.filename, _DATE.timetuple()[:6])
            # OpenDocument wants its first entry, mimetype, stored uncompressed.
            fixed.compress_type = (
                zipfile.ZIP_STORED if entry.filename == "mimetype" else zipfile.ZIP_DEFLATED
            )
            new.writestr(fixed, content)
    return out.getvalue()


def write_docx(blocks: list[Block]) -> bytes:
    """A Word document with the built-in heading, list and table styles."""
    document = Document()
    document.core_properties.title = blocks[0].text
    document.core_properties.author = _AUTHOR
    document.core_properties.language = "fr-FR"
    styles = {
        "note": "Intense Quote",
        "paragraph": "Normal",
        "bullet": "List Bullet",
        "number": "List Number",
    }
    for block in blocks:
        if block.kind == "heading":
            document.add_heading(block.text, level=block.level)
        elif block.kind == "table":
            grid = document.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
            for row in block.rows:
                for cell, value in zip(grid.add_row().cells, row, strict=True):
                    cell.text = value
        else:
            document.add_paragraph(block.text, style=styles[block.kind])
    out = io.BytesIO()
    document.save(out)
    return _fixed(out.getvalue())


def _odt_table(rows: tuple[tuple[str, ...], ...]) -> table.Table:
    grid = table.Table()
    grid.addElement(table.TableColumn(numbercolumnsrepeated=len(rows[0])))
    for row in rows:
        line = table.TableRow()
        for value in row:
            cell = table.TableCell(valuetype="string")
            cell.addElement(text.P(text=value))
            line.addElement(cell)
        grid.addElement(line)
    return grid


def write_odt(blocks: list[Block]) -> bytes:
    """An OpenDocument text with outline levels and real lists."""
    document = OpenDocumentText()
    document.meta.addElement(dc.Title(text=blocks[0].text))
    document.meta.addElement(meta.CreationDate(text=_STAMP.decode()))
    headings = {}
    for level, size in ((1, "18pt"), (2, "14pt"), (3, "12pt")):
        headings[level] = style.Style(
            name=f"Heading_20_{level}", displayname=f"Heading {level}", family="paragraph"
        )
        headings[level].addElement(style.TextProperties(fontsize=size, fontweight="bold"))
        document.styles.addElement(headings[level])
    items: text.List | None = None
    for block in blocks:
        if block.kind in ("bullet", "number"):
            if items is None:
                items = text.List()
                document.text.addElement(items)
            item = text.ListItem()
            item.addElement(text.P(text=block.text))
            items.addElement(item)
            continue
        items = None
        if block.kind == "heading":
            document.text.addElement(
                text.H(outlinelevel=block.level, stylename=headings[block.level], text=block.text)
            )
        elif block.kind == "table":
            document.text.addElement(_odt_table(block.rows))
        else:
            document.text.addElement(text.P(text=block.text))
    out = io.BytesIO()
    document.save(out)
    return _fixed(out.getvalue())


def write_xlsx(rows: list[list[str]]) -> bytes:
    """A workbook of one sheet: a bold, frozen header row and one row per entry."""
    book = Workbook()
    book.properties.title = "Guichets régionaux EduRénov (document illustratif)"
    book.properties.creator = _AUTHOR
    sheet = book.worksheets[0]
    sheet.title = "Guichets régionaux"
    for row in rows:
        sheet.append(row)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
        cell.alignment = Alignment(wrap_text=True)
    for column, width in zip("ABCDEF", (34, 24, 40, 16, 38, 30), strict=True):
        sheet.column_dimensions[column].width = width
    sheet.freeze_panes = "A2"
    out = io.BytesIO()
    book.save(out)
    return _fixed(out.getvalue())
