"""Where the configured model lies, and a hash of what it is made of."""

import hashlib
import json
import os
from pathlib import Path

from services.embed.adapters.model_files import MANIFEST
from shared.settings import Embedding, Misconfigured, model_cache

FETCHED = "multilingual-e5-small"
"""The name that stands for the model of `python -m services.embed.fetch`."""
_PARTS = ("*.safetensors", "*.json", "*.txt", "*.model")


class ModelMissing(Misconfigured):
    """The model is not on this machine; the message says how to get it."""


def locate(config: Embedding) -> Path:
    """The directory of `config.model`: a path, the fetched model, or a name of the hub's cache.

    The hub itself is asked only when `offline` is false. Raises ModelMissing.
    """
    if Path(config.model).is_dir():
        return _checked(Path(config.model).resolve())
    if config.model == FETCHED:
        return _checked(model_cache() / FETCHED)
    return _checked(_from_hub(config))


def model_hash(directory: Path) -> str:
    """SHA-256 over the names and contents of the model's files (of its manifest, if it has one)."""
    manifest = directory / MANIFEST
    if manifest.is_file():
        listed = json.loads(manifest.read_text())["files"]
        # The model card does not decide what a vector is.
        parts = [f"{name} {digest}" for name, digest in listed.items() if name != "README.md"]
    else:
        found = {path for pattern in _PARTS for path in directory.rglob(pattern)}
        parts = [f"{path.relative_to(directory).as_posix()} {_sha256(path)}" for path in found]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def _checked(directory: Path) -> Path:
    if not directory.is_dir():
        raise ModelMissing(
            f"the embedding model is not there yet: {directory}\nrun `sourcier models fetch`"
        )
    wanted = ("modules.json", "config.json", "tokenizer.json")
    missing = [name for name in wanted if not (directory / name).is_file()]
    if missing:
        raise ModelMissing(
            f"{directory} is not a sentence-transformers directory that can be used: "
            f"it has no {', '.join(missing)}"
        )
    return directory


def _from_hub(config: Embedding) -> Path:
    os.environ.setdefault("HF_HUB_OFFLINE", "1" if config.offline else "0")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name = config.model if "/" in config.model else f"sentence-transformers/{config.model}"
    try:
        found = snapshot_download(
            name,
            local_files_only=config.offline,
            ignore_patterns=["*.bin", "*.h5", "*.onnx", "*.msgpack", "onnx/*", "openvino/*"],
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelMissing(
            f"no embedding model {config.model!r}: neither a directory nor in the hub's cache "
            f"({error})\nSet [embedding] model to a directory, or offline = false to download it."
        ) from error
    return Path(found)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
