"""The base of all sections of the configuration file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section of the configuration file; an unknown name in it is an error."""

    model_config = ConfigDict(extra="forbid")
