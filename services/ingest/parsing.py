"""From the bytes of a document to its plain text and structure; every refusal has its reason."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from services.ingest.formats import archive, eml, html, markdown, office, pdf, plain, spreadsheet
from services.ingest.formats.model import (
    Block,
    Builder,
    Limits,
    ParsedDocument,
    Unreadable,
    shorten,
)

__all__ = ["Block", "Limits", "ParsedDocument", "Unreadable", "kind_of", "parse_document"]

_BY_EXTENSION = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".docm": "docx",
    ".odt": "odt",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".csv": "csv",
    ".tsv": "csv",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "mdx",
    ".eml": "eml",
    ".txt": "text",
    ".text": "text",
}
_BY_MEDIA_TYPE = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/markdown": "markdown",
    "text/mdx": "mdx",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "message/rfc822": "eml",
}
_BINARY = frozenset(["pdf", "docx", "odt", "xlsx"])
_REFUSED = (
    (b"{\\rtf", "RTF"),
    (b"\x89PNG", "image PNG"),
    (b"\xff\xd8\xff", "image JPEG"),
    (b"GIF8", "image GIF"),
    (b"II*\x00", "image TIFF"),
    (b"MM\x00*", "image TIFF"),
    (b"Rar!", "archive RAR"),
    (b"7z\xbc\xaf", "archive 7z"),
    (b"\x1f\x8b", "archive gzip"),
    (b"SQLite format 3", "base SQLite"),
    (b"\x7fELF", "programme"),
    (b"MZ", "programme"),
)
_STRUCTURED_NAMES = ".json .jsonl .yaml .yml .xml .toml .ini .js .ts .py .css .sql .svg .log .sh"
_STRUCTURED = frozenset(_STRUCTURED_NAMES.split())
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)
_XML = re.compile(rb"\s*<\?xml\b", re.IGNORECASE)
_FRONT = re.compile(rb"---[ \t]*\r?\n[\w-]+[ \t]*:")
_MAIL = re.compile(
    rb"(?:^|\n)(?:From|To|Subject|Date|Received|MIME-Version|Message-ID|Return-Path):",
    re.IGNORECASE,
)
_HEADER_LINE = re.compile(rb"[!-9;-~]+:[ \t]|From ")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

Read = tuple[Builder, str | None, str | None]
"""A filled builder, the title that the file states, its own address."""


def parse_document(
    data: bytes, name: str, media_type: str | None, limits: Limits
) -> ParsedDocument:
    """The text and structure of a document.

    The format is told by the content, then by the name's extension, then by the media type.
    Raises Unreadable with a reason in French. Not thread-safe for PDF beyond its own lock.
    """
    if len(data) > limits.max_bytes:
        size, most = len(data) / 2**20, limits.max_bytes / 2**20
        raise Unreadable(
            f"Le fichier pèse {size:.0f} Mio, la limite est {most:.0f} Mio.", "too-large"
        )
    if not data.strip(b"\x00 \t\r\n"):
        raise Unreadable("Le fichier est vide.", "empty")
    builder, stated, url = _READERS[kind_of(data, name, media_type, limits)](
        data, name, limits, _charset(media_type)
    )
    title = stated or builder.first_heading() or _first_line(builder) or _stem(name)
    return builder.build(title, url)


def kind_of(data: bytes, name: str, media_type: str | None, limits: Limits) -> str:
    """The family of formats; raises Unreadable("unsupported") with what to do instead."""
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _container(data, limits)
    if data.startswith(_OLE):
        raise _ole(data)
    for magic, label in _REFUSED:
        if data.startswith(magic):
            raise _unsupported(f"{label} : envoyez un PDF avec texte, un DOCX, un ODT ou du texte")
    return _textual(data, PurePosixPath(name.lower()).suffix, _essence(media_type))


def _textual(data: bytes, extension: str, media_type: str) -> str:
    known = _BY_EXTENSION.get(extension)
    if known in _BINARY:
        raise Unreadable(
            f"Le contenu n'est pas celui d'un fichier {extension} : endommagé ou mal nommé.",
            "broken",
        )
    if _HTML.match(data[:4096]) and known not in ("markdown", "mdx"):
        return "html"
    if known is not None:
        return known
    if media_type in _BY_MEDIA_TYPE:
        return _BY_MEDIA_TYPE[media_type]
    if (extension in _STRUCTURED or _XML.match(data)) and not media_type.startswith("text/"):
        raise _unsupported(f"données ou programme {extension or 'XML'}, sans texte à citer")
    return _untold(data)


def _untold(data: bytes) -> str:
    """Text whose name says nothing: an e-mail, Markdown with front matter, or plain."""
    if _HEADER_LINE.match(data) and len(_MAIL.findall(data[:4096])) >= 3:
        return "eml"
    return "markdown" if _FRONT.match(data) else "text"


def _container(data: bytes, limits: Limits) -> str:
    names = archive.members(data, limits)
    if "word/document.xml" in names:
        return "docx"
    if "xl/workbook.xml" in names:
        return "xlsx"
    if "content.xml" in names:
        kind = archive.unpack(data, limits).get("mimetype", b"").strip()
        if kind.startswith(b"application/vnd.oasis.opendocument.text"):
            return "odt"
        raise _unsupported("classeur ou présentation OpenDocument : exportez en XLSX ou en PDF")
    if any(member.startswith("ppt/") for member in names):
        raise _unsupported("présentation PowerPoint : exportez-la en PDF")
    raise _unsupported("archive ZIP : envoyez les documents un par un")


def _ole(data: bytes) -> Unreadable:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return Unreadable(
            "Le document est protégé par un mot de passe : retirez la protection.", "encrypted"
        )
    return _unsupported("ancien format Office (.doc, .xls, .msg) : enregistrez en DOCX ou XLSX")


def _unsupported(detail: str) -> Unreadable:
    return Unreadable(f"Format non pris en charge ({detail}).", "unsupported")


def _essence(media_type: str | None) -> str:
    return (media_type or "").partition(";")[0].strip().lower()


def _charset(media_type: str | None) -> str | None:
    found = re.search(r"charset\s*=\s*\"?([\w.:-]{2,40})", media_type or "", re.IGNORECASE)
    return found.group(1) if found else None


def _first_line(builder: Builder) -> str | None:
    line = builder.head.split("\n")[0]
    return line if plain.heading_like(line) else None


def _stem(name: str) -> str:
    """The name without folder and extension, readable."""
    stem = PurePosixPath(name.replace("\\", "/")).stem or name
    return shorten(re.sub(r"[_\s]+|(?<=\w)-(?=\w)", " ", stem), 120) or "Sans titre"


def _html(data: bytes, name: str, limits: Limits, charset: str | None) -> Read:
    builder, page = html.parse(data, name, limits, charset)
    return builder, page.title, page.url


def _markdown(data: bytes, name: str, limits: Limits, charset: str | None) -> Read:
    builder, front = markdown.parse(data, name, limits)
    return builder, front.title, front.url


def _mdx(data: bytes, name: str, limits: Limits, charset: str | None) -> Read:
    builder, front = markdown.parse(data, name, limits, mdx=True)
    return builder, front.title, front.url


def _titled(
    parse: Callable[[bytes, str, Limits], tuple[Builder, str | None]],
) -> Callable[[bytes, str, Limits, str | None], Read]:
    def read(data: bytes, name: str, limits: Limits, charset: str | None) -> Read:
        builder, title = parse(data, name, limits)
        return builder, title, None

    return read


def _untitled(
    parse: Callable[[bytes, str, Limits, str | None], Builder],
) -> Callable[[bytes, str, Limits, str | None], Read]:
    def read(data: bytes, name: str, limits: Limits, charset: str | None) -> Read:
        return parse(data, name, limits, charset), None, None

    return read


def _csv(data: bytes, name: str, limits: Limits, charset: str | None) -> Read:
    # A table's first row is no title.
    return spreadsheet.parse_csv(data, name, limits, charset), _stem(name), None


def _xlsx(data: bytes, name: str, limits: Limits, charset: str | None) -> Read:
    # Nor is a sheet's name.
    builder, title = spreadsheet.parse_xlsx(data, name, limits)
    return builder, title or _stem(name), None


_READERS: dict[str, Callable[[bytes, str, Limits, str | None], Read]] = {
    "pdf": _titled(pdf.parse),
    "docx": _titled(office.parse_docx),
    "odt": _titled(office.parse_odt),
    "xlsx": _xlsx,
    "csv": _csv,
    "html": _html,
    "markdown": _markdown,
    "mdx": _mdx,
    "eml": _titled(eml.parse),
    "text": _untitled(plain.parse),
}
