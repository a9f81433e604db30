"""Where the configured model lies, and a hash of what it is made of."""

import hashlib
from pathlib import Path

from shared.models import directory as directories
from shared.models.local import ModelMissing, local
from shared.models.policy import Refused
from shared.objects import ObjectStore
from shared.settings import Embedding

_PARTS = ("*.safetensors", "*.json", "*.txt", "*.model")
_NEEDED = ("modules.json", "config.json", "tokenizer.json")


def locate(config: Embedding, store: ObjectStore | None = None) -> Path:
    """The directory of `config.model`, as `shared.models.local` finds it; the same errors."""
    found = local(config.model, store)
    missing = [name for name in _NEEDED if not (found / name).is_file()]
    if missing:
        raise ModelMissing(
            f"{found} is not a sentence-transformers directory that can be used: "
            f"it has no {', '.join(missing)}"
        )
    return found


def model_hash(directory: Path) -> str:
    """SHA-256 over the names and contents of the model's files (of its manifest, if it has one).

    The model card does not decide what a vector is.
    """
    try:
        return directories.written(directory).fingerprint
    except (FileNotFoundError, Refused):  # a directory of the user's own
        found = {path for pattern in _PARTS for path in directory.rglob(pattern)}
        parts = [f"{p.relative_to(directory).as_posix()} {directories.sha256(p)}" for p in found]
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()
