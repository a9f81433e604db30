"""How likely it is that the passages answer a question, in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from services.retrieve.passages import Found

VERSION = "1"
GENERIC = """
bonjour bonsoir madame monsieur mesdames messieurs merci cordialement salutations question questions
savoir connaître souhaite souhaitons souhaiterais souhaiterions voudrais voudrions aimerais
aimerions pouvez pourriez pourrait peut peux puis pouvons possible indiquer dire préciser expliquer
renseigner renseignement renseignements information informations informer répondre réponse avance
comment combien pourquoi quand quel quelle quels quelles quoi doit dois faut faire fait
"""
"""Words of asking that say nothing of what is asked."""
_UNSEEN_IDF = 7.0
"""Weight of a term that no passage has, at least: that of a term in one passage of a thousand."""
_BEST = 3
"""How many passages may answer a question together."""


@dataclass(frozen=True)
class Features:
    """What the estimate rests on.

    ``cosine`` of the nearest passage; ``margin`` of it over the median candidate; ``coverage``:
    share of the question's terms, weighted by IDF, in the best passage; ``joint``: in the best
    three together.
    """

    cosine: float
    margin: float
    coverage: float
    joint: float


def features(terms: Sequence[int], found: Found, generic: frozenset[int]) -> Features | None:
    """The features of one question; nothing when no passage was found."""
    if not found.hits:
        return None
    cosines = sorted((hit.dense for hit in found.hits), reverse=True)
    best = [hit.terms for hit in found.hits[:_BEST]]
    weights = _weights(terms, found, generic)
    total = sum(weights.values())
    union = frozenset().union(*best)

    def share(present: frozenset[int]) -> float:
        return sum(w for term, w in weights.items() if term in present) / total if total else 0.0

    return Features(
        cosine=cosines[0],
        margin=cosines[0] - cosines[len(cosines) // 2],
        coverage=max(map(share, best)),
        joint=share(union),
    )


def estimate(terms: Sequence[int], found: Found, generic: frozenset[int]) -> float:
    """Probability that the passages answer the question; ``generic`` terms carry no meaning."""
    seen = features(terms, found, generic)
    if seen is None:
        return 0.0
    return probability(seen)


def probability(seen: Features) -> float:
    """The logistic model."""
    score = -30.0 + 32.0 * seen.cosine + 4.0 * seen.joint
    return 1.0 / (1.0 + math.exp(-score))


def _weights(terms: Sequence[int], found: Found, generic: frozenset[int]) -> dict[int, float]:
    unseen = max([_UNSEEN_IDF, *found.idf.values()])
    return {term: found.idf.get(term, unseen) for term in terms if term not in generic}
