"""Term indices of words, as the BM25 vectors number them (Qdrant's own tokeniser)."""

from __future__ import annotations

from qdrant_edge import Bm25, Bm25Config


def term_indices(text: str) -> frozenset[int]:
    """Indices of the words of ``text``: French stemming, accents folded, as embed computes them."""
    model = Bm25(Bm25Config(language="french", ascii_folding=True))
    return frozenset(model.embed_query(text).indices)
