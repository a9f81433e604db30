"""Sentence vectors from embed, over the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shared.bus import Bus
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import QuestionVectors

TIMEOUT = 5.0
"""Seconds for an answer; a draft without vectors is worth more than a late one."""


class BusScorer:
    """Asks embed for both sides at once; the vectors are normalised, so cosines are products."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def cosines(
        self, questions: Sequence[str], sentences: Sequence[str]
    ) -> list[list[float]]:
        """One row per question. Raises ``Unavailable`` without an answer from embed."""
        asked = EmbedQuery(texts=tuple(questions), kind="query", sparse=False)
        given = EmbedQuery(texts=tuple(sentences), kind="passage", sparse=False)
        left, right = await asyncio.gather(
            self._bus.ask(asked, EmbedAnswer, timeout=TIMEOUT),
            self._bus.ask(given, EmbedAnswer, timeout=TIMEOUT),
        )
        return [[_cosine(a, b) for b in right.vectors] for a in left.vectors]


def _cosine(a: QuestionVectors, b: QuestionVectors) -> float:
    return sum(x * y for x, y in zip(a.dense, b.dense, strict=True))
