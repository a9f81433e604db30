"""Weights of a language model on this machine."""

from __future__ import annotations

from pathlib import Path

from shared.models.local import local
from shared.objects import S3Objects
from shared.settings import load


def weights(model: str) -> Path:
    """The directory of ``model``, from the object store when one is configured.

    Errors are those of ``shared.models.local``.
    """
    objects = load().objects
    store = S3Objects(objects) if objects.secret_key.get_secret_value() else None
    return local(model, store)
