"""How likely it is that the passages answer a question, in [0, 1].

A logistic model on what a search shows anyway, fitted by ``python -m benchmarks.evidence`` on
multilingual-e5-small with 1,000 questions of service-public and PIAF, half of them set in the
words of an e-mail, asked of corpora of 50 to 250 pages, mixed and of one topic: with the page that
answers them, with that page withheld, and of corpora that they are foreign to, weighed 7 : 1 : 2
(most mail can be answered; a near miss costs a reader less than a draft beside the point). The
intercept is raised by 0.8, because generate looks at the sentences afterwards and declines what
shares a topic only: the threshold of 0.5 declines up to 5 % of the questions whose answer was
found, 50 to 80 % of the foreign ones (83 % on the project's examples, which were not learnt from,
though they settled the intercept) and 8 to 60 % of those whose page was withheld. Another
embedder needs another fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high

from services.retrieve.passages import Found

VERSION = "2"
GENERIC = """
bonjour bonsoir madame monsieur mesdames messieurs merci cordialement salutations question questions
savoir connaître souhaite souhaitons souhaiterais souhaiterions voudrais voudrions aimerais
aimerions pouvez pourriez pourrait peut peux puis pouvons possible indiquer dire préciser expliquer
renseigner renseignement renseignements information informations informer répondre réponse avance
comment combien pourquoi quand quel quelle quels quelles quoi doit dois faut faire fait
"""
"""Words of asking that say nothing of what is asked."""
LANGUAGE = "fr"
"""Language of the documents and of the BM25 terms."""
_UNSEEN_IDF = 7.0
"""Weight of a term that no passage has, at least: that of a term in one passage of a thousand."""
_CANDIDATES = 20
_BACKGROUND = 0.825
"""Where an index has fewer candidates, the cosine that the missing ones are given: the median of
passages that merely share the topic. Two passages tell nothing of what is usual."""
_BEST = 3
"""How many passages may answer a question together."""


@dataclass(frozen=True)
class Features:
    """What the estimate rests on.

    ``cosine`` of the nearest passage; ``margin`` of it over the median candidate; ``joint``:
    share of the question's terms, weighted by IDF, in the first three passages together; ``mass``:
    log of 1 + the IDF of its terms in the best of them, in units of an unseen term, so that a
    long question with some telling words is not put off by the rest.
    """

    cosine: float
    margin: float
    joint: float
    mass: float


def features(terms: Sequence[int], found: Found, generic: frozenset[int]) -> Features | None:
    """The features of one question; nothing when no passage was found."""
    if not found.hits:
        return None
    cosines = sorted((hit.dense for hit in found.hits), reverse=True)
    background = [*cosines, *[_BACKGROUND] * (_CANDIDATES - len(cosines))]
    best = [hit.terms for hit in found.hits[:_BEST]]
    unseen = max([_UNSEEN_IDF, *found.idf.values()])
    weights = {term: found.idf.get(term, unseen) for term in terms if term not in generic}
    total = sum(weights.values()) or 1.0
    masses = [_mass(weights, present) for present in best]
    return Features(
        cosine=cosines[0],
        margin=cosines[0] - median_high(background),
        joint=_mass(weights, frozenset().union(*best)) / total,
        mass=math.log1p(max(masses) / unseen),
    )


def estimate(
    terms: Sequence[int], found: Found, generic: frozenset[int], *, lexical: bool = True
) -> float:
    """Probability that the passages answer the question.

    ``generic`` terms carry no meaning; without ``lexical`` none counts, as when the question is
    in another language than the documents.
    """
    seen = features(terms, found, generic)
    return 0.0 if seen is None else probability(seen, lexical=lexical)


def probability(seen: Features, *, lexical: bool = True) -> float:
    """The logistic model, or the one fitted without terms."""
    if lexical:
        score = -20.0 + 16.6 * seen.cosine + 86.5 * seen.margin + 2.8 * seen.joint + 4.8 * seen.mass
    else:
        score = -34.9 + 39.0 * seen.cosine + 84.0 * seen.margin
    return 1.0 / (1.0 + math.exp(-score))


def _mass(weights: Mapping[int, float], present: frozenset[int]) -> float:
    return sum(weight for term, weight in weights.items() if term in present)
