"""From the segments of PDF pages to paragraphs, headings and table rows. Lengths in points."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.ingest.formats import tables
from services.ingest.formats.model import Builder
from services.ingest.formats.pdf_lines import Cell, Line, Segment, lines_of
from services.ingest.formats.plain import bullet, heading_like

_MAX_HEADING = 140
_HEADING_SIZE = 1.12
_EDGE_LINES = 2
_MIN_PAGES = 2
_COLUMN_ROWS = 6
_COLUMN_WIDTH = 30
_DIGITS = re.compile(r"\d+")
_SENTENCE_END = re.compile(r"[.!?:;»)]$")
_PAGE_NUMBER = re.compile(r"(?:page\s*)?\d{1,4}(?:\s*(?:/|sur)\s*\d{1,4})?$", re.IGNORECASE)


@dataclass(slots=True)
class Style:
    """The document's body size, its heading sizes from the largest, and whether bold stands out."""

    body: float
    sizes: list[float] = field(default_factory=list)
    bold_stands_out: bool = True

    def level(self, lines: Sequence[Segment]) -> int:
        """The heading level of a paragraph, 0 when it is none."""
        text = " ".join(line.text for line in lines)
        height = min(line.height for line in lines)
        if len(text) > _MAX_HEADING or len(lines) > 3 or not any(map(str.isalpha, text)):
            return 0
        if height >= _HEADING_SIZE * self.body:
            nearest = min(self.sizes, key=lambda size: abs(size - height), default=height)
            return min(4, 1 + self.sizes.index(nearest)) if self.sizes else 1
        bold = self.bold_stands_out and all(line.bold for line in lines)
        return min(5, len(self.sizes) + 1) if bold and heading_like(text) else 0


def add_pages(builder: Builder, pages: Sequence[Sequence[Segment]]) -> None:
    """Add all pages to the builder, without running headers, footers and page numbers."""
    style = _style(pages)
    laid_out = [lines_of(page) for page in pages]
    repeated = _repeated(laid_out)
    header: Line | None = None
    for number, lines in enumerate(laid_out, start=1):
        builder.page(number)
        kept = [line for index, line in enumerate(lines) if not _furniture(lines, index, repeated)]
        header = _add_page(builder, kept, style, header)


def _style(pages: Sequence[Sequence[Segment]]) -> Style:
    sizes: Counter[float] = Counter()
    bold = total = 0
    for segment in (segment for page in pages for segment in page):
        sizes[round(segment.height * 2) / 2] += len(segment.text)
        total += len(segment.text)
        bold += len(segment.text) if segment.bold else 0
    body = sizes.most_common(1)[0][0]
    larger: list[float] = []
    for size in sorted((size for size in sizes if size >= _HEADING_SIZE * body), reverse=True):
        if not larger or larger[-1] > 1.06 * size:
            larger.append(size)
    return Style(body, larger[:4], bold_stands_out=bold < 0.4 * total)


