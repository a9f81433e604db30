"""A model's JSON into parts or a refusal, and the schema it is asked to keep."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.generate.answer import EngineFailed, EnginePart, Refusal, RefusalReason

_FENCE = re.compile(r"^\s*```(?:json)?\s*(.*?)\s*```\s*$", re.DOTALL)

MAX_PARTS = 12

SCHEMA: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "parts": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_PARTS,
                    "items": {
                        "type": "object",
                        "properties": {
                            "text": {"type": "string", "minLength": 1},
                            "citations": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "integer"},
                            },
                        },
                        "required": ["text", "citations"],
                        "additionalProperties": False,
                    },
                }
            },
            "required": ["parts"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"refusal": {"enum": ["out-of-scope", "unsupported"]}},
            "required": ["refusal"],
            "additionalProperties": False,
        },
    ]
}
"""JSON Schema of an answer, for engines that decode under a schema."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")
    text: str
    citations: list[int] = Field(default_factory=list)


class _Answer(BaseModel):
    """Read leniently: not every endpoint decodes under the schema."""

    model_config = ConfigDict(extra="ignore")
    parts: Annotated[list[_Part], Field(max_length=100)] | None = None
    refusal: str | None = None


def read(raw: str, order: Sequence[int]) -> tuple[tuple[EnginePart, ...], Refusal | None]:
    """Parts, or a refusal. ``order``: the passage index behind each number of the prompt.

    Numbers outside the prompt become index −1, which no passage has. Raises ``EngineFailed``.
    """
    fenced = _FENCE.match(raw)
    try:
        answer = _Answer.model_validate(json.loads(fenced.group(1) if fenced else raw))
    except (json.JSONDecodeError, ValidationError, RecursionError) as error:
        raise EngineFailed("réponse hors du format JSON demandé") from error
    if answer.parts:
        parts = tuple(
            EnginePart(part.text.strip(), tuple(_index(n, order) for n in part.citations))
            for part in answer.parts[:MAX_PARTS]
        )
        return parts, None
    if answer.refusal is not None:
        return (), _refusal(answer.refusal)
    raise EngineFailed("réponse sans énoncé ni refus")


def _index(number: int, order: Sequence[int]) -> int:
    return order[number - 1] if 1 <= number <= len(order) else -1


def _refusal(said: str) -> Refusal:
    reason: RefusalReason = "out-of-scope" if "scope" in said else "unsupported"
    known = said in ("out-of-scope", "unsupported")
    return Refusal(reason, "" if known else f"Le modèle précise : « {said[:200]} »")
