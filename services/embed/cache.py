"""Vectors of the sentences and questions asked for lately, which come again and again."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from services.embed.dispatch import Vectors

BYTES = 16 * 2**20
"""For the vectors: 10,900 of 384 dimensions."""

Key = tuple[str, str]
"""How a text is encoded, and the text."""


class VectorCache:
    """At most `size` bytes of float32 vectors; those unused for longest go first."""

    def __init__(self, dimension: int, size: int = BYTES) -> None:
        self._most = max(1, size // (4 * dimension))
        self._vectors: OrderedDict[bytes, Vectors] = OrderedDict()

    def find(self, keys: Sequence[Key]) -> dict[Key, Vectors]:
        """The vectors that are kept, by key."""
        found = {}
        for key in keys:
            digest = _digest(key)
            if digest in self._vectors:
                self._vectors.move_to_end(digest)
                found[key] = self._vectors[digest]
        return found

    def keep(self, vectors: Mapping[Key, Vectors]) -> None:
        """Remember the vectors, shape (dimension,) each."""
        for key, vector in vectors.items():
            # A row of a batch would keep the whole batch.
            self._vectors[_digest(key)] = vector.copy()
        while len(self._vectors) > self._most:
            self._vectors.popitem(last=False)


def _digest(key: Key) -> bytes:
    """Texts themselves are not kept: they are longer, and somebody's."""
    return hashlib.blake2b("\0".join(key).encode(), digest_size=16).digest()