def _edge(lines: Sequence[Line], index: int) -> bool:
    width = min(_EDGE_LINES, len(lines) // 4)
    return index < width or index >= len(lines) - width


def _key(line: Line) -> str:
    return _DIGITS.sub("#", " ".join(cell.text for cell in line.cells))


def _repeated(pages: Sequence[Sequence[Line]]) -> set[str]:
    """First and last lines that come back on most pages, figures apart."""
    if len(pages) < _MIN_PAGES:
        return set()
    seen: Counter[str] = Counter()
    for lines in pages:
        seen.update({_key(line) for index, line in enumerate(lines) if _edge(lines, index)})
    return {key for key, count in seen.items() if count >= max(_MIN_PAGES, 0.6 * len(pages))}


def _furniture(lines: Sequence[Line], index: int, repeated: set[str]) -> bool:
    line = lines[index]
    if not _edge(lines, index):
        return False
    return _key(line) in repeated or bool(_PAGE_NUMBER.match(line.cells[0].text.strip("- –—")))


def _add_page(
    builder: Builder, lines: list[Line], style: Style, header: Line | None
) -> Line | None:
    """Add a page's lines; returns the header of the last table, which may go on overleaf."""
    position = 0
    first = True
    while position < len(lines):
        end = position + 1
        wide = len(lines[position].cells) > 1
        while end < len(lines) and (len(lines[end].cells) > 1) == wide:
            end += 1
        run = lines[position:end]
        if wide and not _is_columns(run):
            header = _add_rows(builder, run, header)
        else:
            segments = _columns(run) if wide else [line.segment for line in run]
            _add_text(builder, segments, style, continued=first)
        first = False
        position = end
    return header


def _is_columns(run: Sequence[Line]) -> bool:
    """Two columns of prose whose lines alternate in the file."""
    if len(run) < _COLUMN_ROWS or any(len(line.cells) != 2 for line in run):
        return False
    sides = zip(*((cell.text for cell in line.cells) for line in run), strict=True)
    return all(sum(map(len, side)) / len(run) > _COLUMN_WIDTH for side in sides)


def _columns(run: Sequence[Line]) -> list[Segment]:
    return [segment for side in (0, 1) for line in run for segment in line.cells[side].lines]


def _add_rows(builder: Builder, run: Sequence[Line], header: Line | None) -> Line | None:
    texts = [[tables.cell_text(cell.text) for cell in line.cells] for line in run]
    second = texts[1] if len(texts) > 1 else None
    if tables.looks_like_header(texts[0], second) and len(texts[0]) >= max(map(len, texts[1:])):
        header, run = run[0], run[1:]
    elif header is not None and not all(_fits(header, line) for line in run):
        header = None
    names = [tables.cell_text(cell.text) for cell in header.cells] if header else None
    for line in run:
        row = _aligned(header, line) if header else [cell.text for cell in line.cells]
        builder.add("row", tables.render(names, [tables.cell_text(cell) for cell in row]))
    return header


def _fits(header: Line, line: Line) -> bool:
    """Whether each cell stands in a column of its own under the header."""
    columns = [_column(header, cell) for cell in line.cells]
    return len(line.cells) <= len(header.cells) and len(set(columns)) == len(columns)


def _column(header: Line, cell: Cell) -> int:
    def distance(index: int) -> float:
        head = header.cells[index]
        middle = abs((head.left + head.right) - (cell.left + cell.right)) / 2
        return min(abs(head.left - cell.left), abs(head.right - cell.right), middle)

    return min(range(len(header.cells)), key=distance)


def _aligned(header: Line, line: Line) -> list[str]:
    if not _fits(header, line) or len(line.cells) == len(header.cells):
        return [cell.text for cell in line.cells]
    row = [""] * len(header.cells)
    for cell in line.cells:
        row[_column(header, cell)] = cell.text
    return row


def _add_text(builder: Builder, lines: Sequence[Segment], style: Style, *, continued: bool) -> None:
    edge = max((line.right for line in lines), default=0.0)
    paragraph: list[Segment] = []
    for line in lines:
        if paragraph and _starts(paragraph[-1], line, edge):
            _add_paragraph(builder, paragraph, style, continued=continued)
            paragraph, continued = [], False
        paragraph.append(line)
    if paragraph:
        _add_paragraph(builder, paragraph, style, continued=continued)


def _starts(last: Segment, line: Segment, edge: float) -> bool:
    """Whether a line begins a new paragraph."""
    gap = last.bottom - line.top
    height = min(last.height, line.height)
    if gap > 0.45 * height or line.top > last.top or bullet(line.text) is not None:
        return True
    if abs(last.height - line.height) > 0.08 * height or last.bold != line.bold:
        return True
    return bool(_SENTENCE_END.search(last.text)) and last.right < 0.85 * edge


def _add_paragraph(
    builder: Builder, lines: Sequence[Segment], style: Style, *, continued: bool
) -> None:
    text = Cell(list(lines)).text
    if level := style.level(lines):
        builder.add("heading", text, level)
    elif continued and _goes_on(builder, text):
        builder.extend(text)
    elif bullet(text) is not None:
        builder.add("list", text, 1)
    else:
        builder.add("paragraph", text)


def _goes_on(builder: Builder, text: str) -> bool:
    """A sentence cut by the page break: it had not ended and goes on in lower case."""
    last = builder.last
    if last is None or last.kind not in ("paragraph", "list") or not text[:1].islower():
        return False
    return not _SENTENCE_END.search(builder.tail)
