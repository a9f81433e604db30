"""The Parquet files of chunks (read) and of chunks with their vectors (written)."""

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.embed.dispatch import Vectors
from shared.delivery import Invalid
from shared.records import SparseVector

COLUMNS = pa.schema(
    [
        pa.field("passage_id", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("heading_path", pa.list_(pa.string()), nullable=False),
        pa.field("page", pa.int32()),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
    ]
)


def read_chunks(data: bytes, count: int) -> Any:
    """The table of `count` chunks. Raises Invalid, which names the column and row at fault."""
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"the chunk file is no readable Parquet: {error}") from error
    missing = [name for name in COLUMNS.names if name not in table.column_names]
    if missing:
        raise Invalid(f"the chunk file has no column {', '.join(missing)}")
    if table.num_rows != count:
        raise Invalid(f"the chunk file has {table.num_rows} chunks, the event says {count}")
    table = table.select(COLUMNS.names)
    for field in COLUMNS:
        _check(table.column(field.name), field)
    try:
        return table.cast(COLUMNS)
    except (pa.ArrowException, ValueError) as error:
        raise Invalid(f"the chunk file has columns of other types: {error}") from error


def _check(column: Any, field: Any) -> None:
    if field.nullable or not column.null_count:
        return
    row = column.is_null().index(True).as_py()
    raise Invalid(f"the chunk file has no {field.name} in row {row}")


def passage_texts(table: Any, title: str) -> list[str]:
    """What is embedded for each chunk: title and headings on a line, then its text."""
    paths, texts = table.column("heading_path").to_pylist(), table.column("text").to_pylist()
    return [
        f"{' > '.join((title, *path))}\n{text}" for path, text in zip(paths, texts, strict=True)
    ]


def write_vectors(table: Any, dense: Vectors, sparse: Sequence[SparseVector]) -> bytes:
    """The chunks' Parquet file with the columns dense, sparse_indices and sparse_values added."""
    flat = pa.array(dense.reshape(-1), type=pa.float32())
    added = {
        "dense": pa.FixedSizeListArray.from_arrays(flat, dense.shape[1]),
        "sparse_indices": pa.array([v.indices for v in sparse], type=pa.list_(pa.uint32())),
        "sparse_values": pa.array([v.values for v in sparse], type=pa.list_(pa.float32())),
    }
    for name, column in added.items():
        table = table.append_column(pa.field(name, column.type, nullable=False), column)
    sink = io.BytesIO()
    # Vectors have no repetition that a dictionary or a strong compression could use.
    pq.write_table(table, sink, compression="zstd", use_dictionary=False)
    return sink.getvalue()
