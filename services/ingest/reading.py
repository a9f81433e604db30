"""One document read whole: parsed, cut, and written as the files that others read."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from services.ingest.chunking import Chunk, TokenCounter, chunk
from services.ingest.formats.model import MAX_TITLE, Limits, ParsedDocument, shorten
from services.ingest.parsing import parse_document
from shared.identity import passage_id

CHUNKING = "4"
"""Raised when the same document would be cut otherwise: part of the chunk files' names."""

_SCHEMA = pa.schema(
    [
        ("passage_id", pa.string()),
        ("ordinal", pa.int32()),
        ("text", pa.string()),
        ("heading_path", pa.list_(pa.string())),
        ("page", pa.int32()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("tokens", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Submission:
    """A document to read. `title` overrides the one found in it."""

    data: bytes
    name: str
    media_type: str | None
    title: str | None
    document_id: UUID
    sha256: str


@dataclass(frozen=True, slots=True)
class Reading:
    """`text` is JSON: title, text, pages [[number, start, end]]; `chunks` Parquet of `count`."""

    title: str
    url: str | None
    text: bytes
    chunks: bytes
    count: int


def read_document(
    submission: Submission, counter: TokenCounter, max_tokens: int, limits: Limits
) -> Reading:
    """Parse and cut a document. Raises Unreadable."""
    document = parse_document(submission.data, submission.name, submission.media_type, limits)
    if submission.title:
        document = replace(document, title=shorten(submission.title, MAX_TITLE))
    chunks = chunk(document, counter, max_tokens)
    return Reading(
        title=document.title,
        url=document.url,
        text=text_file(document),
        chunks=chunk_file(chunks, submission.document_id, submission.sha256),
        count=len(chunks),
    )


def read_text(data: bytes, name: str, media_type: str | None, limits: Limits) -> str:
    """The text of an attachment. Raises Unreadable."""
    return parse_document(data, name, media_type, limits).text


def text_file(document: ParsedDocument) -> bytes:
    """The document's text with its page offsets, in JSON."""
    content = {"title": document.title, "text": document.text, "pages": document.pages}
    return json.dumps(content, ensure_ascii=False).encode()


def chunk_file(chunks: Sequence[Chunk], document_id: UUID, sha256: str) -> bytes:
    """The chunks in Parquet, one row each."""
    rows = [
        {
            "passage_id": str(passage_id(document_id, sha256, part.ordinal)),
            "ordinal": part.ordinal,
            "text": part.text,
            "heading_path": list(part.heading_path),
            "page": part.page,
            "start": part.start,
            "end": part.end,
            "tokens": part.tokens,
        }
        for part in chunks
    ]
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), target, compression="zstd")
    return target.getvalue()
