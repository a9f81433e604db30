"""What goes to an engine and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shared.records import Check, MailBlock, Message, Passage

if TYPE_CHECKING:
    from services.generate.ranking import Ranking

Language = Literal["fr", "en"]
RefusalReason = Literal["out-of-scope", "unsupported"]
Form = Literal["parts", "marks", "select"]
Length = Literal["short", "medium", "long"]
Tone = Literal["formal", "neutral", "warm"]


@dataclass(frozen=True, slots=True)
class Style:
    """How the mailbox's replies sound, for engines that write."""

    length: Length = "medium"
    tone: Tone = "neutral"


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """One draft to write.

    ``questions``: indices of the e-mail's questions for which there is evidence; ``evidence``: in
    [0, 1] by question of the e-mail, none when an agent asked for the draft; ``request_id``: 0 for
    an e-mail's first draft.
    """

    mail: MailBlock
    passages: tuple[Passage, ...]
    questions: tuple[int, ...]
    instruction: str = ""
    evidence: tuple[float, ...] = ()
    style: Style = Style()
    request_id: int = 0
    ranking: Ranking | None = None
    """The passages' sentences ranked for these questions, when that was done before."""

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

    ``connective``: one of our own template sentences, which states nothing and cites nothing;
    ``question``: index of the e-mail's question that it answers, where there are several.
    """

    text: str
    citations: tuple[int, ...] = ()
    connective: bool = False
    question: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The engine does not answer; ``detail`` in its own words, may be empty."""

    reason: RefusalReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """Parts or a refusal; ``unanswered``: indices of questions the engine found nothing for.

    ``messages``: the prompt exactly as sent, or as a model would have got it; ``prompt``: the
    fingerprint of its texts. Both empty when nothing was asked.
    """

    engine: str
    model: str
    parts: tuple[EnginePart, ...] = ()
    refusal: Refusal | None = None
    unanswered: tuple[int, ...] = ()
    checks: tuple[Check, ...] = ()
    raw: str = ""
    messages: tuple[Message, ...] = ()
    prompt: str = ""


class EngineFailed(Exception):
    """The engine answered, but nothing usable: broken JSON, cut off, repeating itself."""


class Refused(EngineFailed):
    """The server takes the request for wrong, as one too long: repeating it would not help."""
