"""The licence of a model by its card, and whether it is one of those let in. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types

from shared.models.policy import CARD, Refused

MAX_FRONT_MATTER = 64 * 1024
"""Characters."""


def front_matter(card: str) -> dict[str, Any]:
    """The YAML between the two ``---`` lines that a model card begins with; else nothing."""
    lines = card.lstrip("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}
    marks = (n for n, line in enumerate(lines[1:], 1) if line.rstrip() == "---")
    text = "\n".join(lines[1 : next(marks, 0)])[:MAX_FRONT_MATTER]
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def licence_of(card: str | None, given: str | None, allowed: Collection[str]) -> str:
    """The licence ``given`` or that of the ``card``, in small letters. Raises ``Refused``."""
    stated = front_matter(card).get("license") if card else None
    if isinstance(stated, list) and len(stated) == 1:
        stated = stated[0]
    found = given or (stated if isinstance(stated, str) else None)
    names = ", ".join(allowed)
    if not found:
        raise Refused(
            f"the model's licence is not known: its {CARD} has no `license:` of one name. Read "
            f"its licence, then say it with --licence (let in: {names})"
        )
    if found.lower() not in {name.lower() for name in allowed}:
        raise Refused(
            f"the licence {found!r} is not one of those let in ({names}). If you may use the model "
            "under it, add it to [models] licences in sourcier.toml"
        )
    return found.lower()
