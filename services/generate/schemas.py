"""JSON Schemas of the output forms, for servers that decode under one.

Only keywords that the usual grammar engines know (xgrammar, llguidance, llama.cpp): an unknown one
makes some of them refuse the request and others ignore it.
"""

from __future__ import annotations

from typing import Any

from services.generate import selecting
from services.generate.prompting import Layout

MAX_PARTS = 12
REFUSALS = ("out-of-scope", "unsupported")


def of(layout: Layout) -> dict[str, Any] | None:
    """The schema of the answer; ``None`` for plain text."""
    count = len(layout.request.questions)
    match layout.form:
        case "parts":
            return {"anyOf": [_parts(count), _refusal()]}
        case "marks":
            return None
        case "select":
            most = selecting.MOST[layout.request.style.length]
            return _picks(count, len(layout.shown), most)


def _parts(questions: int) -> dict[str, Any]:
    """With several questions each part says which one it answers."""
    fields: dict[str, Any] = {
        "text": {"type": "string", "minLength": 1},
        "citations": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
    }
    if questions > 1:
        fields = {"question": {"enum": list(range(1, questions + 1))}, **fields}
    part = _object(fields)
    return _object(
        {"parts": {"type": "array", "minItems": 1, "maxItems": MAX_PARTS, "items": part}}
    )


def _refusal() -> dict[str, Any]:
    return _object({"refusal": {"enum": list(REFUSALS)}})


def _picks(questions: int, shown: int, most: int) -> dict[str, Any]:
    """``{"1": [4, 2], "2": []}``: numbers of sentences by number of question."""
    numbers = {"enum": list(range(1, shown + 1))}
    picked = {"type": "array", "items": numbers, "maxItems": most}
    return _object({str(number): picked for number in range(1, questions + 1)})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
