"""What is known of a stored model: origin, licence, and the hash of every file. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.models.policy import CARD, Refused, sort

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,95}$")]
Kind = Literal["chat", "embedding", "adapter"]


class File(BaseModel):
    """Size in bytes and SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    sha256: Sha256


class Manifest(BaseModel):
    """A model as it was let in; ``source`` says where from, in words of its fetcher."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Kind
    source: dict[str, str]
    licence: str
    created: datetime
    files: dict[str, File]

    @property
    def digest(self) -> str:
        """SHA-256 over names and hashes of all files: where they are stored."""
        return _over({name: file.sha256 for name, file in self.files.items()})

    @property
    def fingerprint(self) -> str:
        """The same without the model card, which does not decide what the model computes."""
        return _over({n: file.sha256 for n, file in self.files.items() if n != CARD})

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def _over(hashes: Mapping[str, str]) -> str:
    lines = sorted(f"{name} {digest}" for name, digest in hashes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read(data: bytes | str) -> Manifest:
    """A manifest from outside: its file names are checked as the files' are. Raises ``Refused``."""
    try:
        found = Manifest.model_validate_json(data)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise Refused(f"the manifest cannot be read: {told}") from error
    _, left = sort(found.files)
    if left:
        raise Refused(f"the manifest lists {left[0]}, which is no part of a model")
    return found


def name_of(model: str) -> str:
    """The name under which a model is kept: of `org/Name` the last part in small letters.

    Raises ``Refused``.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", model.rstrip("/").rsplit("/", 1)[-1].lower())
    name = name.strip("-._")
    if not name or len(name) > 96:
        raise Refused(f"{model!r} makes no name for a model: give one with --name")
    return name


def kind_of(files: Mapping[str, Any]) -> Kind:
    """What a model is for, by its files."""
    if "adapter_config.json" in files and "config.json" not in files:
        return "adapter"
    return "embedding" if "modules.json" in files else "chat"
