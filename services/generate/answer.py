"""What goes to an engine and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.records import Check, MailBlock, Message, Passage

Language = Literal["fr", "en"]
RefusalReason = Literal["out-of-scope", "unsupported"]


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """One draft to write.

    ``questions``: indices of the e-mail's questions for which there is evidence; ``messages``:
    the chat messages of the prompt, which every engine's draft keeps; ``evidence``: in [0, 1] by
    question of the e-mail, none when an agent asked for the draft.
    """

    mail: MailBlock
    passages: tuple[Passage, ...]
    questions: tuple[int, ...]
    messages: tuple[Message, ...]
    instruction: str = ""
    evidence: tuple[float, ...] = ()

    @property
    def language(self) -> Language:
        """The reply's language: English for English e-mails, French for all others."""
        return reply_language(self.mail.language)


def reply_language(code: str) -> Language:
    """The language of templates and prompt for an e-mail in ``code`` (ISO 639-1)."""
    return "en" if code.lower().startswith("en") else "fr"


@dataclass(frozen=True, slots=True)
class EnginePart:
    """A statement with the indices of its passages in the request (0 for the first).

    ``connective``: one of our own template sentences, which states nothing and cites nothing.
    """

    text: str
    citations: tuple[int, ...] = ()
    connective: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The engine does not answer; ``detail`` in its own words, may be empty."""

    reason: RefusalReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """Parts or a refusal; ``unanswered``: indices of questions the engine found nothing for."""

    engine: str
    model: str
    parts: tuple[EnginePart, ...] = ()
    refusal: Refusal | None = None
    unanswered: tuple[int, ...] = ()
    checks: tuple[Check, ...] = ()
    raw: str = ""


class EngineFailed(Exception):
    """The engine answered, but nothing usable: broken JSON, cut off, repeating itself."""
