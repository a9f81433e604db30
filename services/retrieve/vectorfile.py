"""Reads a vector file: Parquet bytes in, points of the index out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.retrieve.passages import PassagePoint, StoredPassage, Terms, Vector
from services.retrieve.versions import State, point_id
from shared.delivery import Invalid
from shared.records import DocumentBlock

_COLUMNS = (
    "passage_id",
    "ordinal",
    "text",
    "heading_path",
    "page",
    "start",
    "end",
    "dense",
    "sparse_indices",
    "sparse_values",
)


def read_points(
    body: bytes, document: DocumentBlock, state: State, *, dimension: int
) -> list[PassagePoint]:
    """One point a row of the Parquet file ``body``, as embed writes it.

    Raises ``Invalid`` when it is no Parquet, lacks a column, holds another number of rows than
    ``state.count``, or vectors that are not finite, L2-normalisable and of ``dimension`` values.
    """
    table = _table(body)
    if table.num_rows != state.count:
        raise Invalid(f"the vector file has {table.num_rows} rows, the event says {state.count}")
    dense = _dense(table, dimension)
    rows = table.drop_columns(["dense"]).to_pylist()
    return [_point(row, vector, document, state) for row, vector in zip(rows, dense, strict=True)]


def _table(body: bytes) -> Any:
    try:
        table = pq.read_table(pa.BufferReader(body))
    except (pa.ArrowInvalid, OSError) as error:
        raise Invalid(f"the vector file is no readable Parquet: {error}") from error
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise Invalid(f"the vector file lacks the columns {', '.join(missing)}")
    return table.select(list(_COLUMNS))


def _dense(table: Any, dimension: int) -> Vector:
    column = table.column("dense").combine_chunks()
    flat = np.asarray(column.flatten(), dtype=np.float32)
    if flat.size != table.num_rows * dimension:
        raise Invalid(f"the vector file's vectors do not have {dimension} values each")
    vectors = flat.reshape(table.num_rows, dimension)
    norms = np.linalg.norm(vectors, axis=1)
    if not np.all(np.isfinite(norms)) or np.any(norms == 0):
        raise Invalid("the vector file holds a vector that is zero or not finite")
    normalised: Vector = vectors / norms[:, None]
    return normalised


def _point(
    row: dict[str, Any],
    vector: Vector,
    document: DocumentBlock,
    state: State,
) -> PassagePoint:
    passage = StoredPassage(
        passage_id=UUID(row["passage_id"]),
        document_id=document.document_id,
        token=state.token,
        rank=state.rank,
        version=document.version,
        title=document.title,
        url=document.url,
        heading_path=tuple(row["heading_path"] or ()),
        page=row["page"],
        start=row["start"],
        end=row["end"],
        text=row["text"],
        audience=document.audience,
        collection=document.collection,
    )
    sparse = Terms(row["sparse_indices"], row["sparse_values"])
    name = point_id(document.document_id, state.token, row["ordinal"])
    return PassagePoint(name, passage, vector, sparse)
