"""How well e-mails are sorted into categories by the real embedder, with and without examples.

The categories and most e-mails are of our own writing (``triage_texts.toml``): `tuning` served to
choose score, temperature and threshold; `held_out` and the example e-mails were looked at while
methods were compared.
`right`, `wrong` and `unsure` are shares of the e-mails that belong to a category; `none kept out`
is the share of those that belong to none and got none; `lost` that of e-mails that deserve a draft
and would get none. Prints a table and a JSON line.

    python -m benchmarks.triage [--model DIRECTORY] [--threshold 0.5]
"""

from __future__ import annotations

import argparse
import asyncio
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import report
from services.embed.adapters.sentence_encoder import SentenceEncoder
from services.ingest.mime import MailLimits, read_mail
from services.ingest.triage import Sorted, Sorter, chosen
from shared.categories import Category, Triage
from shared.newtext.visible import new_text
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import QuestionVectors, SparseVector
from shared.settings import model_cache

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples/mails"
SWEEP = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

Letter = tuple[str, str, str]
"""Right category ("" is none), subject, new text."""


class Embedder:
    """Answers as embed does, in this process."""

    def __init__(self, directory: Path) -> None:
        self._encoder = SentenceEncoder(directory)

    async def __call__(self, query: EmbedQuery) -> EmbedAnswer:
        tokens = self._encoder.tokenise([f"query: {text}" for text in query.texts])
        rows = [self._encoder.encode([one])[0] for one in tokens]
        sparse = SparseVector(indices=(), values=())
        vectors = tuple(QuestionVectors(dense=tuple(map(float, r)), sparse=sparse) for r in rows)
        return EmbedAnswer(vectors=vectors, embedding="e5")


def letters(texts: dict[str, Any]) -> dict[str, list[Letter]]:
    """The e-mails by set."""
    found = {
        name: [
            ("" if label == "none" else label, "", text)
            for label, some in texts[name].items()
            for text in some
        ]
        for name in ("tuning", "held_out")
    }
    found["examples"] = []
    for name, label in texts["examples"].items():
        mail = read_mail((EXAMPLES / name).read_bytes(), MailLimits())
        found["examples"].append((label, mail.subject, new_text(mail.text)))
    return found


def lost(config: Triage, some: Sequence[Letter], found: Sequence[Sorted]) -> float:
    """Share of the e-mails that deserve a draft and are sorted where none is made."""
    deserve = [
        one.category is not None and not one.category.draft
        for (label, _, _), one in zip(some, found, strict=True)
        if not label or config.categories[label].draft
    ]
    return sum(deserve) / len(deserve)


def shares(some: Sequence[Letter], names: Sequence[str | None]) -> dict[str, float]:
    """Right, wrong, unsure and none kept out."""
    pairs = [(label, name) for (label, _, _), name in zip(some, names, strict=True)]
    inside = [(label, name) for label, name in pairs if label]
    outside = [name for label, name in pairs if not label]
    return {
        "right": sum(label == name for label, name in inside) / len(inside),
        "wrong": sum(name is not None and label != name for label, name in inside) / len(inside),
        "unsure": sum(name is None for _, name in inside) / len(inside),
        "none kept out": sum(name is None for name in outside) / len(outside),
    }


async def measure(texts: dict[str, Any], model: Path, threshold: float) -> dict[str, object]:
    """All figures."""
    embed, sets = Embedder(model), letters(texts)
    few = {n: Category.model_validate(c) for n, c in texts["triage"]["categories"].items()}
    zero = {name: category.model_copy(update={"examples": ()}) for name, category in few.items()}
    figures: dict[str, object] = {"threshold": threshold}
    for kind, categories in (("zero-shot", zero), ("few-shot", few)):
        config = Triage(categories=categories, threshold=threshold)
        for name, some in sets.items():
            sorter = Sorter(config, embed)
            found = [await sorter.sort(subject, text) for _, subject, text in some]
            best = [next(iter(one.confidence)) for one in found]
            figures[f"{kind} {name}: best is right"] = shares(some, best)["right"]
            for share, value in shares(some, [one.name for one in found]).items():
                figures[f"{kind} {name}: {share}"] = value
            figures[f"{kind} {name}: lost"] = lost(config, some, found)
            if kind == "few-shot":
                figures[f"{name} by threshold"] = curve(config, some, found)
    return figures


def curve(config: Triage, some: Sequence[Letter], found: Sequence[Sorted]) -> dict[float, str]:
    """right/wrong/unsure/none kept out by threshold."""
    told = {}
    for least in SWEEP:
        other = config.model_copy(update={"threshold": least})
        names = [chosen(other, one.confidence).name for one in found]
        told[least] = "/".join(f"{value:.2f}" for value in shares(some, names).values())
    return told


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=model_cache() / "multilingual-e5-small")
    parser.add_argument("--threshold", type=float, default=Triage().threshold)
    given = parser.parse_args()
    texts = tomllib.loads((HERE / "triage_texts.toml").read_text())
    report("triage", asyncio.run(measure(texts, given.model, given.threshold)), {})


if __name__ == "__main__":
    main()
