"""The embedding fingerprint: vectors are comparable only when they carry the same one."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from shared.identity import short_hash


@dataclass(frozen=True)
class EmbeddingRecipe:
    """All that decides what vector a text gets.

    `model` is a hash over the model's files: weights, tokenizer, pooling and further modules.
    Device and number format are left out: they change a vector by less than 1e-4 in cosine.
    """

    name: str
    model: str
    dimension: int
    max_tokens: int
    query_prefix: str
    passage_prefix: str
    sparse: Mapping[str, str | float | bool]

    def fingerprint(self) -> str:
        """`<name>-<16 hexadecimal digits>`, fit for an object key and a collection's name."""
        return f"{_slug(self.name)}-{short_hash(json.dumps(asdict(self), sort_keys=True))}"


def _slug(name: str) -> str:
    letters = (c if c.isascii() and c.isalnum() else "-" for c in name.lower().rsplit("/")[-1])
    return "".join(letters).strip("-")[:40] or "model"
