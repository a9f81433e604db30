"""What a prompt shows and what its numbers stand for; e-mail and passages are data in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.generate import budget, citations, selecting
from services.generate.answer import DraftRequest, Form, Language, Length, Tone
from services.generate.pool import Pool
from services.generate.ranking import Ranking
from services.generate.selecting import Candidate
from shared.records import Passage

MAX_MAIL_CHARS = 6000
MAX_EARLIER_CHARS = 1500
"""Of all earlier e-mails of the thread together: they say what the new one is about."""
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()«»]+")
_OUR_TAGS = re.compile(
    r"<(?=\s*/?\s*(?:passages?|phrases?|sentences?|courriel|email|e-mail|questions?|consigne"
    r"|instruction|[ée]nonc[ée]s?|system|user|assistant)\b|\|)",
    re.IGNORECASE,
)
_CONTROL = re.compile(
    r"\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
    r"|<(?=/?(?:s|bos|eos|pad|unk|(?:start|end)_of_turn)>)",
    re.IGNORECASE,
)
"""What opens the marks by which models tell turns apart; chat templates paste text as it is."""


@dataclass(frozen=True, slots=True)
class Section:
    """A passage, or a sentence of one, as the model sees it: ``number`` from 1, no address.

    ``heading``: the whole path, or of a sentence the last of it.
    """

    number: int
    title: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """One prompt of ``form``. Behind number n stands passage ``passages[n - 1]`` of the request,
    or in the form ``select`` the candidate ``shown[n - 1]``, whose units are those of ``pool``."""

    form: Form
    request: DraftRequest
    sections: tuple[Section, ...]
    passages: tuple[int, ...] = ()
    pool: Pool | None = None
    shown: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that the prompt files may use."""

    language: Language
    length: Length
    tone: Tone
    sections: tuple[Section, ...]
    subject: str
    text: str
    earlier: tuple[str, ...]
    questions: tuple[str, ...]
    instruction: str
    most: int


def of_passages(request: DraftRequest, form: Form, tokens: int) -> Layout:
    """Passages in canonical order; cut by rank to ``tokens``."""
    kept = budget.within([passage.text for passage in request.passages], tokens)
    meant = tuple(index for index in order(request.passages) if index in kept)
    sections = (
        _section(number, request.passages[index], kept[index])
        for number, index in enumerate(meant, start=1)
    )
    return Layout(form, request, tuple(sections), meant)


def of_sentences(request: DraftRequest, ranking: Ranking, tokens: int) -> Layout:
    """The sentences that may answer, best first.

    Nothing of them recurs in the next e-mail's prompt, so their order serves the choice: a small
    model prefers what comes first.
    """
    shown = selecting.candidates(request, ranking, tokens)
    sections = (
        Section(number, "", _attribute(candidate.label), data(candidate.text))
        for number, candidate in enumerate(shown, start=1)
    )
    return Layout("select", request, tuple(sections), pool=ranking.pool, shown=shown)


def order(passages: Sequence[Passage]) -> list[int]:
    """Indices of the passages in the order of the prompt: by passage id, whatever their ranks.

    The same passages then make the same beginning of the prompt, which engines cache.
    """
    return sorted(range(len(passages)), key=lambda index: str(passages[index].passage_id))


def prompt(layout: Layout) -> Prompt:
    """The values of the prompt for one draft; nothing in them can close a data section."""
    request = layout.request
    return Prompt(
        language=request.language,
        length=request.style.length,
        tone=request.style.tone,
        sections=layout.sections,
        subject=_attribute(request.mail.subject),
        text=data(_beginning(request.mail.new_text, MAX_MAIL_CHARS)),
        earlier=_earlier(request.mail.earlier),
        questions=tuple(data(request.mail.questions[index]) for index in request.questions),
        instruction=data(request.instruction),
        most=selecting.MOST[request.style.length],
    )


def _earlier(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(data(_beginning(text, MAX_EARLIER_CHARS // len(texts))) for text in texts)


def data(text: str) -> str:
    """Text that others wrote: without addresses and marks like [2], and unable to imitate the
    prompt's own tags or a model's marks of turns."""
    plain = _ADDRESS.sub("(lien)", citations.unmarked(text))
    return _CONTROL.sub("‹", _OUR_TAGS.sub("‹", plain)).strip()


def _section(number: int, passage: Passage, text: str) -> Section:
    heading = _attribute(" > ".join(passage.heading_path))
    return Section(number, _attribute(passage.title), heading, data(text))


def _attribute(text: str) -> str:
    return data(" ".join(text.split())).replace('"', "”")


def _beginning(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    return budget.cut(text, chars) or text[:chars].rsplit(" ", 1)[0]
