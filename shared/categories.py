"""The section ``[triage]`` of the settings: into which categories e-mails are sorted."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.envelope import Slug


class Category(BaseModel):
    """One category: what is said of it finds its e-mails, the rest is done with them.

    A handful of ``examples`` says more than a description (docs/quality.md has the figures).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field(min_length=1)
    examples: tuple[str, ...] = ()
    """Texts as correspondents write them."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """Instead of the general one: higher where a wrong category costs more."""
    draft: bool = True
    """False: its e-mails are skipped, with the reason ``category``."""
    collections: tuple[Slug, ...] = ()
    """Where its answers are looked for; empty: where the mailbox says."""
    length: Literal["short", "medium", "long"] | None = None
    tone: Literal["formal", "neutral", "warm"] | None = None
    """Of its drafts; absent: those of the mailbox."""


class Triage(BaseModel):
    """``threshold``: least confidence, in [0, 1], of a category; below it ``fallback`` is taken,
    one of the categories, or none. Without categories no e-mail is sorted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(default=0.5, ge=0, le=1)
    fallback: Slug | None = None
    categories: dict[Slug, Category] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fallback_is_known(self) -> Self:
        if self.fallback is not None and self.fallback not in self.categories:
            known = ", ".join(self.categories) or "none"
            raise ValueError(
                f"[triage] fallback {self.fallback!r} is no category; configured: {known}"
            )
        return self
