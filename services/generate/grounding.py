"""Whether the passages answer a question, or only treat its topic: looked at sentence by sentence.

A logistic model over four figures, fitted by ``python -m benchmarks.citations --fit`` on questions
of PIAF asked of all its paragraphs and of small corpora of one topic or of several, with the
passages that answer them and with all of those withheld; the paragraphs that the benchmark
measures with had no part in it. (A fifth figure had a weight of 0.01 and was left out since; the
model without cosine is of an earlier sample of the same questions.) What it reaches, and what it
does not, is in docs/quality.md. Another embedder needs another fit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.generate import asking
from services.generate.answer import DraftRequest
from services.generate.french import terms
from services.generate.ranking import Ranking, SentenceScorer, rank
from shared.records import Check, Passage

_LEAST_SAID, _NEAR_SAID = 0.15, 0.1
"""Words of the question in the first sentence below which it shares the topic only…"""
_NEAR = 0.88
"""… also where it is this near in meaning, unless retrieve is …"""
_SURE = math.log(0.88 / 0.12)
"""… this sure. It costs 0.1 % of PIAF's answerable questions, and parts mail that is foreign to a
programme's documents from what they answer better than the model alone."""
_BOUND = 1e-6
_NAME = re.compile(r"(?<=\w )(?:[dlDL]['’])?([A-ZÀ-ÖØ-Þ][\w-]+)|\b([A-Z]{2,})\b|(\d[\d ]*)")


@dataclass(frozen=True, slots=True)
class Features:
    """What the estimate rests on, for one question.

    ``evidence``: log-odds of retrieve's own estimate; ``cosine`` of the nearest sentence, none
    without vectors; ``said``: share of the question's words, weighted by IDF over the sentences
    given, that the sentence ranked first says itself; ``strange``: names and figures of the
    question that are not in the passage with most of its words.
    """

    evidence: float
    cosine: float | None
    said: float
    strange: int


def probability(seen: Features) -> float:
    """That the passages answer; the second model does without vectors."""
    if seen.cosine is None:
        score = -2.07 + 0.28 * seen.evidence + 3.11 * seen.said - 0.75 * seen.strange
    else:
        score = -19.94 + 0.17 * seen.evidence + 2.71 * seen.said - 0.65 * seen.strange
        score += 21.72 * seen.cosine
    return 1.0 / (1.0 + math.exp(-score))


def takes_up(seen: Features) -> bool:
    """Whether the first sentence takes up the question's own words, not just its topic."""
    near = seen.cosine is not None and seen.cosine >= _NEAR and seen.said >= _NEAR_SAID
    return near or seen.said >= _LEAST_SAID or seen.evidence >= _SURE


def features(request: DraftRequest, ranking: Ranking, question: int) -> Features | None:
    """The features of one question; nothing when no sentence may answer it."""
    rankings = [
        found
        for facet, found in zip(ranking.asked, ranking.ranked, strict=True)
        if facet.question == question and found
    ]
    if not rankings:
        return None
    # What the e-mail told before sets the scene: no answer takes it up.
    text = asking.last_sentence(request.mail.questions[question])
    scored = [each for found in rankings for each in found]
    held = {ranking.pool.units[each.unit].passage for each in scored}
    return Features(
        evidence=_log_odds(request.evidence[question]),
        cosine=max((each.cosine for each in scored if each.cosine is not None), default=None),
        said=max(found[0].own for found in rankings),
        strange=_strange(text, ranking, [request.passages[index] for index in sorted(held)]),
    )


def _strange(question: str, ranking: Ranking, passages: Sequence[Passage]) -> int:
    asked = set(terms(question))
    words = [set(terms(f"{p.title} {' '.join(p.heading_path)} {p.text}")) for p in passages]
    best = max(words, key=lambda held: sum(map(ranking.pool.weight, sorted(asked & held))))
    named = {term for found in _NAME.findall(question) for name in found for term in terms(name)}
    return len(named - best)


def _log_odds(evidence: float) -> float:
    bounded = min(max(evidence, _BOUND), 1 - _BOUND)
    return math.log(bounded / (1 - bounded))


class Gate:
    """Takes out of a request the questions that its passages only touch.

    ``least``: probability in [0, 1] below which a question stays unanswered.
    """

    def __init__(self, scorer: SentenceScorer, least: float) -> None:
        self._scorer = scorer
        self._least = least

    async def open(self, request: DraftRequest) -> tuple[DraftRequest, tuple[Check, ...]]:
        """The request with the questions left and their ranking, and what was found of each.

        An agent's wish and an e-mail in another language pass: there is nothing to go by.
        """
        if not request.evidence or request.language != "fr":
            return request, ()
        ranking, found = await estimates(request, self._scorer)
        left = tuple(question for question, value in found.items() if value >= self._least)
        checks = (self._check(request, question, value) for question, value in found.items())
        request = replace(request, questions=left, ranking=ranking.only(left))
        return request, (*ranking.checks, *checks)

    def _check(self, request: DraftRequest, question: int, value: float) -> Check:
        passed = value >= self._least
        what = "y répondent" if passed else "ne traitent que le sujet"
        detail = (
            f"Les passages {what} (indice {value:.2f}, minimum {self._least:.2f}) : "
            f"« {request.mail.questions[question]} »"
        )
        return Check(name="grounding", passed=passed, detail=detail)


async def estimates(
    request: DraftRequest, scorer: SentenceScorer
) -> tuple[Ranking, dict[int, float]]:
    """The sentences ranked, and for each question the probability that they answer it."""
    ranking = await rank(request, scorer)
    seen = {question: features(request, ranking, question) for question in request.questions}
    return ranking, {
        question: probability(found) if found and takes_up(found) else 0.0
        for question, found in seen.items()
    }
