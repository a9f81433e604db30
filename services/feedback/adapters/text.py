"""Text as PostgreSQL takes it: it refuses U+0000."""

from __future__ import annotations

import re

_NUL_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def storable(json: str) -> str:
    """`json` without U+0000, which jsonb refuses."""
    return _NUL_ESCAPE.sub(r"\1", json)


def clean(text: str) -> str:
    """`text` without U+0000, which PostgreSQL refuses."""
    return text.replace("\x00", "")
