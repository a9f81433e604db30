"""Fits the two estimates of generate on questions of PIAF that the benchmark does not measure with.

Grounding (``services/generate/grounding.py``): do the passages answer? Each question is asked of
all paragraphs, of corpora of 70 articles at random and of the 110 paragraphs nearest to one, with
and without what answers it. Support (``services/generate/support.py``): does a passage support a
statement? A question with its answer is a statement that a person worded; its paragraph supports
it, the nearest paragraph without the answer does not.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks import piaf
from benchmarks.library import Library, asked_by_mail, library, nothing
from services.generate import grounding, support
from services.generate.adapters.bus_scorer import BusScorer
from services.generate.answer import DraftRequest, EnginePart
from services.generate.ranking import rank
from shared.bus import Bus
from shared.events import ContextRetrieved
from shared.identity import document_id
from shared.records import Passage
from shared.settings import model_cache

OF_ALL = 2000
OF_EACH = 200
SHARES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


@dataclass(frozen=True)
class Case:
    """One question of one corpus with what was seen, and whether the passages answer."""

    corpus: str
    answered: bool
    seen: tuple[float, ...]


async def run(measured: int, keep: Path | None) -> None:
    """Fit and print; nothing is written. ``measured``: questions that have no part in it."""
    model = model_cache() / "multilingual-e5-small"
    _, free = piaf.split(measured)
    chance = random.Random(3)  # noqa: S311 - the same sample each time
    chance.shuffle(free)
    cases: list[Case] = []
    claims: list[tuple[bool, float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        async with library(model, Path(name) / "all") as lib:
            vectors = await lib.add(piaf.pages(), keep=keep)
            for question in free[:OF_ALL]:
                pair = await asked(lib, question)
                cases += [case async for case in seen(lib, "all", question, pair)]
                claims += await judged(lib, question, pair)
        for number, paragraphs in enumerate(corpora(vectors, chance)):
            held = {row["_id"] for row in paragraphs}
            inside = [question for question in free if question.paragraph in held][:OF_EACH]
            async with library(model, Path(name) / str(number)) as lib:
                await lib.add(piaf.pages(paragraphs))
                for question in inside:
                    pair = await asked(lib, question)
                    cases += [case async for case in seen(lib, "small", question, pair)]
    tell_grounding(cases)
    tell_support(claims)


def corpora(vectors: dict[Any, Any], chance: random.Random) -> Iterator[list[dict[str, Any]]]:
    """Small corpora: articles at random, then paragraphs near to one."""
    rows = piaf.rows("corpus.jsonl.gz")
    titles = sorted({row["title"] for row in rows})
    for _ in range(3):
        chosen = set(chance.sample(titles, 70))
        yield [row for row in rows if row["title"] in chosen]
    matrix = np.stack([vectors[document_id("default", f"{row['_id']}.txt")] for row in rows])
    for _ in range(4):
        near = np.argsort(-(matrix @ matrix[chance.randrange(len(rows))]))[:110]
        yield [rows[int(number)] for number in sorted(near)]


Pair = tuple[ContextRetrieved, ContextRetrieved]


async def asked(lib: Library, question: piaf.Asked) -> Pair:
    """The passages found, and those found with the answer withheld."""
    mail = asked_by_mail(question.text)
    return await lib.found(mail, nothing), await lib.found(mail, question.withheld)


async def seen(lib: Library, corpus: str, question: piaf.Asked, pair: Pair) -> Any:
    """Cases of one question; one whose paragraph was not found is no answered one."""
    for context, answered in zip(pair, (True, False), strict=True):
        data = context.data
        there = any(p.document_id == question.document for p in data.passages)
        if not data.passages or len(data.mail.questions) != 1 or there != answered:
            continue
        request = DraftRequest(data.mail, data.passages, (0,), evidence=data.question_evidence)
        ranking = await rank(request, BusScorer(cast("Bus", lib.bus)))
        found = grounding.features(request, ranking, 0)
        if found is not None and found.cosine is not None:
            yield Case(corpus, answered, astuple(found))


async def judged(lib: Library, question: piaf.Asked, pair: Pair) -> list[tuple[bool, float, float]]:
    """(supported, share of words, cosine) of the question with its answer as a statement."""
    right = [p for p in pair[0].data.passages if p.document_id == question.document][:1]
    other = list(pair[1].data.passages[:1])
    text = f"{question.text.rstrip(' ?')} : {question.answers[0]}."
    found: list[tuple[bool, float, float]] = []
    for passages, supported in ((right, True), (other, False)):
        found += [(supported, *(await compared(lib, text, p))) for p in passages]
    return found


async def compared(lib: Library, text: str, passage: Passage) -> tuple[float, float]:
    part = EnginePart(text, (0,))
    near = support.nearest(part, [passage], support.COMPARED_A_PASSAGE)
    rows = await BusScorer(cast("Bus", lib.bus)).cosines([text[: support.MAX_CHARS]], near)
    return support.by_words(part, [passage]), max(rows[0])


def tell_grounding(cases: Sequence[Case]) -> None:
    """Both models, weighing corpora and answers alike, and what thresholds decline."""
    counts = {key: sum((c.corpus, c.answered) == key for c in cases) for key in keys(cases)}
    weights = [len(cases) / len(counts) / counts[c.corpus, c.answered] for c in cases]
    rows = np.array([case.seen for case in cases])
    truth = np.array([case.answered for case in cases])
    for name, columns in (("with cosine", [0, 1, 2, 3]), ("words alone", [0, 2, 3])):
        model = LogisticRegression(C=1000, max_iter=5000)
        model.fit(rows[:, columns], truth, sample_weight=weights)
        scores = model.predict_proba(rows[:, columns])[:, 1]
        print(f"grounding, {name}: {model.intercept_.round(2)} {model.coef_.round(2)}")
        for corpus in ("all", "small"):
            mine = np.array([case.corpus == corpus for case in cases])
            auc = roc_auc_score(truth[mine], scores[mine])
            declined = [
                f"{t}: {(scores[mine & truth] < t).mean():.2f}/"
                f"{(scores[mine & ~truth] < t).mean():.2f}"
                for t in SHARES
            ]
            print(f"  {corpus} ({mine.sum()}): AUC {auc:.3f}; declined {'  '.join(declined)}")


def keys(cases: Sequence[Case]) -> set[tuple[str, bool]]:
    return {(case.corpus, case.answered) for case in cases}


def tell_support(claims: Sequence[tuple[bool, float, float]]) -> None:
    """The model of words and cosine, and the words alone."""
    truth, rows = np.array([c[0] for c in claims]), np.array([c[1:] for c in claims])
    model = LogisticRegression(C=1000, max_iter=5000).fit(rows, truth)
    scores = model.decision_function(rows)
    print(f"support: {model.intercept_.round(2)} {model.coef_.round(2)} ({len(claims)} claims)")
    print(f"  AUC {roc_auc_score(truth, scores):.3f}, words {roc_auc_score(truth, rows[:, 0]):.3f}")
    for name, kept in (
        ("raised by 0.5", scores >= -0.5),
        ("words alone ≥ 0.5", rows[:, 0] >= support.LEAST_WORDS),
    ):
        wrong, lost = kept[~truth].mean(), 1 - kept[truth].mean()
        print(f"  {name}: removes {lost:.3f} of the supported, keeps {wrong:.3f} of the others")
