"""What a prompt shows: passages in canonical order, numbered; e-mail and passages as data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.generate.answer import DraftRequest, Language
from shared.records import Passage

MAX_MAIL_CHARS = 6000
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()«»]+")
_OUR_TAGS = re.compile(
    r"<(?=\s*/?\s*(?:passages?|courriel|email|e-mail|questions?|consigne|instruction|system|user"
    r"|assistant)\b|\|)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class NumberedPassage:
    """A passage as the model sees it: number from 1, no address."""

    number: int
    title: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that the prompt files may use."""

    language: Language
    passages: tuple[NumberedPassage, ...]
    subject: str
    text: str
    questions: tuple[str, ...]
    instruction: str


def order(passages: Sequence[Passage]) -> list[int]:
    """Indices of the passages in the order of the prompt: by passage id, whatever their ranks.

    The same passages then make the same beginning of the prompt, which engines cache.
    """
    return sorted(range(len(passages)), key=lambda index: str(passages[index].passage_id))


def prompt(request: DraftRequest) -> Prompt:
    """The values of the prompt for one draft; nothing in them can close a data section."""
    mail, passages = request.mail, request.passages
    numbered = [
        NumberedPassage(
            number=number,
            title=data(passages[index].title),
            heading=data(" > ".join(passages[index].heading_path)),
            text=data(passages[index].text),
        )
        for number, index in enumerate(order(passages), start=1)
    ]
    return Prompt(
        language=request.language,
        passages=tuple(numbered),
        subject=data(mail.subject),
        text=data(mail.new_text[:MAX_MAIL_CHARS]),
        questions=tuple(data(mail.questions[index]) for index in request.questions),
        instruction=data(request.instruction),
    )


def data(text: str) -> str:
    """Text that others wrote: without addresses, and unable to imitate the prompt's own tags."""
    return _OUR_TAGS.sub("‹", _ADDRESS.sub("(lien)", text)).strip()
