"""PDF through PDFium: the characters of each page, gathered into segments for `pdf_layout`."""

import ctypes
import threading
from collections.abc import Iterator

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # ships no types
import pypdfium2.raw as raw  # type: ignore[import-untyped]  # ships no types

from services.ingest.formats import pdf_layout
from services.ingest.formats.model import Builder, Limits, Unreadable
from services.ingest.formats.office import usable_title
from services.ingest.formats.pdf_lines import Segment

# PDFium is one library with one state: no two threads may call it at once.
_PDFIUM = threading.Lock()
_GAP = 0.95  # of a line's height: wider than a justified space, narrower than a table's columns
_BOLD = 600
_MARK = 3
# The bullets of Word's Symbol and Wingdings fonts, in the private use area.
_BULLETS = dict.fromkeys(map(ord, "\uf0b7\uf0a7\uf0d8\uf076\uf0fc\uf02d\uf0a8"), "•")


def parse(data: bytes, name: str, limits: Limits) -> tuple[Builder, str | None]:
    """The blocks of a PDF with their pages, and the title in its properties.

    Raises Unreadable: encrypted, broken, too long, or without a text layer.
    """
    with _PDFIUM:
        document = _open(data)
        try:
            pages = _pages(document, limits)
            title = (document.get_metadata_value("Title") or "").strip()
        except (pdfium.PdfiumError, ValueError, OverflowError) as error:
            raise _broken() from error
        finally:
            document.close()
    if not any(pages):
        raise Unreadable(
            f"Le PDF ({len(pages)} page(s)) ne contient pas de texte : il est sans doute numérisé. "
            "Passez-le à la reconnaissance de caractères (OCR) puis renvoyez-le.",
            "no-text",
        )
    builder = Builder(limits)
    pdf_layout.add_pages(builder, pages)
    return builder, title if usable_title(title) else None


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise Unreadable(
                "Le PDF est protégé par un mot de passe : retirez la protection.", "encrypted"
            ) from error
        raise _broken() from error


def _broken() -> Unreadable:
    return Unreadable(
        "Le PDF est endommagé et n'a pas pu être ouvert : exportez-le de nouveau.", "broken"
    )


def _pages(document: pdfium.PdfDocument, limits: Limits) -> list[list[Segment]]:
    count = len(document)
    if count > limits.max_pages:
        raise Unreadable(
            f"Le PDF compte {count} pages, la limite est {limits.max_pages} : découpez-le.",
            "too-large",
        )
    pages: list[list[Segment]] = []
    left = limits.max_text
    for index in range(count):
        page = document[index]
        text_page = page.get_textpage()
        try:
            left -= text_page.count_chars()
            if left < 0:
                raise Unreadable(
                    f"Le texte du PDF dépasse {limits.max_text} caractères : découpez-le.",
                    "too-large",
                )
            pages.append(list(_segments(text_page)))
        finally:
            text_page.close()
            page.close()
    return pages


def _segments(text_page: pdfium.PdfTextPage) -> Iterator[Segment]:
    """Runs of characters of one line without a wide gap, in the order of the content."""
    box = raw.FS_RECTF()
    current: Segment | None = None
    spaced = False
    for index in range(text_page.count_chars()):
        character = chr(raw.FPDFText_GetUnicode(text_page, index))
        if character in "\r\n":
            if current is not None:
                yield current
            current, spaced = None, False
            continue
        if character in "\x02\ufffe":  # PDFium's mark of a hyphen at the end of a line
            character = "-"
        if character.isspace() or character == "\x00":
            spaced = True
            continue
        raw.FPDFText_GetLooseCharBox(text_page, index, ctypes.byref(box))
        if current is not None and not _continues(current, box):
            yield current
            current = None
        if current is None:
            bold = _is_bold(text_page, index)
            current = Segment("", box.left, box.bottom, box.right, box.top, bold)
            spaced = False
        elif len(current.text) <= _MARK:
            # A list mark may be larger or smaller than the line that it begins.
            current.bottom, current.top = box.bottom, box.top
        current.text += (" " if spaced else "") + character.translate(_BULLETS)
        current.right = max(current.right, box.right)
        spaced = False
    if current is not None:
        yield current


def _is_bold(text_page: pdfium.PdfTextPage, index: int) -> bool:
    name = ctypes.create_string_buffer(100)
    raw.FPDFText_GetFontInfo(text_page, index, name, len(name), None)
    return b"bold" in name.value.lower() or raw.FPDFText_GetFontWeight(text_page, index) >= _BOLD


def _continues(segment: Segment, box: raw.FS_RECTF) -> bool:
    height = max(segment.top - segment.bottom, 1.0)
    level = min(segment.top, box.top) - max(segment.bottom, box.bottom)
    near = -2 * height < box.left - segment.right < _GAP * height
    return bool(near and level > 0.3 * min(height, max(box.top - box.bottom, 1.0)))
