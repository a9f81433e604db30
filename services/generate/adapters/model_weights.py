"""Weights of a language model on this machine."""

from __future__ import annotations

from pathlib import Path

from shared.models.local import local
from shared.models.policy import Refused
from shared.objects import S3Objects
from shared.settings import Misconfigured, load


def weights(model: str) -> Path:
    """The directory of ``model``, from the object store when one is configured.

    Errors are those of ``shared.models.local``.
    """
    objects = load().objects
    store = S3Objects(objects) if objects.secret_key.get_secret_value() else None
    return local(model, store)


def adapter(name: str, source: str) -> Path:
    """The directory of LoRA adapter ``name``: found and held against the policy as a model is,
    because vLLM would unpickle an `adapter_model.bin`. Raises ``Refused``, ``Unavailable``.
    """
    try:
        return weights(source)
    except Misconfigured as error:
        raise Refused(f"adapter {name}: {error}") from error
