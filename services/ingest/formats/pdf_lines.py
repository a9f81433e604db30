"""Segments of a PDF page gathered into lines of running text and rows of cells."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.ingest.formats.plain import bullet, join_lines

_MAX_CELL_LINES = 6


@dataclass(slots=True)
class Segment:
    """Text on one line without a wide gap; y grows upwards."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    bold: bool = False

    @property
    def height(self) -> float:
        return max(self.top - self.bottom, 1.0)


@dataclass(slots=True)
class Cell:
    """Segments below each other."""

    lines: list[Segment]

    @property
    def text(self) -> str:
        text = self.lines[0].text
        for line in self.lines[1:]:
            text = join_lines(text, line.text)
        return text

    @property
    def left(self) -> float:
        return min(line.left for line in self.lines)

    @property
    def right(self) -> float:
        return max(line.right for line in self.lines)


@dataclass(slots=True)
class Line:
    """Cells beside each other: one for running text, several for a row of a table."""

    cells: list[Cell]

    @property
    def top(self) -> float:
        return max(segment.top for cell in self.cells for segment in cell.lines)

    @property
    def bottom(self) -> float:
        return min(segment.bottom for cell in self.cells for segment in cell.lines)

    @property
    def segment(self) -> Segment:
        return self.cells[0].lines[0]


def lines_of(segments: Sequence[Segment]) -> list[Line]:
    """The page's lines in the order of its content."""
    lines: list[Line] = []
    for segment in segments:
        if not (lines and _joined(lines, segment)):
            lines.append(Line([Cell([segment])]))
    return lines


def _joined(lines: list[Line], segment: Segment) -> bool:
    """Whether the segment went into the line before as a cell or as a cell's next line."""
    last = lines[-1]
    cell = last.cells[-1]
    if len(last.cells) == 1:
        return _begins_second_cell(lines, segment)
    if segment.left >= cell.right - 2 and _beside(last, segment):
        last.cells.append(Cell([segment]))
        return True
    if _below(cell, segment) and segment.left > last.cells[-2].right:
        cell.lines.append(segment)
        return True
    return False


def _begins_second_cell(lines: list[Line], segment: Segment) -> bool:
    """The lines left of the segment become the first cell of a row, if they form one."""
    beside = _beside(lines[-1], segment)
    if beside and bullet(f"{lines[-1].segment.text} …") == "…":
        _after_mark(lines[-1].segment, segment)
        return True
    count = 0
    while count < len(lines) and _left_of(lines[-1 - count], segment):
        above = lines[-1 - count].top > segment.top + 0.5 * segment.height
        if (above and not beside) or (count and not _stacked(*lines[-1 - count :][:2])):
            break
        count += 1
    if count == 0 or count > _MAX_CELL_LINES or (count == 1 and not beside):
        return False
    first = [line.segment for line in lines[-count:]]
    lines[-count:] = [Line([Cell(first), Cell([segment])])]
    return True


def _after_mark(mark: Segment, segment: Segment) -> None:
    """A list item: its mark and its text stand apart like two cells."""
    mark.text = f"{mark.text} {segment.text}"
    mark.bottom, mark.right, mark.top = segment.bottom, segment.right, segment.top


def _left_of(line: Line, segment: Segment) -> bool:
    return len(line.cells) == 1 and line.cells[0].right <= segment.left + 2


def _stacked(upper: Line, lower: Line) -> bool:
    """Lines of one cell: no more space between them than running text has."""
    gap = upper.bottom - lower.top
    return _below(upper.cells[0], lower.segment) and gap < 0.25 * lower.segment.height


def _beside(line: Line, segment: Segment) -> bool:
    overlap = min(line.top, segment.top) - max(line.bottom, segment.bottom)
    return overlap > 0.5 * min(segment.height, line.segment.height)


def _below(cell: Cell, segment: Segment) -> bool:
    last = cell.lines[-1]
    gap = last.bottom - segment.top
    near = -0.6 * segment.height < gap < 0.5 * segment.height and segment.top < last.top
    return near and segment.left < cell.right and segment.right > cell.left
