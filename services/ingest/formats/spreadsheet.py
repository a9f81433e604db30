"""XLSX and CSV: each row as text with its columns named, each sheet under its name."""

import csv
import datetime as dt
import io
import warnings
from collections.abc import Iterable, Iterator

import openpyxl

from services.ingest.formats import archive, tables
from services.ingest.formats.model import Builder, Limits, Unreadable
from services.ingest.formats.office import property_title
from services.ingest.formats.plain import decode

_DELIMITERS = ";,\t|"
_MAX_BLANK = 500
_MAX_COLUMNS = 1_000


def parse_csv(data: bytes, name: str, limits: Limits, charset: str | None = None) -> Builder:
    """A builder with one row block per record."""
    text = decode(data, charset).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    builder = Builder(limits)
    csv.field_size_limit(limits.max_text)
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text))
    cells = ([tables.cell_text(cell) for cell in row[:_MAX_COLUMNS]] for row in reader)
    try:
        tables.add_records(builder, _bounded(cells, limits))
    except csv.Error as error:
        raise Unreadable(
            f"Le fichier CSV est mal formé (ligne {reader.line_num}) : {error}.", "broken"
        ) from error
    return builder


def _delimiter(text: str) -> str:
    """The separator that gives the first lines the same number of fields, the most of them."""
    lines = [line for line in text[:20_000].split("\n")[:30] if line.strip()]
    best, score = ";", (0, 0)
    for candidate in _DELIMITERS:
        widths = [len(row) for row in csv.reader(lines, delimiter=candidate)]
        usual = max(set(widths), key=lambda width: (widths.count(width), width), default=1)
        found = (widths.count(usual), usual) if usual > 1 else (0, 0)
        if found > score:
            best, score = candidate, found
    return best


def _bounded(rows: Iterable[list[str]], limits: Limits) -> Iterator[list[str]]:
    """The rows, refused beyond the limit and ended by a long run of blank ones."""
    blank = 0
    for number, row in enumerate(rows):
        if number >= limits.max_rows:
            raise Unreadable(
                f"Le tableau dépasse {limits.max_rows} lignes : découpez-le en plusieurs fichiers.",
                "too-large",
            )
        blank = 0 if any(row) else blank + 1
        if blank > _MAX_BLANK:
            return
        yield row


def parse_xlsx(data: bytes, name: str, limits: Limits) -> tuple[Builder, str | None]:
    """The visible sheets of a workbook, formulas by their stored values."""
    content = archive.unpack(data, limits)
    builder = Builder(limits)
    try:
        with warnings.catch_warnings():
            # openpyxl warns of every extension of the format that it does not draw.
            warnings.simplefilter("ignore")
            _add_sheets(builder, archive.repack(content), limits)
    except Unreadable:
        raise
    except Exception as error:  # openpyxl raises whatever its readers raise
        raise archive.broken() from error
    return builder, property_title(content.get("docProps/core.xml"))


def _add_sheets(builder: Builder, workbook: io.BytesIO, limits: Limits) -> None:
    book = openpyxl.load_workbook(workbook, read_only=True, data_only=True, keep_links=False)
    try:
        for sheet in book.worksheets:
            if sheet.sheet_state != "visible":
                continue
            builder.add("heading", sheet.title, 1)
            rows = (
                [
                    _cell(cell.value, cell.number_format) if cell.value is not None else ""
                    for cell in row
                ]
                for row in sheet.iter_rows(max_col=_MAX_COLUMNS)
            )
            tables.add_records(builder, _bounded(map(_trimmed, rows), limits))
    finally:
        book.close()


def _trimmed(row: list[str]) -> list[str]:
    """The row without the empty cells after its last value."""
    width = next((index for index in range(len(row), 0, -1) if row[index - 1]), 0)
    return row[:width]


def _cell(value: object, number_format: str) -> str:
    """A value as a French reader expects it."""
    if isinstance(value, bool):
        return "oui" if value else "non"
    if isinstance(value, int | float):
        return _number(value, number_format)
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time()
        return value.strftime("%d/%m/%Y" if midnight else "%d/%m/%Y %H:%M")
    if isinstance(value, dt.date):
        return value.strftime("%d/%m/%Y")
    if isinstance(value, dt.time):
        return value.strftime("%H:%M")
    return tables.cell_text(str(value))


def _number(value: float, number_format: str) -> str:
    unit = ""
    if "%" in number_format:
        value, unit = value * 100, " %"
    elif "€" in number_format:
        unit = " €"
    if value == int(value) and abs(value) < 1e15:
        text = f"{int(value):,}" if unit or "#,##" in number_format else str(int(value))
    else:
        text = f"{value:,.2f}" if unit == " €" else f"{value:,.10g}"
    return text.replace(",", " ").replace(".", ",") + unit
