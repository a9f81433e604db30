"""Which side of a dataset a row is on: by its thread, the same in every version. Pure."""

from __future__ import annotations

from typing import Literal, get_args
from uuid import UUID

from shared.identity import sha256

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
_WHOLE = 16**12


def split_of(thread: UUID, seed: str, validation: float, test: float) -> Split:
    """The side of all rows of ``thread``; ``validation`` and ``test`` are shares of threads.

    It depends on nothing else, so that no row changes sides between versions, and no answer to a
    thread is in both training and test.
    """
    place = int(sha256(f"{seed}\x1f{thread}".encode())[:12], 16) / _WHOLE
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"
