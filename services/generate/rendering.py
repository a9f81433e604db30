"""The draft as text: greeting, paragraphs with [n] marks, closing; no list of sources."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from uuid import UUID

from shared.records import Part

ITEM = "– "
_COLON = re.compile(r"[ \u00a0\u202f]?:$")


def render(greeting: str, parts: Sequence[Part], closing: str, numbers: Mapping[UUID, int]) -> str:
    """The whole draft; ``numbers`` gives the source number of each cited passage.

    Statements that cite the same passages share a paragraph; a part without citation opens one.
    """
    paragraphs = [greeting]
    previous: Part | None = None
    for part in parts:
        text = marked(part, numbers)
        joint = _joint(previous, part)
        if joint is None:
            paragraphs.append(text)
        else:
            paragraphs[-1] += joint + text
        previous = part
    return "\n\n".join([*paragraphs, closing])


def marked(part: Part, numbers: Mapping[UUID, int]) -> str:
    """A statement with its marks: at its end, or at the end of the line that opens a list."""
    found = sorted({numbers[passage] for passage in part.citations})
    marks = "".join(f"[{number}]" for number in found)
    if not marks:
        return part.text
    first, *rest = part.text.split("\n")
    if not rest:
        return f"{part.text} {marks}"
    colon = _COLON.search(first)
    lead, end = (first[: colon.start()], colon.group()) if colon else (first, "")
    return "\n".join([f"{lead} {marks}{end}", *rest])


def _joint(previous: Part | None, part: Part) -> str | None:
    """What stands between two parts of one paragraph; ``None`` starts a new one."""
    if previous is None or not part.citations:
        return None
    if not previous.citations:
        return "\n" if previous.text.endswith(":") else None
    if part.text.startswith(ITEM) and previous.text.startswith(ITEM):
        return "\n"
    same = set(part.citations) == set(previous.citations)
    listed = "\n" in part.text or "\n" in previous.text or part.text.startswith(ITEM)
    return " " if same and not listed else None
