"""Fits and checks the evidence estimate of retrieve: is the question answered by the documents?

Each question is asked twice of a real index: as it is ("present"), and with the hits of the page
that answers it taken out ("withheld"). Questions of the other corpus are a third, easier kind of
unanswerable. Prints the fitted coefficients, the share declined by kind at several thresholds and
a JSON line. Data: service-public (titles are the questions, chunks carry no title) and PIAF.

    python -m benchmarks.evidence --data ../shared/data/retrieval --model DIRECTORY
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks.evidence_corpus import (
    Corpus,
    Encoder,
    Pair,
    bodies,
    example_pairs,
    example_texts,
    load,
    subsets,
)
from services.retrieve import evidence
from services.retrieve.adapters.french_terms import term_indices
from services.retrieve.adapters.qdrant_edge import EdgeIndex
from services.retrieve.passages import (
    Found,
    IndexQuery,
)
from shared.identity import stable_id
from shared.settings import model_cache


@dataclass(frozen=True)
class Case:
    """A question asked of a corpus: was it answerable, and what was seen."""

    kind: str
    answered: bool
    features: evidence.Features
    question: str


LEADS = (
    "Nous sommes une petite commune rurale et notre secrétaire est seule. ",
    "Mon mari et moi nous posons une question depuis quelques semaines : ",
    "Je me permets de vous écrire au nom de notre association de quartier. ",
    "Suite à notre échange téléphonique de mardi dernier, ",
    "Le conseil se réunit dans quinze jours et les élus nous demandent : ",
    "Un habitant est passé ce matin au guichet et voulait savoir ceci. ",
    "Avant d'aller plus loin dans notre dossier, nous aimerions comprendre : ",
    "Notre directeur, absent cette semaine, m'a chargé de vous interroger : ",
)
TAILS = (
    " Nous hésitons encore et cela changerait notre calendrier.",
    " Je n'ai rien trouvé de clair sur votre site internet.",
    " C'est assez urgent car nous devons répondre avant la fin du mois.",
    " Faut-il vous appeler ou bien un courrier suffit-il ?",
    "",
)


def as_in_mail(question: str, chance: random.Random) -> str:
    """Every other question in the words that people put around one in an e-mail."""
    if chance.random() < 0.5:
        return question
    return chance.choice(LEADS) + question + chance.choice(TAILS)


async def cases(corpus: Corpus, pairs: Sequence[Pair], strange: Sequence[str]) -> list[Case]:
    generic = term_indices(evidence.GENERIC)
    made: list[Case] = []

    def add(kind: str, answered: bool, text: str, query: IndexQuery, found: Found) -> None:
        seen = evidence.features(query.sparse.indices, found, generic)
        if seen is not None:
            made.append(Case(f"{corpus.name} {kind}", answered, seen, text))

    answers = await corpus.ask([question for question, _ in pairs])
    for (text, pages), (query, found) in zip(pairs, answers, strict=True):
        right = {stable_id("page", page) for page in pages}
        # Present means that the draft would see it: a page not found answers nothing.
        if right & {hit.passage.document_id for hit in found.hits[:8]}:
            add("present", True, text, query, found)
        rest = tuple(hit for hit in found.hits if hit.passage.document_id not in right)
        add("withheld" if pages else "declined", False, text, query, replace(found, hits=rest))
    for text, (query, found) in zip(strange, await corpus.ask(strange), strict=True):
        add("foreign", False, text, query, found)
    return made


WEIGHTS = {"present": 0.7, "withheld": 0.1, "foreign": 0.2}


def fit(made: Sequence[Case], columns: int) -> LogisticRegression:
    """On the first ``columns`` features; the examples are kept for judging."""
    learnt = [case for case in made if not case.kind.startswith("examples")]
    ends = [case.kind.split()[-1] for case in learnt]
    weights = [WEIGHTS[end] * len(ends) / ends.count(end) for end in ends]
    rows = np.array([astuple(case.features)[:columns] for case in learnt])
    model = LogisticRegression(C=1000.0, max_iter=10_000)
    return model.fit(rows, [case.answered for case in learnt], sample_weight=weights)


def report(made: Sequence[Case], scores: Sequence[float], title: str) -> dict[str, Any]:
    kinds = sorted({case.kind for case in made})
    thresholds = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    auc = roc_auc_score([case.answered for case in made], scores)
    print(f"\n{title}: AUC {auc:.3f}; share declined below each threshold")
    print(f"{'kind':28}{'n':>6}" + "".join(f"{t:>7}" for t in thresholds))
    table: dict[str, Any] = {"auc": round(float(auc), 4)}
    for kind in kinds:
        own = [s for case, s in zip(made, scores, strict=True) if case.kind == kind]
        shares = [sum(s < t for s in own) / len(own) for t in thresholds]
        print(f"{kind:28}{len(own):>6}" + "".join(f"{s:>7.2f}" for s in shares))
        table[kind] = dict(zip(map(str, thresholds), (round(s, 3) for s in shares), strict=True))
    return table


async def run(data: Path, model: Encoder, pages: int) -> list[Case]:
    chance = random.Random(11)  # noqa: S311 - reproducible sample
    made: list[Case] = []
    public, public_pairs = load(data / "service-public", pages, chance)
    piaf, piaf_pairs = load(data / "piaf", pages, chance)
    foreign = [question for question, _ in chance.sample(public_pairs, k=pages // 2)]
    strange = [question for question, _ in chance.sample(piaf_pairs, k=pages // 2)]
    public_pairs = [(as_in_mail(q, chance), pages) for q, pages in public_pairs]
    piaf_pairs = [(as_in_mail(q, chance), pages) for q, pages in piaf_pairs]
    foreign = [as_in_mail(question, chance) for question in foreign]
    strange = [as_in_mail(question, chance) for question in strange]
    own = example_texts(model.name)
    with tempfile.TemporaryDirectory() as folder:
        index = EdgeIndex(Path(folder))
        await index.open()
        for name, texts, pairs, others in (
            ("service-public", public, public_pairs, strange),
            ("piaf", piaf, piaf_pairs, foreign),
            ("examples", own, example_pairs(), foreign + strange),
        ):
            vectors = model.encode(bodies(texts))
            corpus = Corpus(index, name, model)
            await corpus.fill(texts, vectors)
            made += await cases(corpus, pairs, others)
            if name == "examples":
                continue
            for label, few in subsets(texts, vectors, pages // 5):
                keep = [n for n, text in enumerate(texts) if text.page in few]
                part = Corpus(index, f"{name} {label}", model)
                await part.fill([texts[n] for n in keep], vectors[keep])
                inside = [pair for pair in pairs if pair[1][0] in few]
                made += await cases(part, inside, others)
        await index.close()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/retrieval"))
    parser.add_argument("--model", default=str(model_cache() / "multilingual-e5-small"))
    parser.add_argument("--pages", type=int, default=250)
    parser.add_argument("--cache", type=Path, help="folder to keep vectors in between runs")
    parser.add_argument("--dump", type=Path, help="write the cases as JSON lines")
    args = parser.parse_args()
    made = asyncio.run(run(args.data, Encoder(args.model, args.cache), args.pages))
    if args.dump:
        args.dump.write_text(
            "\n".join(
                json.dumps([c.kind, c.answered, *astuple(c.features), c.question]) for c in made
            )
        )
    model, dense = fit(made, 4), fit(made, 2)
    rows = np.array([astuple(case.features) for case in made])
    fitted = model.predict_proba(rows)[:, 1].tolist()
    print("cosine, margin, joint, mass:", model.intercept_.round(2), model.coef_.round(2))
    print("cosine, margin:", dense.intercept_.round(2), dense.coef_.round(2))
    present = [evidence.probability(case.features) for case in made]
    result = {
        "benchmark": "evidence",
        "fitted": report(made, fitted, "fitted now"),
        "shipped": report(made, present, f"in the code (version {evidence.VERSION})"),
    }
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
