"""BM25 sparse vectors by Qdrant's own model, the one that its server calls `qdrant/bm25`.

A passage's weights hold the saturated term frequency (k, b, average length); a question's are 1;
the inverse document frequency is the index's part (its IDF modifier).
"""

from collections.abc import Sequence
from typing import Literal

import qdrant_edge
from qdrant_edge import Bm25, Bm25Config

from shared.records import SparseVector

LANGUAGE = "french"
K, B = 1.2, 0.75
AVERAGE_LENGTH = 100.0
"""Terms of a passage after stop words: 84 in administrative texts of 900 characters."""


class FrenchBm25:
    """French stemming and stop words, accents folded. Indices are hashes of the stems."""

    def __init__(self) -> None:
        self._model = Bm25(
            Bm25Config(language=LANGUAGE, ascii_folding=True, k=K, b=B, avg_len=AVERAGE_LENGTH)
        )
        self.settings: dict[str, str | float | bool] = {
            "model": "qdrant/bm25",
            "language": LANGUAGE,
            "ascii_folding": True,
            "k": K,
            "b": B,
            "avg_len": AVERAGE_LENGTH,
        }

    def encode(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> list[SparseVector]:
        """One vector per text, indices ascending; a text of stop words only has an empty one."""
        embed = self._model.embed_query if kind == "query" else self._model.embed_document
        return [_sorted(embed(text)) for text in texts]


def _sorted(vector: qdrant_edge.SparseVector) -> SparseVector:
    indices, values = vector.indices, vector.values
    pairs = sorted(zip(indices, values, strict=True))
    return SparseVector(
        indices=tuple(index for index, _ in pairs), values=tuple(value for _, value in pairs)
    )
