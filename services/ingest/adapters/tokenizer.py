"""The embedder's tokenizer, read from its `tokenizer.json`."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from huggingface_hub import hf_hub_download
from tokenizers import Tokenizer

NAME = "tokenizer.json"
_CACHED = 10_000
_CACHED_LENGTH = 500


def from_hub(model: str) -> Path:
    """The folder of a model's tokenizer, downloaded when it is not cached; raises OSError."""
    repository = model if "/" in model else f"sentence-transformers/{model}"
    return Path(hf_hub_download(repository, NAME)).parent


def tokenizer_file(directory: Path) -> Path:
    """The tokenizer of a model directory; raises FileNotFoundError with what to do."""
    path = directory / NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"no {NAME} in {directory}: fetch the embedder with `sourcier models fetch`"
        )
    return path


class FileTokenCounter:
    """Counts tokens with the tokenizer of a model directory; safe to use from threads."""

    def __init__(self, directory: Path) -> None:
        """Raises FileNotFoundError when there is no tokenizer."""
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file(directory)))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # Titles and heading paths come back for every chunk.
        self._short = lru_cache(maxsize=_CACHED)(self._count)

    def count(self, text: str) -> int:
        """How many tokens the text has, without the model's own marks."""
        return self._short(text) if len(text) <= _CACHED_LENGTH else self._count(text)

    def ends(self, text: str) -> Sequence[int]:
        """The character offset after each token, ascending."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return [end for _, end in encoding.offsets]

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
