"""A model from a hub (`HF_ENDPOINT`, by default huggingface.co): its safetensors and their like."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from shared.models import policy
from shared.models.policy import Refused
from shared.settings import Misconfigured

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class HubUnreachable(Misconfigured):
    """The hub does not give the model; the message says why and what to do."""


def is_name(model: str) -> bool:
    """Whether ``model`` can be a repository: `org/name`."""
    return bool(_NAME.fullmatch(model))


def download(
    model: str, folder: Path, vet: Callable[[], object]
) -> tuple[dict[str, str], list[str]]:
    """Bring what the policy lets in of repository ``model`` into ``folder``; interrupted
    downloads are continued.

    ``vet`` is called when all but the weights is there, and may refuse them before gigabytes are
    loaded. Returns where it came from and the names left out. Raises ``Refused`` when it has no
    safetensors, ``HubUnreachable``, ``Misconfigured`` when the disk is full.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Here, because it takes long to import.
    import httpx2
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        info = HfApi().model_info(model)
        names = [each.rfilename for each in info.siblings or ()]
        taken = _taken(names)
        get = partial(snapshot_download, model, revision=info.sha, local_dir=folder)
        _keep_only(folder, f"{constants.ENDPOINT} {model} {info.sha}")
        patterns = [glob.escape(name) for name in taken]
        get(allow_patterns=patterns, ignore_patterns=["*.safetensors"])
        vet()
        get(allow_patterns=patterns)
    except (
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        httpx2.HTTPError,
        OSError,
    ) as e:
        raise _told(e, model, folder, constants.ENDPOINT) from e
    source = {"hub": constants.ENDPOINT, "model": model, "revision": str(info.sha)}
    return source, sorted(set(names) - set(taken))


def _told(error: Exception, model: str, folder: Path, endpoint: str) -> Misconfigured:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Misconfigured(
            f"no room for {model} in {folder.parent}: free some and run this again, which goes on "
            "from there, or name a folder with more by SOURCIER_CACHE"
        )
    first = str(error).strip().splitlines()[:1] or [repr(error)]
    return HubUnreachable(
        f"{model} cannot be had from {endpoint}: {first[0]}\n"
        "Without a connection to a hub, bring the model as a directory or an archive and "
        "import that; HF_ENDPOINT names a mirror, HF_TOKEN opens what needs an account."
    )


def _keep_only(folder: Path, source: str) -> None:
    """Clear what another source or revision left in ``folder``: it would pass for this one's."""
    mark = folder / ".cache" / "source"  # no part of the model, as the client's own notes there
    if not mark.is_file() or mark.read_text() != source:
        shutil.rmtree(folder, ignore_errors=True)
        mark.parent.mkdir(parents=True)
        mark.write_text(source)


def _taken(names: list[str]) -> list[str]:
    """What is downloaded. Raises ``Refused`` when there are no safetensors."""
    found = []
    for name in names:
        try:
            found += policy.sort([name])[0]
        except Refused:  # pickles and code may lie in a repository: they are not brought here
            continue
    sharded = "model.safetensors.index.json" in found
    if sharded:  # Mistral's repositories hold the same weights a second time
        found = [name for name in found if not os.path.basename(name).startswith("consolidated")]
    if not any(name.endswith(".safetensors") for name in found):
        raise Refused("the repository has no .safetensors files: choose a model that has")
    return found
