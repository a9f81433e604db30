"""An embedding model for tests: vectors from hashed words, so texts that share words are near."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from services.embed.dispatch import Tokens, Vectors


class HashEncoder:
    """Deterministic, 384 dimensions, one token a word; keeps the `batches` that it encoded."""

    dimension = 384
    max_tokens = 512

    def __init__(self, batch_tokens: int = 1024, batch_items: int = 256) -> None:
        self.batch_tokens = batch_tokens
        self.batch_items = batch_items
        self.batches: list[list[Tokens]] = []

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        return [self._words(text)[: self.max_tokens] for text in texts]

    def encode(self, batch: Sequence[Tokens]) -> Vectors:
        self.batches.append([list(tokens) for tokens in batch])
        rows = np.stack([np.sum([self._direction(t) for t in tokens], axis=0) for tokens in batch])
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(unit, dtype=np.float32)

    def _words(self, text: str) -> Tokens:
        return [0] + [zlib.crc32(word.encode()) for word in re.findall(r"\w+", text.lower())]

    def _direction(self, token: int) -> Vectors:
        return np.random.default_rng(token).standard_normal(self.dimension, dtype=np.float32)
