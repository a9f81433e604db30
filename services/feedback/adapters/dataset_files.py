"""Datasets as files: Parquet and JSON lines by kind and side, written and read in pieces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from services.feedback.training.columns import schema
from services.feedback.training.pairs import Excluded, Kind
from services.feedback.training.splitting import SPLITS, Split

PIECE = 128
"""Rows of a row group: some MB."""
EXCLUDED = "excluded.jsonl"
Side = tuple[Kind, Split]


class DatasetFolder:
    """Writes the rows of a version below ``folder``; ``close`` makes its files whole."""

    def __init__(self, folder: Path, kinds: frozenset[Kind]) -> None:
        self._folder = folder
        self._rows: dict[Side, list[dict[str, Any]]] = {}
        self._tables: dict[Side, Any] = {}
        self._lines: dict[Side, TextIO] = {}
        self._schemas = {kind: schema(kind) for kind in kinds}
        self._excluded = (folder / EXCLUDED).open("w", encoding="utf-8")
        for kind in sorted(kinds):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            for split in SPLITS:
                path = folder / kind / split
                self._rows[kind, split] = []
                self._tables[kind, split] = pq.ParquetWriter(
                    path.with_suffix(".parquet"), self._schemas[kind], compression="zstd"
                )
                self._lines[kind, split] = path.with_suffix(".jsonl").open("w", encoding="utf-8")

    def add(self, kind: Kind, split: Split, values: dict[str, Any]) -> None:
        row = {name: values.get(name) for name in self._schemas[kind].names}
        self._lines[kind, split].write(json.dumps(row, ensure_ascii=False, default=_plain) + "\n")
        rows = self._rows[kind, split]
        rows.append(row)
        if len(rows) >= PIECE:
            self._flush(kind, split)

    def leave_out(self, excluded: Excluded) -> None:
        told = {"kind": excluded.kind, "reason": excluded.reason, "draft_id": excluded.draft_id}
        self._excluded.write(json.dumps(told, default=_plain) + "\n")

    def close(self) -> None:
        """Finish all files; those without rows go, `load_dataset` takes none."""
        for kind, split in self._rows:
            self._flush(kind, split)
            self._tables[kind, split].close()
            lines = self._lines[kind, split]
            empty = lines.tell() == 0
            lines.close()
            if empty:
                for suffix in (".parquet", ".jsonl"):
                    (self._folder / kind / f"{split}{suffix}").unlink()
        self._excluded.close()

    def _flush(self, kind: Kind, split: Split) -> None:
        rows = self._rows[kind, split]
        if rows:
            table = pa.Table.from_pylist(rows, schema=self._schemas[kind])
            self._tables[kind, split].write_table(table)
            rows.clear()


class ParentFolder:
    """The rows of an earlier version in ``folder``, read along with ascending e-mails."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[Side, Iterator[dict[str, Any]]] = {}
        self._next: dict[Side, dict[str, Any] | None] = {}
        self._now: dict[Side, tuple[str, dict[str, dict[str, Any]]]] = {}

    def rows(self, kind: Kind, split: Split, mail_id: UUID) -> dict[str, dict[str, Any]]:
        side, wanted = (kind, split), str(mail_id)
        if side not in self._read:
            self._read[side] = self._rows(kind, split)
            self._next[side] = next(self._read[side], None)
        if self._now.get(side, ("",))[0] != wanted:
            self._now[side] = (wanted, self._of(side, wanted))
        return self._now[side][1]

    def _of(self, side: Side, mail_id: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        while (row := self._next[side]) is not None and row["mail_id"] <= mail_id:
            if row["mail_id"] == mail_id:
                found[row["id"]] = row
            self._next[side] = next(self._read[side], None)
        return found

    def _rows(self, kind: Kind, split: Split) -> Iterator[dict[str, Any]]:
        path = self._folder / kind / f"{split}.parquet" if self._folder else None
        if path is None or not path.exists():
            return
        file = pq.ParquetFile(path)
        if file.schema_arrow.names != schema(kind).names:
            return  # other columns: all rows are made anew
        for batch in file.iter_batches(batch_size=PIECE):
            yield from batch.to_pylist()


def described(folder: Path) -> list[dict[str, Any]]:
    """Path, bytes, SHA-256 and rows of each file below ``folder``."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [_file(folder, path) for path in files]


def _file(folder: Path, path: Path) -> dict[str, Any]:
    with path.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    found: dict[str, Any] = {
        "path": path.relative_to(folder).as_posix(),
        "bytes": path.stat().st_size,
        "sha256": digest,
    }
    if path.suffix == ".parquet":
        found["rows"] = pq.ParquetFile(path).metadata.num_rows
    return found


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
