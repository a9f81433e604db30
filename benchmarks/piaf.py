"""PIAF as e-mails with known answers: which questions, what is withheld, what supports what."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.library import Hidden, Page
from services.retrieve.passages import StoredPassage
from shared.identity import document_id

DATA = Path(__file__).parents[2] / "shared" / "data" / "retrieval" / "piaf"
LEAST_WORDS = 3
"""Words of four letters and more (or figures) that a question must have to stand alone: « Combien
d'employeurs ? » asks nothing without its paragraph."""


@dataclass(frozen=True)
class Asked:
    """A question with its known answers and the paragraph that holds them."""

    text: str
    answers: tuple[str, ...]
    paragraph: str

    @property
    def document(self) -> UUID:
        """The paragraph as a document of the index."""
        return document_id("default", f"{self.paragraph}.txt")

    def answered_in(self, text: str) -> bool:
        """Whether a known answer stands in ``text``, case, accents and punctuation aside."""
        return any(f" {plain(each)} " in f" {plain(text)} " for each in self.answers)

    @property
    def withheld(self) -> Hidden:
        """Hides the paragraph and every other passage in which a known answer stands."""

        def hidden(passage: StoredPassage) -> bool:
            return passage.document_id == self.document or self.answered_in(passage.text)

        return hidden


def plain(text: str) -> str:
    """Words in lower case without accents, one space between them."""
    folded = unicodedata.normalize("NFKD", text.lower().replace("œ", "oe"))
    kept = "".join(c for c in folded if not unicodedata.combining(c))
    return " ".join(re.findall(r"\w+", kept))


def rows(name: str) -> list[dict[str, Any]]:
    """The JSON lines of one file of the data set."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def pages(paragraphs: Iterable[dict[str, Any]] | None = None) -> list[Page]:
    """Paragraphs as documents with the title of their article; all by default."""
    chosen = rows("corpus.jsonl.gz") if paragraphs is None else paragraphs
    return [Page(f"{row['_id']}.txt", row["text"].encode(), row["title"]) for row in chosen]


def questions() -> list[Asked]:
    """All questions that stand alone, in an order that depends on their ids only."""
    texts = {row["_id"]: row for row in rows("queries.jsonl.gz")}
    pairs = (line.split("\t")[:2] for line in (DATA / "qrels.tsv").read_text().splitlines()[1:])
    ordered = sorted(pairs, key=lambda pair: order(pair[0]))
    made = [
        Asked(_asking(texts[query]["text"]), tuple(texts[query]["answers"]), paragraph)
        for query, paragraph in ordered
    ]
    return [each for each in made if len(telling(each.text)) >= LEAST_WORDS]


def split(count: int) -> tuple[list[Asked], list[Asked]]:
    """``count`` questions to measure with, one a paragraph, and those of all other paragraphs."""
    measured: dict[str, Asked] = {}
    every = questions()
    for each in every:
        if len(measured) < count:
            measured.setdefault(each.paragraph, each)
    return list(measured.values()), [q for q in every if q.paragraph not in measured]


def order(key: str) -> str:
    """A fixed order that has nothing to do with the data set's own."""
    return hashlib.sha256(key.encode()).hexdigest()


def _asking(text: str) -> str:
    text = text.strip()
    return text if text.endswith("?") else f"{text} ?"


def telling(text: str) -> list[str]:
    """Words of four letters and more, cut to six, and figures: another measure than the checks'."""
    return [w if w.isdigit() else w[:6] for w in plain(text).split() if len(w) > 3 or w.isdigit()]


SUPPORTED = 0.6


def supports(statement: str, passage: str) -> bool:
    """Whether ``passage`` supports ``statement``, judged otherwise than the checks do.

    At least ``SUPPORTED`` of the statement's telling words stand in the passage in the same order
    (longest common subsequence), and all of its figures stand there in any order.
    """
    said, held = telling(statement), telling(passage)
    figures = set(re.findall(r"\d+", statement)) - set(re.findall(r"\d+", passage))
    return bool(said) and not figures and _common(said, held) >= SUPPORTED * len(said)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for column, candidate in enumerate(other, start=1):
            kept = row[column]
            row[column] = before + 1 if word == candidate else max(row[column], row[column - 1])
            before = kept
    return row[-1]
