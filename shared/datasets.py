"""Settings of the datasets made from reviews, ``[datasets]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.section import Section


class Datasets(Section):
    """How `sourcier export` divides rows and what it leaves as it is."""

    seed: str = "sourcier"
    """Decides with the thread on which side a row is; another seed deals all rows anew."""
    validation: float = Field(default=0.05, ge=0, lt=0.5)
    """Share of threads."""
    test: float = Field(default=0.05, ge=0, lt=0.5)
    kept: Path | None = None
    """A TOML file with lists of places and institutions that are no personal data, beside those
    that this package knows."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that look for personal data, the slow part of an export; 0.4 GB each."""
