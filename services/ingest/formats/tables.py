"""Rows of a table as sentences that stand alone: « En-tête : valeur ; En-tête : valeur »."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from services.ingest.formats.model import Builder, one_line

_FIGURE = re.compile(r"^[\s\d.,%€$+\-–/]*\d[\s\d.,%€$+\-–/kKMm²]*$")
_MAX_HEADER = 80
_MAX_LAYOUT_CELL = 600

Row = Sequence[str]


def cell_text(text: str) -> str:
    """A cell on one line."""
    return one_line(text)


def looks_like_header(first: Row, second: Row | None) -> bool:
    """Whether a first row names the columns: short, filled, without figures, and not alone."""
    if second is None or len(first) < 2:
        return False
    filled = [cell for cell in first if cell]
    if len(filled) < max(2, len(first) - 1) or len(set(filled)) < len(filled):
        return False
    if any(len(cell) > _MAX_HEADER or _FIGURE.match(cell) or cell.endswith(".") for cell in filled):
        return False
    return not filled[-1].endswith(":")


def render(header: Row | None, row: Row) -> str:
    """One row on one line, its columns named when the header is known; empty cells are left out."""
    if header is None:
        cells = [cell for cell in row if cell]
        if len(cells) == 2 and len(cells[0]) <= _MAX_HEADER:
            return f"{cells[0].rstrip(' :')} : {cells[1]}"
        return " | ".join(cells)
    named: list[str] = []
    for index, cell in enumerate(row):
        if cell:
            name = header[index].replace("_", " ").rstrip(" :") if index < len(header) else ""
            named.append(f"{name} : {cell}" if name else cell)
    return " ; ".join(named)


def is_layout(rows: Sequence[Row]) -> bool:
    """A table used to place text on a page: one column, one row, or cells of prose."""
    widths = {sum(1 for cell in row if cell) for row in rows}
    prose = any(len(cell) > _MAX_LAYOUT_CELL for row in rows for cell in row)
    return len(rows) < 2 or widths <= {0, 1} or prose


def add_table(builder: Builder, rows: Sequence[Row], header: Row | None, caption: str = "") -> None:
    """Add a table's caption and rows. `header` is None when the markup names no header row."""
    filled = [row for row in rows if any(row)]
    if header is None and is_layout(filled):
        for row in filled:
            for cell in row:
                builder.add("paragraph", cell)
        return
    if header is None and len(filled) > 1 and looks_like_header(filled[0], filled[1]):
        header, filled = filled[0], filled[1:]
    builder.add("table", caption)
    for row in filled:
        builder.add("row", render(header, row))


def add_records(builder: Builder, rows: Iterable[Row]) -> None:
    """Add a sheet read row by row: lines above the header as text, then named rows."""
    filled = (row for row in rows if any(row))
    above, first = _above(filled)
    for cell in above:
        builder.add("paragraph", cell)
    if first is None:
        return
    second = next(filled, None)
    header = first if looks_like_header(first, second) else None
    if header is None:
        builder.add("row", render(None, first))
    for row in chain([second] if second is not None else [], filled):
        builder.add("row", render(header, row))


def _above(rows: Iterator[Row]) -> tuple[list[str], Row | None]:
    """The single cells above the first row of several cells, and that row if there is one."""
    above: list[str] = []
    for row in rows:
        cells = [cell for cell in row if cell]
        if len(cells) > 1:
            return above, row
        above += cells
    return above, None
