"""Which of the configured categories an e-mail belongs to, by the vectors of embed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from shared.categories import Category, Triage
from shared.delivery import Unavailable
from shared.envelope import Slug
from shared.queries import EmbedAnswer, EmbedQuery

MAX_CHARS = 1500
"""Of an e-mail: its beginning says what it is about."""
TEXTS_AT_ONCE = 64
TEMPERATURE = 0.0075
"""Of the softmax over mean cosines. E5's cosines lie close together (0.75 to 0.95); this value
was fitted on e-mails of our own, see benchmarks/triage.py."""

Vectors = npt.NDArray[np.float32]
Embed = Callable[[EmbedQuery], Awaitable[EmbedAnswer]]
"""Asks embed. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """The category of an e-mail, None without any; `confidence` of each category, best first.

    `fallback`: whether none was likely enough, so that `name` is the configured fallback.
    """

    name: Slug | None = None
    category: Category | None = None
    confidence: dict[str, float] = field(default_factory=dict)
    fallback: bool = False


class Sorter:
    """Compares e-mails with the categories; their vectors are asked for once per embedder."""

    def __init__(self, config: Triage, embed: Embed) -> None:
        self._config = config
        self._embed = embed
        self._silent = False
        self._known: tuple[str, Vectors] | None = None

    async def ready(self) -> None:
        """Returns unless embed did not answer last time and still does not. Raises Unavailable.

        It asks nothing before, since a service starts before its embedder may answer.
        """
        if self._silent:
            await self._vectors(("?",))

    async def sort(self, subject: str, text: str) -> Sorted:
        """The category of an e-mail by its subject and new text. Raises Unavailable."""
        if not self._config.categories:
            return Sorted()
        embedding, vectors = await self._vectors((f"{subject}\n{text}".strip()[:MAX_CHARS],))
        prototypes = await self._prototypes(embedding)
        shares = confidences(vectors[0], prototypes)
        return chosen(self._config, dict(zip(self._config.categories, shares, strict=True)))

    async def _prototypes(self, embedding: str) -> Vectors:
        """A row per category, by the embedder that made the e-mail's vector."""
        if self._known is None or self._known[0] != embedding:
            groups = [_texts(category) for category in self._config.categories.values()]
            made, rows = await self._vectors(tuple(text for group in groups for text in group))
            if made != embedding:
                raise Unavailable("embed changes its model just now: categories must wait")
            ends = np.cumsum([len(group) for group in groups])[:-1]
            means = [part.mean(axis=0) for part in np.split(rows, ends)]
            self._known = embedding, np.stack(means)
        return self._known[1]

    async def _vectors(self, texts: tuple[str, ...]) -> tuple[str, Vectors]:
        rows: list[tuple[float, ...]] = []
        embedding = ""
        self._silent = True
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            some = texts[start : start + TEXTS_AT_ONCE]
            answer = await self._embed(EmbedQuery(texts=some, kind="query", sparse=False))
            rows += [vector.dense for vector in answer.vectors]
            embedding = answer.embedding
        self._silent = False
        return embedding, np.array(rows, dtype=np.float32)


def confidences(mail: Vectors, prototypes: Vectors) -> list[float]:
    """Shares in [0, 1] that add up to 1: a softmax over the mail's mean cosine to the texts of
    each category, whose mean vectors (rows, not normalised) are `prototypes`."""
    scores = (prototypes @ mail) / TEMPERATURE
    weights = np.exp(scores - scores.max())
    return [float(share) for share in weights / weights.sum()]


def chosen(config: Triage, shares: dict[str, float]) -> Sorted:
    """The likeliest category when it is likely enough, else the fallback."""
    ranked = dict(sorted(shares.items(), key=lambda pair: -pair[1]))
    best = next(iter(ranked))
    least = config.categories[best].threshold
    if ranked[best] >= (config.threshold if least is None else least):
        return Sorted(best, config.categories[best], ranked)
    name = config.fallback
    return Sorted(name, config.categories[name] if name else None, ranked, fallback=True)


def undrafted(found: Sorted) -> str:
    """Why an e-mail of a category without drafts is skipped, in French."""
    if found.fallback:
        return (
            f"Aucune catégorie n'est assez probable : l'e-mail est rangé dans « {found.name} », "
            "qui est configurée sans brouillon."
        )
    share = round(100 * found.confidence[found.name or ""])
    return f"Catégorie « {found.name} » (confiance {share} %) : elle est configurée sans brouillon."


def _texts(category: Category) -> list[str]:
    return [category.description, *(text[:MAX_CHARS] for text in category.examples)]
