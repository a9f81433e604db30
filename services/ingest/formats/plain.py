"""Plain text: decoding, hard-wrapped lines joined again, headings guessed from their form."""

import codecs
import re

from charset_normalizer import from_bytes

from services.ingest.formats.model import Builder, Limits, Unreadable, clean

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Only what a French administration may still hold: a wider search mistakes short French texts
# for Central European ones.
_LEGACY = ["cp1252", "mac_roman", "cp850", "cp1250", "iso8859_15"]
_SAMPLE = 65_536
_FEW = 4
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x80-\x9f]")
_BULLET = re.compile(r"(?:[-*•–‣▪◦·●○■□►➢✓]|[a-z]\)|\d{1,2}[.)]°?)\s+(?=\S)")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2})*)[.)]?\s+(?=[^\W\d_])")
_UNDERLINE = re.compile(r"(=|-|~|\*)\1{2,}$")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n+")
_MAX_HEADING = 90


def decode(data: bytes, declared: str | None = None) -> str:
    """Text of unknown encoding: byte order mark, UTF-8, the declared name, then detection."""
    for bom, marked in _BOMS:
        if data.startswith(bom):
            return _strict(data, marked)
    for encoding in ("utf-8", _wide(data), declared):
        if encoding:
            try:
                return _checked(data.decode(encoding))
            except (UnicodeDecodeError, LookupError):
                continue
    mended = data.decode("utf-8", "replace")
    wrong = mended.count("\ufffd")
    if _beyond_ascii(mended) - wrong > _FEW * wrong:
        return _checked(mended)  # UTF-8 with a few bytes damaged, not another encoding
    return _checked(_detected(data))


def _beyond_ascii(text: str) -> int:
    return sum(not character.isascii() for character in text)


def _strict(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable() from error


def _wide(data: bytes) -> str | None:
    """UTF-16 without its mark: in Latin text every other byte is zero."""
    head = data[:4096]
    if len(head) < 8 or b"\x00" not in head:
        return None
    even, odd = head[::2].count(0) * 2 / len(head), head[1::2].count(0) * 2 / len(head)
    if odd > 0.6 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 and odd < 0.1 else None


def _detected(data: bytes) -> str:
    best = from_bytes(data[:_SAMPLE], cp_isolation=_LEGACY).best()
    candidates = [best.encoding] if best else []
    for encoding in ["cp1252", *candidates]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _undecodable()


def _checked(text: str) -> str:
    """Refuse what decodes but is no text: binary data full of control characters."""
    sample = text[:_SAMPLE]
    if len(_CONTROL.findall(sample)) > max(2, len(sample) // 200):
        raise _undecodable()
    return text


def _undecodable() -> Unreadable:
    return Unreadable(
        "Le texte n'a pas pu être décodé : enregistrez le fichier en UTF-8.", "undecodable"
    )


def unwrap(text: str) -> str:
    """Join the lines of a paragraph that was wrapped at a fixed width; keep other lines."""
    lines = text.split("\n")
    if len(lines) < 2:
        return text
    longest = max(map(len, lines))
    full = all(len(line) >= 0.62 * longest for line in lines[:-1])
    marked = any(_BULLET.match(line) for line in lines[1:])
    if not full or marked or not 38 <= longest <= 120:
        return text
    joined = lines[0]
    for line in lines[1:]:
        joined = join_lines(joined, line)
    return joined


def join_lines(first: str, second: str) -> str:
    """Two lines of one sentence; a word hyphenated at the end of the line is repaired."""
    if re.search(r"[^\W\d_]{2}[-\u2010\u00ad]$", first) and second[:1].islower():
        return first[:-1] + second
    return f"{first} {second}"


def heading_like(line: str) -> bool:
    """A short line that starts like a title and does not end like a sentence."""
    line = line.strip()
    letters = sum(character.isalpha() for character in line)
    if not 2 <= len(line) <= _MAX_HEADING or letters < 0.5 * len(line.replace(" ", "")):
        return False
    if line[-1] in ".,;:…»" or (bullet(line) and not _NUMBERED.match(line)):
        return False
    return line[0].isupper() or bool(_NUMBERED.match(line))


def heading_level(line: str, default: int = 2) -> int:
    """The depth that a heading's own numbering says: « 2.1 Dépenses » is one below « 2 … »."""
    numbered = _NUMBERED.match(line)
    return min(6, default + numbered.group(1).count(".")) if numbered else default


def bullet(line: str) -> str | None:
    """The item's text without its mark, None when the line is no list item."""
    mark = _BULLET.match(line)
    return line[mark.end() :] if mark else None


def parse(data: bytes, name: str, limits: Limits, charset: str | None = None) -> Builder:
    """A builder filled with the paragraphs, list items and guessed headings of a text file."""
    builder = Builder(limits)
    add_text(builder, decode(data, charset))
    return builder


def add_text(builder: Builder, text: str) -> None:
    """Add the paragraphs, list items and guessed headings of plain text."""
    paragraphs = [part for part in _PARAGRAPHS.split(clean(text)) if part]
    # A text that is mostly short lines is a list or a form, not a set of headings.
    prose = sum(len(part) for part in paragraphs if len(part) > _MAX_HEADING) * 2 > sum(
        map(len, paragraphs)
    )
    for index, paragraph in enumerate(paragraphs):
        lines = paragraph.split("\n")
        alone = len(lines) == 1 and index + 1 < len(paragraphs) and prose
        if len(lines) == 2 and _UNDERLINE.match(lines[1]) and lines[0]:
            builder.add("heading", lines[0], 1 if lines[1][0] == "=" else 2)
        elif alone and heading_like(paragraph):
            builder.add("heading", paragraph, heading_level(paragraph))
        elif prose and _begins_with_heading(lines):
            builder.add("heading", lines[0], heading_level(lines[0]))
            add_paragraph(builder, "\n".join(lines[1:]))
        else:
            add_paragraph(builder, paragraph)


def _begins_with_heading(lines: list[str]) -> bool:
    """A numbered or capital line straight above its text; numbered lines alone are a list."""
    first = lines[0]
    if len(lines) < 2 or not heading_like(first) or _NUMBERED.match(lines[1]):
        return False
    return bool(_NUMBERED.match(first)) or first.partition("(")[0].isupper()


def add_paragraph(builder: Builder, paragraph: str) -> None:
    """Add a paragraph, or its list items when its lines carry list marks."""
    prose: list[str] = []
    for line in unwrap(paragraph).split("\n"):
        if bullet(line) is None:
            prose.append(line)
            continue
        builder.add("paragraph", "\n".join(prose))
        prose = []
        builder.add("list", line, 1)
    builder.add("paragraph", "\n".join(prose))
