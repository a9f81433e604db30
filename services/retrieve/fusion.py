"""From the hits of several questions to one ranked list of passages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.retrieve.passages import Found, Hit


@dataclass(frozen=True)
class Ranked:
    """A passage of the answer; ``questions`` found it, the one that ranks it best first."""

    hit: Hit
    score: float
    questions: tuple[int, ...]


@dataclass
class _Candidate:
    hit: Hit
    score: float
    ranks: dict[int, int]

    def order(self) -> tuple[float, float, str]:
        return (-self.score, -self.hit.dense, str(self.hit.passage.passage_id))


def fuse(found: Sequence[Found], limit: int) -> list[Ranked]:
    """At most ``limit`` passages, best first, each text once.

    Scores are summed over questions: the hits carry reciprocal rank fusion, so the sum is RRF
    over all lists of all questions. A sum favours what suits every question a little, hence half
    of the places are shared out first, to each question's own best passages in turn.
    """
    lists = [_distinct(one.hits) for one in found]
    pool: dict[UUID, _Candidate] = {}
    texts: dict[str, UUID] = {}
    for question, hits in enumerate(lists):
        for rank, hit in enumerate(hits):
            key = texts.setdefault(_text_key(hit), hit.passage.passage_id)
            candidate = pool.setdefault(key, _Candidate(hit, 0.0, {}))
            candidate.score += hit.fused
            candidate.ranks[question] = rank
    chosen = _choose(pool, [[texts[_text_key(hit)] for hit in hits] for hits in lists], limit)
    chosen.sort(key=_Candidate.order)
    return [Ranked(each.hit, each.score, _found_by(each.ranks, limit)) for each in chosen]


def _choose(
    pool: dict[UUID, _Candidate], lists: Sequence[Sequence[UUID]], limit: int
) -> list[_Candidate]:
    reserved = max(limit // 2, min(len(lists), limit))
    chosen: dict[UUID, _Candidate] = {}
    for key in _in_turn(lists):
        if len(chosen) >= reserved:
            break
        chosen.setdefault(key, pool[key])
    for key, candidate in sorted(pool.items(), key=lambda item: item[1].order()):
        if len(chosen) >= limit:
            break
        chosen.setdefault(key, candidate)
    return list(chosen.values())


def _in_turn(lists: Sequence[Sequence[UUID]]) -> Iterator[UUID]:
    for rank in range(max(map(len, lists), default=0)):
        for keys in lists:
            if rank < len(keys):
                yield keys[rank]


def _found_by(ranks: dict[int, int], limit: int) -> tuple[int, ...]:
    """Questions among whose first ``limit`` the passage is; if none, the one nearest to it."""
    ordered = sorted(ranks, key=lambda question: (ranks[question], question))
    return tuple(q for q in ordered if ranks[q] < limit) or tuple(ordered[:1])


def _distinct(hits: Sequence[Hit]) -> list[Hit]:
    first: dict[str, Hit] = {}
    for hit in hits:
        first.setdefault(_text_key(hit), hit)
    return list(first.values())


def _text_key(hit: Hit) -> str:
    """The same for texts that differ only in case, spacing and punctuation."""
    return " ".join("".join(c if c.isalnum() else " " for c in hit.passage.text.casefold()).split())
