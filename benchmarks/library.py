"""Documents in an index of this process, asked as the journey asks them.

The embedder, its prefixes, the index and the search are the services' own; only the bus is left
out. ``hidden`` takes passages out of what the index answers, as if they had never been added.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import numpy as np

from services.embed.adapters.bm25 import FrenchBm25
from services.embed.adapters.sentence_encoder import SentenceEncoder
from services.embed.app import recipe_of
from services.embed.dispatch import Dispatcher
from services.embed.service import EmbedService
from services.ingest.adapters.tokenizer import FileTokenCounter
from services.ingest.chunking import chunk, context
from services.ingest.formats.model import Limits
from services.ingest.mime import MailLimits, read_mail
from services.ingest.parsing import parse_document
from services.ingest.questions import find_questions, language
from services.retrieve import evidence
from services.retrieve.adapters.french_terms import term_indices
from services.retrieve.adapters.qdrant_edge import EdgeIndex
from services.retrieve.passages import (
    Found,
    IndexQuery,
    PassagePoint,
    StoredPassage,
    Terms,
)
from services.retrieve.service import SearchService
from services.retrieve.versions import Rank, State, point_id
from shared.events import ContextRetrieved, MailAccepted, MailEmbedded
from shared.identity import document_id, passage_id, sha256, stable_id
from shared.newtext.visible import new_text
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import Address, DocumentVersion, MailBlock
from shared.routing import OfMail
from shared.settings import Embedding, Retrieval

NOW = datetime(2026, 11, 4, tzinfo=UTC)
AT_ONCE = 64
Hidden = Callable[[StoredPassage], bool]


def nothing(_: StoredPassage) -> bool:
    """Hides nothing."""
    return False


@dataclass(frozen=True)
class Page:
    """A document; ``data`` is the file, whose type is found as ingest finds it."""

    name: str
    data: bytes
    title: str = ""


@dataclass
class Withholding:
    """The index without the passages that are hidden."""

    index: EdgeIndex
    hidden: Hidden = field(default=nothing)

    async def search(self, embedding: str, queries: Sequence[IndexQuery]) -> list[Found]:
        # Asked for more, so that what is hidden leaves no gap at the end.
        more = [replace(query, candidates=2 * query.candidates) for query in queries]
        asked = queries if self.hidden is nothing else more
        found = await self.index.search(embedding, asked)
        return [
            replace(each, hits=self._shown(each)[: query.candidates])
            for each, query in zip(found, queries, strict=True)
        ]

    def _shown(self, found: Found) -> tuple[Any, ...]:
        return tuple(hit for hit in found.hits if not self.hidden(hit.passage))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.index, name)


class DirectBus:
    """Answers ``query.embed.v1`` at once, for what asks over the bus."""

    def __init__(self, embed: EmbedService) -> None:
        self._embed = embed

    async def ask(self, query: EmbedQuery, _: object, timeout: float = 0) -> EmbedAnswer:
        return await self._embed.answer(query)


class Library:
    """Pages in the index, and the passages that are found for an e-mail."""

    def __init__(self, embed: EmbedService, index: EdgeIndex, model: Path) -> None:
        self.bus = DirectBus(embed)
        self._embed = embed
        self._index = Withholding(index)
        self._count = FileTokenCounter(model)
        self._embedding = ""

    async def add(self, pages: Iterable[Page], *, keep: Path | None = None) -> dict[UUID, Any]:
        """Read, cut, embed and index ``pages``; ``keep`` names a file for the dense vectors.

        Returns the vector of each document's first passage.
        """
        stored = [each for page in pages for each in self._cut(page)]
        texts = [f"{context(p.title, p.heading_path)}\n{p.text}" for p in stored]
        dense = await self._dense(texts, keep)
        sparse = FrenchBm25().encode(texts, "passage")
        await self._index.create(self._embedding, dense.shape[1])
        await self._index.serve(self._embedding)
        points = [
            PassagePoint(
                point_id(p.document_id, p.token, p.start), p, row, Terms(s.indices, s.values)
            )
            for p, row, s in zip(stored, dense, sparse, strict=True)
        ]
        await self._index.write(self._embedding, points)
        for each in {p.document_id: p for p in stored}.values():
            state = State(each.document_id, each.rank, each.token, 1, "default", "public")
            await self._index.advance(self._embedding, state)
            await self._index.reveal(self._embedding, state)
        pairs = zip(reversed(stored), reversed(dense), strict=True)
        return {p.document_id: row for p, row in pairs}

    async def _dense(self, texts: Sequence[str], keep: Path | None) -> Any:
        answer = await self._embed.answer(EmbedQuery(texts=("x",), kind="passage", sparse=False))
        self._embedding = answer.embedding
        if keep is not None and keep.is_file():  # noqa: ASYNC240 - a program of one task
            return np.load(keep)
        rows: list[tuple[float, ...]] = []
        for start in range(0, len(texts), AT_ONCE):
            some = tuple(texts[start : start + AT_ONCE])
            got = await self._embed.answer(EmbedQuery(texts=some, kind="passage", sparse=False))
            rows += [each.dense for each in got.vectors]
            print(f"\rembedded {len(rows)} of {len(texts)} passages", end="", flush=True)
        print()
        vectors = np.asarray(rows, dtype=np.float32)
        if keep is not None:
            np.save(keep, vectors)
        return vectors

    def _cut(self, page: Page) -> list[StoredPassage]:
        parsed = parse_document(page.data, page.name, page.title or None, Limits())
        document, version = document_id("default", page.name), sha256(page.data)
        return [
            StoredPassage(
                passage_id(document, version, each.ordinal), document, str(document),
                Rank(1, 1, 1), DocumentVersion(submitted=NOW, sha256=version),
                page.title or parsed.title, None, each.heading_path, each.page,
                each.start, each.end, each.text, "public", "default",
            )
            for each in chunk(parsed, self._count, 320)
        ]  # fmt: skip

    async def found(self, mail: MailBlock, hidden: Hidden = nothing) -> ContextRetrieved:
        """What retrieve says of ``mail``."""
        self._index.hidden = hidden
        search = SearchService(
            cast("Any", self._index),
            Retrieval(),
            generic_terms=term_indices(evidence.GENERIC),
            embed=self._embed.answer,
            switch=self._never,
            clock=lambda: NOW,
            timer=time.perf_counter,
        )
        return await search.take_mail(await self._embedded(mail))

    async def _embedded(self, mail: MailBlock) -> MailEmbedded:
        accepted = MailAccepted.make(
            source="ingest",
            subject=str(mail.mail_id),
            time=NOW,
            id=stable_id("accepted", str(mail.mail_id)),
            data=OfMail(mail=mail),
        )
        return await self._embed.embed_mail(accepted)

    async def _never(self, _: str) -> bool:
        return False


@asynccontextmanager
async def library(model: Path, folder: Path) -> AsyncIterator[Library]:
    """An empty library with the embedder of ``model``, its index in ``folder``."""
    encoder = SentenceEncoder(model)
    recipe = recipe_of(Embedding(), encoder, model)
    index = EdgeIndex(folder)
    await index.open()
    with ThreadPoolExecutor(1) as thread:
        async with Dispatcher(encoder, thread) as dense:
            service = EmbedService(
                cast("Any", None), dense, FrenchBm25(), recipe, lambda: NOW, time.perf_counter
            )
            yield Library(service, index, model)
    await index.close()


def asked_by_mail(question: str) -> MailBlock:
    """The block of an e-mail that asks ``question`` and nothing else."""
    return _block("Demande de renseignement", f"Bonjour,\n\n{question}\n\nCordialement,\n")


def read_block(raw: bytes) -> MailBlock:
    """The block of a raw e-mail, as ingest reads it (attachments aside)."""
    mail = read_mail(raw, MailLimits())
    return _block(mail.subject, mail.text)


def _block(subject: str, text: str) -> MailBlock:
    said = new_text(text)
    return MailBlock(
        mail_id=stable_id("mail", subject, text),
        mailbox="default",
        thread_id=stable_id("thread", text),
        sender=Address(address="accueil@mairie.example"),
        subject=subject,
        received=NOW,
        new_text=said,
        questions=find_questions(subject, said),
        language=language(said),
        raw_key="mails/default/x.eml",
    )


def of_document(identity: UUID) -> Hidden:
    """Hides the passages of one document."""
    return lambda passage: passage.document_id == identity
