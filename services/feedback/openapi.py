"""Writes the description of the HTTP API: ``python -m services.feedback.openapi > FILE``."""

from __future__ import annotations

import json
import sys
from typing import cast

from services.feedback.api import build_api
from services.feedback.desk.parts import Desk


def described() -> str:
    """The OpenAPI document as the repository keeps it, ``docs/desk-api.json``."""
    # Nothing is asked of the desk before the first request.
    api = build_api(cast(Desk, None))
    return json.dumps(api.openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(described())
