"""Rows of tables, « En-tête : valeur ; En-tête : valeur », into something a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_FIELD = re.compile(r"^([^:;|]{1,80}?)\s:\s(.+)$")
_SEPARATOR = re.compile(r"\s;\s")
# Columns about the table itself, not about its matter.
_ABOUT = re.compile(r"^(?:mentions?|sources?|licence|mise à jour|dernière mise à jour)\b", re.I)
_MIN_ROWS_FOR_CONSTANT = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its cells as (column, value), in the table's order."""

    cells: tuple[tuple[str, str], ...]


def is_row(line: str) -> bool:
    """Whether ``line`` is a row: two named cells at least, or cells between bars."""
    if line.count(" | ") >= 2:
        return True
    return len(_cells(line)) >= 2


def parse(line: str) -> Row:
    """The row written in ``line``; a row whose columns have no names has empty names."""
    cells = _cells(line)
    if cells:
        return Row(tuple(cells))
    return Row(tuple(("", cell.strip()) for cell in line.split(" | ") if cell.strip()))


def _cells(line: str) -> list[tuple[str, str]]:
    """Named cells of ``line``, or none. A value may itself hold « ; »: it stays with its column."""
    cells: list[tuple[str, str]] = []
    for piece in _SEPARATOR.split(line):
        found = _FIELD.match(piece)
        if found:
            cells.append((found.group(1).strip(), found.group(2).strip()))
        elif cells:
            name, value = cells[-1]
            cells[-1] = (name, f"{value} ; {piece.strip()}")
        else:
            return []
    return cells if len(cells) > 1 else []


def constant_columns(table: Iterable[Row]) -> frozenset[str]:
    """Columns that say the same in every row of a passage: they tell rows apart from nothing."""
    values: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for row in table:
        for name, value in row.cells:
            values.setdefault(name, set()).add(value)
            counts[name] = counts.get(name, 0) + 1
    return frozenset(
        name
        for name, seen in values.items()
        if name and len(seen) == 1 and counts[name] >= _MIN_ROWS_FOR_CONSTANT
    )


def sentence(row: Row, dropped: frozenset[str] = frozenset()) -> str:
    """The row in one line: its first cell, then the others with their column's name.

    « Poste : Pompe à chaleur ; Financé : oui » gives « Pompe à chaleur — financé : oui. »
    Values are never changed.
    """
    told = [cell for cell in row.cells if cell[0] not in dropped and not _ABOUT.match(cell[0])]
    cells = told or list(row.cells)
    (_, label), rest = cells[0], cells[1:]
    said = " ; ".join(f"{_lower(name)} : {value}" if name else value for name, value in rest)
    line = f"{label} — {said}" if said else label
    return line if line.endswith((".", "!", "…")) else f"{line}."


def _lower(name: str) -> str:
    """A column's name inside a sentence; acronyms keep their capitals."""
    first = name.split(" ", 1)[0]
    if len(first) > 1 and not first[1:].islower():
        return name
    return name[0].lower() + name[1:]
