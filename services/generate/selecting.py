"""The form ``select``: sentences shown to a model that only picks, worded by the arrangement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from services.generate import selection
from services.generate.answer import DraftRequest, EnginePart, Length
from services.generate.arrangement import Chosen, arrange
from services.generate.budget import CHARS_A_TOKEN
from services.generate.french import terms
from services.generate.pool import Pool
from services.generate.ranking import Ranking
from services.generate.units import Unit, shortened

MAX_SHOWN = 8
"""Sentences shown for one question: a small model chooses worse among many, and reads slowly."""
MAX_SHOWN_MORE = 4
"""Further ones for each further question…"""
MAX_SHOWN_ALL = 20
"""… and the most for one e-mail."""
MAX_SHOWN_LIST = 300
"""Characters of a list that are shown; the draft quotes more of it."""
MOST: Mapping[Length, int] = {"short": 2, "medium": 3, "long": 4}
"""Sentences picked for one question at most, by the length that the mailbox wishes."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one number of the prompt stands for: a unit of the pool, after what it leans on.

    ``label``: the heading it stands under, else its document's title.
    """

    units: tuple[int, ...]
    passage: int
    label: str
    text: str

    @property
    def size(self) -> int:
        """Characters shown."""
        return len(self.label) + len(self.text)


def candidates(request: DraftRequest, ranking: Ranking, tokens: int) -> tuple[Candidate, ...]:
    """The sentences best for each question by turns, while they fit into ``tokens``.

    The first is always there.
    """
    pool, left = ranking.pool, tokens * CHARS_A_TOKEN
    most = min(MAX_SHOWN + MAX_SHOWN_MORE * (len(ranking.asked) - 1), MAX_SHOWN_ALL)
    shown: dict[int, Candidate] = {}
    for turn in zip_longest(*ranking.ranked):
        for scored in turn:
            if scored is None or len(shown) == most or _there(pool, shown, scored.unit):
                continue
            found = _candidate(request, pool, scored.unit)
            if found is not None and (not shown or found.size <= left):
                shown[scored.unit] = found
                left -= found.size
    return tuple(
        each
        for each in shown.values()
        if not any(set(each.units) < set(other.units) for other in shown.values())
    )


def worded(
    request: DraftRequest,
    pool: Pool,
    shown: Sequence[Candidate],
    picks: Mapping[int, Sequence[int]],
) -> tuple[tuple[EnginePart, ...], tuple[int, ...]]:
    """Parts of the candidates picked for each question, and the questions without any.

    ``picks``: indices of ``shown``, best first, by question of the e-mail. What an earlier
    question got is not said again.
    """
    chosen: list[Chosen] = []
    taken: set[int] = set()
    for question in request.questions:
        wanted = picks.get(question, ())[: MOST[request.style.length]]
        units = dict.fromkeys(unit for index in wanted for unit in shown[index].units)
        new = tuple(unit for unit in units if unit not in taken)
        chosen.append(Chosen(question, new, above=bool(units) and not new))
        taken.update(new)
    answered = [answer for answer in chosen if answer.units or answer.above]
    unanswered = tuple(c.question for c in chosen if not c.units and not c.above)
    return arrange(pool, answered, request.mail.questions, request.language), unanswered


def _there(pool: Pool, shown: Mapping[int, Candidate], unit: int) -> bool:
    return any(unit in each.units for each in shown.values()) or selection.said(
        pool, unit, list(shown)
    )


def _candidate(request: DraftRequest, pool: Pool, number: int) -> Candidate | None:
    """``None`` when what the sentence leans on cannot be shown with it."""
    units = selection.with_antecedent(pool, number, range(len(pool.units)))
    if not units:
        return None
    asked = frozenset(term for i in request.questions for term in terms(request.mail.questions[i]))
    texts = (_brief(pool.units[unit], asked) for unit in units)
    passage = request.passages[pool.units[number].passage]
    label = (passage.heading_path or (passage.title,))[-1]
    return Candidate(tuple(units), pool.units[number].passage, label, " ".join(texts))


def _brief(unit: Unit, asked: frozenset[str]) -> str:
    """What is shown of a unit, on one line."""
    if unit.kind != "list":
        return unit.text
    told = shortened(unit, lambda item: len(asked & frozenset(terms(item))), MAX_SHOWN_LIST)
    return " ".join(told.split())
