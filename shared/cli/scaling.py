"""``--scale NAME=N``: how many processes of each service run side by side."""

from __future__ import annotations

from collections.abc import Iterable

from shared.cli.problem import Problem
from shared.settings import Settings
from shared.topology import SAYS

MOST = 16


def scaled(words: Iterable[str], config: Settings) -> dict[str, int]:
    """Processes by service, for those that were named. Raises ``Problem`` with what to write."""
    found: dict[str, int] = {}
    for word in words:
        name, _, number = word.partition("=")
        if name not in SAYS:
            raise Problem(f"--scale {word}: no service {name!r}; one of {', '.join(sorted(SAYS))}")
        if not number.isdecimal() or not 1 <= int(number) <= MOST:
            raise Problem(f"--scale {word}: write --scale {name}=N with N from 1 to {MOST}")
        if name == "mail" and not config.bridge.configured:
            raise Problem("--scale mail: the bridge is not configured ([bridge] in sourcier.toml)")
        found[name] = int(number)
    if found.get("retrieve", 1) > 1 and config.retrieval.index == "edge":
        raise Problem(
            "retrieve is one process while its index lies inside it; with a Qdrant server "
            '([retrieval] index = "server" and its url) it can be several'
        )
    return found


def replicas(service: str, scale: dict[str, int]) -> list[str]:
    """Names of the processes of ``service``: its own, then with -2, -3…"""
    return [service, *(f"{service}-{n}" for n in range(2, scale.get(service, 1) + 1))]
