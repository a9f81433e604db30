"""The columns of each kind of row, as Arrow types. Pure.

Columns that trainers read come first, under the names that TRL and sentence-transformers expect.
"""

from __future__ import annotations

import pyarrow as pa

from services.feedback.training.pairs import Kind

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_TEXTS: dict[Kind, list[tuple[str, pa.DataType]]] = {
    "dpo": [("prompt", MESSAGES), ("chosen", MESSAGES), ("rejected", MESSAGES)],
    "sft": [("prompt", MESSAGES), ("completion", MESSAGES)],
    "retrieval": [("anchor", pa.string()), ("positive", pa.string()), ("negative", pa.string())],
}
_COMMON = [
    ("id", pa.string()),
    ("mail_id", pa.string()),
    ("thread_id", pa.string()),
    ("mailbox", pa.string()),
    ("category", pa.string()),
    ("language", pa.string()),
]
_DRAFT = [
    ("kind", pa.string()),
    ("draft_id", pa.string()),
    ("review_id", pa.string()),
    ("raw_output", pa.string()),
    ("passage_ids", pa.list_(pa.string())),
    ("engine", pa.string()),
    ("model", pa.string()),
    ("prompt_fingerprint", pa.string()),
    ("embedding", pa.string()),
    ("retrieval", pa.string()),
    ("evidence", pa.float64()),
    ("reasons", pa.list_(pa.string())),
    ("note", pa.string()),
    ("edit_distance", pa.int32()),
    ("words_changed", pa.int32()),
    ("failed_checks", pa.list_(pa.string())),
    ("reviewer", pa.string()),
    ("reviewed", pa.timestamp("us", tz="UTC")),
    ("seconds", pa.float64()),
]
_RETRIEVAL = [
    ("positive_kind", pa.string()),
    ("negative_kind", pa.string()),
    ("positive_id", pa.string()),
    ("negative_id", pa.string()),
    ("positive_title", pa.string()),
    ("negative_title", pa.string()),
    ("embedding", pa.string()),
    ("retrieval", pa.string()),
]
_ADDED = [
    ("replaced", pa.list_(pa.struct([("entity", pa.string()), ("count", pa.int32())]))),
    ("source", pa.string()),
]


def schema(kind: Kind) -> pa.Schema:
    """The columns of a kind of row; ``source`` is a hash of what the row was made from."""
    middle = _RETRIEVAL if kind == "retrieval" else _DRAFT
    return pa.schema([*_TEXTS[kind], *_COMMON, *middle, *_ADDED])
