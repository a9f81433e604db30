"""The corpora that evidence is fitted on, each in an index of its own, and their questions."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_edge import Bm25, Bm25Config
from sentence_transformers import SentenceTransformer

from services.ingest.adapters.tokenizer import FileTokenCounter
from services.ingest.chunking import chunk, context
from services.ingest.formats.model import Limits
from services.ingest.mime import MailLimits, read_mail
from services.ingest.parsing import parse_document
from services.ingest.questions import find_questions
from services.retrieve.adapters.qdrant_edge import EdgeIndex
from services.retrieve.passages import (
    Found,
    IndexQuery,
    PassagePoint,
    Scope,
    StoredPassage,
    Terms,
)
from services.retrieve.versions import Rank, State, point_id
from shared.identity import sha256, stable_id
from shared.newtext.visible import new_text
from shared.records import DocumentVersion

BM25 = Bm25(Bm25Config(language="french", ascii_folding=True, avg_len=128.0))


CHUNK = 900


CHUNKS_PER_PAGE = 3


EXAMPLES = Path(__file__).parent.parent / "examples"


@dataclass(frozen=True)
class Text:
    """One passage of a page."""

    page: str
    title: str
    text: str


def read(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def chunks(page: str, title: str, text: str) -> list[Text]:
    """Paragraphs packed up to ``CHUNK`` characters, the first few."""
    packed = [""]
    for paragraph in text.split("\n"):
        if packed[-1] and len(packed[-1]) + len(paragraph) > CHUNK:
            packed.append("")
        packed[-1] = f"{packed[-1]}\n{paragraph}".strip()[: 2 * CHUNK]
    return [Text(page, title, each) for each in packed[:CHUNKS_PER_PAGE] if each]


def load(folder: Path, pages: int, chance: random.Random) -> tuple[list[Text], list[Pair]]:
    """Passages of ``pages`` pages, and (question, page) of up to two questions of each."""
    corpus = {row["_id"]: row for row in read(folder / "corpus.jsonl.gz")}
    queries = {row["_id"]: row["text"] for row in read(folder / "queries.jsonl.gz")}
    lines = (folder / "qrels.tsv").read_text().splitlines()[1:]
    asked: dict[str, list[str]] = {}
    for query, page, _ in (line.split("\t") for line in lines):
        asked.setdefault(page, []).append(queries[query])
    chosen = chance.sample(sorted(asked), k=pages)
    texts = [
        each
        for page in chosen
        for each in chunks(
            corpus[page].get("title") or page, corpus[page].get("title", ""), corpus[page]["text"]
        )
    ]
    pairs = [(q, (corpus[p].get("title") or p,)) for p in chosen for q in asked[p][:2]]
    return texts, pairs


def point(text: Text, number: int, vector: np.ndarray[Any, Any]) -> PassagePoint:
    document, body = stable_id("page", text.page), f"{text.title}\n{text.text}".strip()
    rank = Rank(1, 1, 1)
    version = DocumentVersion(submitted=datetime(2026, 1, 1, tzinfo=UTC), sha256=sha256(b""))
    passage = StoredPassage(
        stable_id("passage", str(number)), document, str(document), rank, version, text.title,
        None, (), None, 0, len(text.text), text.text, "public", "default",
    )  # fmt: skip
    sparse = BM25.embed_document(body)
    terms = Terms(list(sparse.indices), list(sparse.values))
    return PassagePoint(point_id(document, "bench", number), passage, vector, terms)


class Encoder:
    """The model, with what it computed before kept in a folder."""

    def __init__(self, name: str, cache: Path | None) -> None:
        self._model, self._cache = SentenceTransformer(name), cache
        self._known: dict[str, Any] = {}
        self.name = name

    def encode(self, texts: Sequence[str]) -> Any:
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            path = (
                self._cache / f"{sha256(json.dumps(missing).encode())}.npy" if self._cache else None
            )
            if path and path.exists():
                vectors = np.load(path)
            else:
                vectors = self._model.encode(missing, batch_size=32, show_progress_bar=True)
            if path:
                path.parent.mkdir(exist_ok=True)
                np.save(path, vectors)
            self._known |= dict(zip(missing, vectors, strict=True))
        return np.stack([self._known[text] for text in texts])


class Corpus:
    """One corpus in an Edge index of its own."""

    def __init__(self, index: EdgeIndex, name: str, model: Encoder) -> None:
        self._index, self.name, self._model = index, name, model

    async def fill(self, texts: Sequence[Text], vectors: Any) -> None:
        await self._index.create(self.name, vectors.shape[1])
        points = [point(t, n, v) for n, (t, v) in enumerate(zip(texts, vectors, strict=True))]
        await self._index.write(self.name, points)
        for token in {each.passage.token for each in points}:
            state = State(stable_id(token), Rank(1, 1, 1), token, 1, "default", "public")
            await self._index.reveal(self.name, state)

    async def ask(self, questions: Sequence[str]) -> list[tuple[IndexQuery, Found]]:
        vectors = self._model.encode([f"query: {q}" for q in questions])
        queries = []
        for text, vector in zip(questions, vectors, strict=True):
            sparse = BM25.embed_query(text)
            terms = Terms(list(sparse.indices), list(sparse.values))
            queries.append(IndexQuery(vector, terms, Scope(("public",)), "hybrid", 40))
        return [(q, (await self._index.search(self.name, [q]))[0]) for q in queries]


def bodies(texts: Sequence[Text]) -> list[str]:
    return [f"passage: {text.title}\n{text.text}" for text in texts]


Pair = tuple[str, tuple[str, ...]]
"""A question and the pages that answer it, none when nothing does."""


def example_texts(model: str) -> list[Text]:
    """The project's own documents, as ingest cuts them; the title holds the headings too."""
    counter, texts = FileTokenCounter(Path(model)), []
    for path in sorted((EXAMPLES / "documents").iterdir()):
        parsed = parse_document(path.read_bytes(), path.name, None, Limits())
        for each in chunk(parsed, counter, 320):
            texts.append(Text(path.name, context(parsed.title, each.heading_path), each.text))
    return texts


def example_pairs() -> list[Pair]:
    """The questions that ingest finds in the example e-mails, with the documents that answer."""
    pairs: list[Pair] = []
    for name, expected in json.loads((EXAMPLES / "mails" / "expected.json").read_text()).items():
        if expected["outcome"] == "skipped":
            continue
        mail = read_mail((EXAMPLES / "mails" / name).read_bytes(), MailLimits())
        answers = expected.get("answers", [])
        pages = tuple(page for answer in answers for page in answer["documents"])
        questions = find_questions(mail.subject, new_text(mail.text))
        pairs += [(question, pages) for question in questions]
    return pairs


def subsets(texts: Sequence[Text], vectors: Any, size: int) -> Iterator[tuple[str, set[str]]]:
    """Smaller corpora, because margin and IDF depend on size and on how alike the pages are.

    "small": pages at random; "topic": the pages nearest to one, as a programme's documents are.
    """
    pages = sorted({text.page for text in texts})
    yield "small", set(pages[:size])
    first = {text.page: n for n, text in reversed(list(enumerate(texts)))}
    matrix = vectors[[first[page] for page in pages]]
    for number in range(4):
        near = np.argsort(-(matrix @ matrix[number * 50]))[:size]
        yield f"topic {number}", {pages[n] for n in near}
