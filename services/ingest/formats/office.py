"""DOCX through mammoth's HTML, ODT from its content.xml; both without DTDs or entities."""

import logging
import re
from xml.etree.ElementTree import Element, ParseError

import mammoth
from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]  # ships no types
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]  # ships no types

from services.ingest.formats import archive, html, tables
from services.ingest.formats.model import Builder, Limits, Unreadable

_STYLES = "\n".join(
    [
        "p[style-name='Title'] => h1:fresh",
        "p[style-name='Titre'] => h1:fresh",
        "p[style-name='Subtitle'] => p:fresh",
        *(f"p[style-name='Titre {level}'] => h{level}:fresh" for level in range(1, 7)),
        "p[style-name='List Bullet'] => ul > li:fresh",
        "p[style-name='List Number'] => ol > li:fresh",
    ]
)
_EMPTY_TITLES = re.compile(
    r"^(?:\(|microsoft word\b|anonymous\b|untitled\b|sans titre\b|document\d*\b)", re.IGNORECASE
)
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_MAX_REPEAT = 100


def parse_docx(data: bytes, name: str, limits: Limits) -> tuple[Builder, str | None]:
    """The blocks of a Word file and the title in its properties."""
    content = archive.unpack(data, limits)
    _check_depth(content.get("word/document.xml", b""), limits)
    try:
        page = mammoth.convert_to_html(
            archive.repack(content),
            style_map=_STYLES,
            convert_image=mammoth.images.img_element(lambda image: {"src": ""}),
            ignore_empty_paragraphs=True,
        ).value
    except Unreadable:
        raise
    except Exception as error:  # mammoth raises whatever its XML reader and its maps raise
        logging.getLogger(__name__).info("mammoth failed: %s", type(error).__name__)
        raise archive.broken() from error
    builder, _ = html.parse_text(page, limits)
    return builder, property_title(content.get("docProps/core.xml"))


def property_title(properties: bytes | None) -> str | None:
    """dc:title of an office file's properties when an author has set it."""
    if not properties:
        return None
    try:
        found = xml(properties).iter(_DC_TITLE)
    except Unreadable:
        return None
    title = next((node.text or "" for node in found), "").strip()
    return title if usable_title(title) else None


def usable_title(title: str | None) -> bool:
    """Whether a title in a file's properties was meant for readers."""
    if not title or len(title.strip()) < 4 or _EMPTY_TITLES.match(title.strip()):
        return False
    return not re.search(r"\.(?:docx?|odt|pdf|indd|xlsx?|pptx?|tmp)$", title.strip(), re.IGNORECASE)


def xml(body: bytes) -> Element:
    """Parsed without DTDs and entities; raises Unreadable."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise archive.broken() from error
    return root


def parse_odt(data: bytes, name: str, limits: Limits) -> tuple[Builder, str | None]:
    """The blocks of an OpenDocument text and the title in its properties."""
    content = archive.unpack(data, limits)
    if b"encryption-data" in content.get("META-INF/manifest.xml", b""):
        raise Unreadable(
            "Le document est protégé par un mot de passe : retirez la protection.", "encrypted"
        )
    _check_depth(content.get("content.xml", b""), limits)
    builder = Builder(limits)
    for body in xml(content.get("content.xml", b"")).iter(f"{_OFFICE}text"):
        _add_odt(builder, body, 0)
    return builder, property_title(content.get("meta.xml"))


def _check_depth(body: bytes, limits: Limits) -> None:
    """Readers of XML trees recurse: bound the depth before they start."""
    depth = 0
    for tag in re.finditer(rb"<(/?)[A-Za-z][^<>]*?(/?)>", body):
        depth += -1 if tag.group(1) else 0 if tag.group(2) else 1
        if depth > min(200, limits.max_nesting):
            raise Unreadable("Le document imbrique trop d'éléments : fichier refusé.", "bomb")


def _add_odt(builder: Builder, node: Element, depth: int) -> None:
    for child in node:
        if child.tag == f"{_TEXT}h":
            level = child.get(f"{_TEXT}outline-level", "1")
            builder.add("heading", _odt_text(child), min(6, int(level) if level.isdecimal() else 1))
        elif child.tag == f"{_TEXT}p":
            builder.add("paragraph", _odt_text(child))
        elif child.tag == f"{_TEXT}list":
            _add_odt_list(builder, child, depth + 1)
        elif child.tag == f"{_TABLE}table":
            _add_odt_table(builder, child)
        elif child.tag == f"{_TEXT}section":
            _add_odt(builder, child, depth)


def _add_odt_list(builder: Builder, node: Element, depth: int) -> None:
    for item in node:
        mark = "- "
        for child in item:
            if child.tag == f"{_TEXT}list":
                _add_odt_list(builder, child, depth + 1)
            elif child.tag == f"{_TEXT}h":
                _add_odt(builder, item, depth)
            elif child.tag == f"{_TEXT}p" and (text := _odt_text(child).strip()):
                builder.add("list", mark + text, depth)
                mark = ""


def _add_odt_table(builder: Builder, table: Element) -> None:
    heads = {id(row) for rows in table.iter(f"{_TABLE}table-header-rows") for row in rows}
    header: list[str] | None = None
    rows: list[list[str]] = []
    for line in table.iter(f"{_TABLE}table-row"):
        row: list[str] = []
        for cell in line:
            if cell.tag in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
                text = " ".join(_odt_text(part) for part in cell.iter(f"{_TEXT}p"))
                repeat = cell.get(f"{_TABLE}number-columns-repeated", "1")
                times = min(int(repeat), _MAX_REPEAT) if repeat.isdecimal() else 1
                row += [tables.cell_text(text)] * times
        if id(line) in heads and header is None:
            header = row
        else:
            rows.append(row)
    tables.add_table(builder, rows, header)


def _odt_text(node: Element) -> str:
    """A paragraph's text: spaces, tabs, line breaks are elements; notes and comments left out."""
    parts = [node.text or ""]
    for child in node:
        if child.tag == f"{_TEXT}s":
            parts.append(" ")
        elif child.tag == f"{_TEXT}tab":
            parts.append("\t")
        elif child.tag == f"{_TEXT}line-break":
            parts.append("\n")
        elif child.tag not in (f"{_TEXT}note", f"{_OFFICE}annotation"):
            parts.append(_odt_text(child))
        parts.append(child.tail or "")
    return "".join(parts)
