"""How far a statement rests on the passages that it cites: by its words and by its meaning.

The weights are fitted by ``python -m benchmarks.citations --fit`` on claims made of PIAF's
questions with their answers, which people worded anew: with the paragraph that they were asked of,
and with the nearest one without the answer. Another embedder needs another fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.generate import sentences
from services.generate.answer import EnginePart
from services.generate.french import terms
from shared.records import Passage

SURE_WORDS = 0.9
"""Share of the statement's content words in a stretch of its passages that needs no vectors."""
LEAST_WORDS = 0.5
"""The share that is enough where vectors cannot be had."""
LEAST_COSINE_FOREIGN = 0.84
"""Where statement and passages are in two languages, there is only the cosine."""
_INTERCEPT, _PER_WORDS, _PER_COSINE = -45.9, 10.7, 47.6
"""The intercept is raised by 0.5: what is removed wrongly is lost, what passes is still read."""
COMPARED_A_PASSAGE = 3
"""Sentences of a cited passage that are compared as vectors, those nearest by words."""
MAX_CHARS = 300
"""Characters of a text that is compared as a vector."""
_WINDOW = 3
"""Sentences that one statement may sum up."""


def cited_text(part: EnginePart, passages: Sequence[Passage]) -> str:
    """All that the cited passages say, their titles and headings included."""
    cited = [passages[index] for index in part.citations]
    return "\n".join(f"{p.title}\n{' '.join(p.heading_path)}\n{p.text}" for p in cited)


def by_words(part: EnginePart, passages: Sequence[Passage]) -> float:
    """Share of the statement's content words in [0, 1], held by its best stretches of sentences.

    One stretch from each cited passage; titles and headings hold words everywhere.
    """
    told = set(terms(part.text))
    if not told:
        return 0.0
    held: set[str] = set()
    for index in part.citations:
        passage = passages[index]
        frame = set(terms(f"{passage.title} {' '.join(passage.heading_path)}"))
        pieces = [set(terms(piece)) for piece in pieces_of(passage.text)]
        stretches = (
            set().union(*pieces[start : start + _WINDOW]) for start in range(max(1, len(pieces)))
        )
        held |= told & (frame | max(stretches, key=lambda found: len(told & found)))
    return len(held) / len(told)


def nearest(part: EnginePart, passages: Sequence[Passage], most: int) -> list[str]:
    """The sentences of the cited passages that share most words with the statement."""
    told = set(terms(part.text))
    found: list[str] = []
    for index in part.citations:
        pieces = pieces_of(passages[index].text)
        pieces.sort(key=lambda piece: -len(told & set(terms(piece))))
        found += [piece[:MAX_CHARS] for piece in pieces[:most]]
    return found


def pieces_of(text: str) -> list[str]:
    """Sentences, list items and rows of a passage."""
    return [piece for line in text.splitlines() for piece in sentences.split(line)]


def supported(words: float, cosine: float | None, *, foreign: bool) -> bool:
    """Whether a statement stands; ``cosine`` with its nearest sentence, if it was computed."""
    if foreign:
        # Nothing to compare with: what figures and names say must do.
        return cosine is None or cosine >= LEAST_COSINE_FOREIGN
    if words >= SURE_WORDS:
        return True
    if cosine is None:
        return words >= LEAST_WORDS
    return _INTERCEPT + _PER_WORDS * words + _PER_COSINE * cosine >= 0
