"""Which files may be in a model directory, and what each of them must be. Pure: names and bytes.

The list names what is let in, so a format nobody thought of is refused. Nothing that is let in
can carry code: weights are safetensors, the rest is JSON or text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from shared.settings import MIB, Misconfigured

MANIFEST = "manifest.json"
"""Written by us beside the model's own files."""
CARD = "README.md"
MAX_FILES = 2000
MAX_DEPTH = 4
MAX_TEXT = 64 * MIB
"""Bytes of a file other than weights; the largest tokenizers have about 40 MiB."""

_TEXT = {".json", ".jinja", ".txt", ".md"}
_VOCABULARY = re.compile(r".*\.(model(\.v\d+)?|tiktoken)", re.IGNORECASE)
_PAPERS = re.compile(r"(licen[cs]e|notice|copying|use_policy)([-._].*)?", re.IGNORECASE)
_HARMLESS = {".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf"}
_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz", ".joblib", ".dill"}
_CODE = {".py", ".pyc", ".so", ".dll", ".dylib", ".sh", ".js", ".ipynb"}
_CUSTOM_CODE = {"auto_map", "custom_pipelines"}
_TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+")


class Refused(Misconfigured):
    """The model is not let in; names the file and what to do."""


def sort(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The names (relative, with ``/``) that are let in and those left out, sorted.

    Raises ``Refused`` for one that must not be there.
    """
    taken: list[str] = []
    left: list[str] = []
    for count, name in enumerate(sorted(names)):
        if count == MAX_FILES:
            raise Refused(f"more than {MAX_FILES} files: this is no model directory")
        (taken if _taken(name) else left).append(name)
    return taken, left


def check_path(name: str) -> PurePosixPath:
    """``name`` as a path that stays in its folder. Raises ``Refused``."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or ":" in name:
        raise Refused(f"{name!r} leads out of the model's folder")
    if not name.isprintable():
        raise Refused(f"{name!r} has characters that no file of a model has")
    return path


def _taken(name: str) -> bool:
    """Whether a file is part of the model; False for what is harmless and of no use to it."""
    path = check_path(name)
    if name == MANIFEST or any(part.startswith(".") for part in path.parts):
        return False
    suffix = path.suffix.lower()
    if suffix in _CODE:
        raise Refused(f"{name} is code; a model that needs its own code is not run here")
    if suffix in _PICKLES:
        raise Refused(
            f"{name} may be a pickle, which runs code when it is loaded; only safetensors are let "
            "in: remove it if the same weights are there as .safetensors, else convert them"
        )
    if suffix == ".gguf":
        raise Refused(f"{name} is GGUF: import that file by itself, it is converted on the way")
    if len(path.parts) > MAX_DEPTH:
        raise Refused(f"{name} lies deeper than {MAX_DEPTH} folders: this is no model directory")
    if suffix in _HARMLESS:
        return False
    if suffix in _TEXT | {".safetensors"} or _VOCABULARY.fullmatch(path.name):
        return True
    if _PAPERS.fullmatch(path.name):
        return True
    raise Refused(
        f"{name} is none of the files that a model is made of (safetensors, JSON, tokenizer, "
        "template, model card, licence); remove it from the folder"
    )


def check_content(name: str, data: bytes) -> None:
    """Whether a file other than weights is what its name says. Raises ``Refused``."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".json":
        check_json(name, data)
    elif _VOCABULARY.fullmatch(name):
        # SentencePiece's protobuf begins with its first piece, tiktoken's lists are text: neither
        # a pickle nor an archive passes.
        if data[:1] != b"\n" and not all(map(_TIKTOKEN.fullmatch, data.splitlines() or [b""])):
            raise Refused(f"{name} is no SentencePiece or tiktoken vocabulary")
    else:
        _text(name, data)


def check_json(name: str, data: bytes) -> Any:
    """The parsed file. Raises ``Refused`` when it is no JSON or asks for code of its own."""
    text = _text(name, data)
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _checked(name, pairs))
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name} cannot be read as JSON: {error}") from error


def _checked(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without a wish for code; the pairs show a key even when it is given twice."""
    for key, value in pairs:
        # A vocabulary may hold these words as tokens, whose values are numbers.
        wish = key in _CUSTOM_CODE and isinstance(value, str | list | dict) and bool(value)
        trust = key == "trust_remote_code" and (value is True or isinstance(value, str))
        if wish or trust:
            raise Refused(
                f"{name} asks for code of the model's own ({key}), which is not run here: "
                "choose a model whose architecture the libraries know, or remove the entry"
            )
    return dict(pairs)


def _text(name: str, data: bytes) -> str:
    if len(data) > MAX_TEXT:
        raise Refused(f"{name} has {len(data)} bytes, more than {MAX_TEXT}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{name} is not the text that its name says: {error}") from error
    if "\0" in text:
        raise Refused(f"{name} is not the text that its name says: it has NUL bytes")
    return text


def check_whole(files: Mapping[str, Any]) -> None:
    """Whether the parsed JSON ``files`` by name (others: None) make a model that can be loaded.

    Raises ``Refused`` when weights, their settings or a listed shard are missing.
    """
    weights = [name for name in files if name.lower().endswith(".safetensors")]
    if not weights:
        raise Refused("there are no weights: a model directory has .safetensors files")
    if "config.json" not in files and "adapter_config.json" not in files:
        raise Refused("there is no config.json: this is no model directory")
    for name, content in files.items():
        if not name.endswith(".safetensors.index.json"):
            continue
        listed = content.get("weight_map") if isinstance(content, dict) else None
        folder = PurePosixPath(name).parent
        for shard in sorted(set(listed.values()) if isinstance(listed, dict) else ()):
            if str(folder / str(shard)) not in files:
                raise Refused(f"{name} lists {shard}, which is not there: copy the whole model")
    _check_modules(files.get("modules.json"))


def _check_modules(modules: Any) -> None:
    """A sentence-transformers model may name classes of that library and folders of its own."""
    for entry in modules if isinstance(modules, list) else ():
        module = entry if isinstance(entry, dict) else {}
        kind, path = str(module.get("type")), str(module.get("path", ""))
        if not kind.startswith("sentence_transformers."):
            raise Refused(f"modules.json names {kind}, code of the model's own: it is not run here")
        if path:
            check_path(path)
