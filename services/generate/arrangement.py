"""Chosen units into the parts of a reply: one group per question, passages kept together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.generate import wording
from services.generate.answer import EnginePart, Language
from services.generate.french import terms
from services.generate.pool import Pool
from services.generate.units import Unit, shortened


@dataclass(frozen=True, slots=True)
class Chosen:
    """Question number ``question`` of the e-mail and its units' numbers in the pool, best first.

    ``above``: all its units were already quoted for an earlier question.
    """

    question: int
    units: tuple[int, ...] = ()
    above: bool = False


def arrange(
    pool: Pool, chosen: Sequence[Chosen], questions: Sequence[str], language: Language
) -> tuple[EnginePart, ...]:
    """Parts in the order of the questions; questions are named when there are several."""
    parts: list[EnginePart] = []
    if language == "en" and any(answer.units for answer in chosen):
        parts.append(EnginePart(wording.french_quotes(), connective=True))
    for answer in chosen:
        number = answer.question if len(questions) > 1 else None
        named = wording.quoted(questions[answer.question], answer.question, language)
        if answer.above:
            parts.append(EnginePart(wording.answered_above(named, language), (), True, number))
            continue
        if len(questions) > 1:
            parts.append(EnginePart(wording.about(named, language), connective=True))
        statements = _statements(pool, answer.units, questions[answer.question])
        parts += (replace(statement, question=number) for statement in statements)
    return tuple(parts)


def _statements(pool: Pool, numbers: Sequence[int], question: str) -> list[EnginePart]:
    """Best passage first, document order within a passage; rows of a table become a list."""
    asked = frozenset(terms(question))
    order: dict[int, list[Unit]] = {}
    for number in numbers:
        unit = pool.units[number]
        order.setdefault(unit.passage, []).append(unit)
    parts: list[EnginePart] = []
    listed = sum(pool.units[number].kind == "row" for number in numbers) > 1
    for passage, units in order.items():
        units.sort(key=lambda unit: unit.order)
        for unit in units:
            text = _text(unit, question, asked)
            text = f"– {text}" if listed and unit.kind == "row" else text
            parts.append(EnginePart(text, (passage,)))
    return parts


def _text(unit: Unit, question: str, asked: frozenset[str]) -> str:
    if unit.kind == "list":
        return shortened(unit, lambda item: len(asked & frozenset(terms(item))))
    if unit.verdict and not unit.answers_heading(asked):
        return unit.without_verdict()
    return unit.text
