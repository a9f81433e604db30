"""What a prompt shows and what its numbers stand for; e-mail and passages are data in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.generate import budget, citations, selecting
from services.generate.answer import DraftRequest, Form, Language, Length, Tone
from services.generate.pool import Pool
from services.generate.ranking import Ranking
from services.generate.selecting import Candidate
from shared.records import Passage

MAX_MAIL_CHARS: Mapping[Form, int] = {"parts": 6000, "marks": 6000, "select": 800}
"""The questions are told apart; for a choice of sentences the rest of the e-mail tells little."""
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()«»]+")
_OUR_TAGS = re.compile(
    r"<(?=\s*/?\s*(?:passages?|phrases?|sentences?|courriel|email|e-mail|questions?|consigne"
    r"|instruction|[ée]nonc[ée]s?|system|user|assistant)\b|\|)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Section:
    """A passage as the model sees it, without its address.

    Either ``number``, from 1, and ``text``, or numbered ``sentences``.
    """

    title: str
    heading: str
    number: int = 0
    text: str = ""
    sentences: tuple[tuple[int, str], ...] = ()


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
    questions: tuple[str, ...]
    instruction: str
    most: int


def of_passages(request: DraftRequest, form: Form, tokens: int) -> Layout:
    """Passages in canonical order; cut by rank to ``tokens``."""
    kept = budget.within([passage.text for passage in request.passages], tokens)
    meant = tuple(index for index in order(request.passages) if index in kept)
    sections = (
        replace(_section(request.passages[index]), number=number, text=data(kept[index]))
        for number, index in enumerate(meant, start=1)
    )
    return Layout(form, request, tuple(sections), meant)


def of_sentences(request: DraftRequest, ranking: Ranking, tokens: int) -> Layout:
    """The sentences that may answer, below the headings of their passages in canonical order."""
    shown = selecting.candidates(request, ranking, tokens)
    numbered: dict[int, list[tuple[int, str]]] = {}
    for number, candidate in enumerate(shown, start=1):
        numbered.setdefault(candidate.passage, []).append((number, data(candidate.text)))
    sections = (
        replace(_section(request.passages[index]), sentences=tuple(listed))
        for index, listed in numbered.items()
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
        text=data(_beginning(request.mail.new_text, MAX_MAIL_CHARS[layout.form])),
        questions=tuple(data(request.mail.questions[index]) for index in request.questions),
        instruction=data(request.instruction),
        most=selecting.MOST[request.style.length],
    )


def data(text: str) -> str:
    """Text that others wrote: without addresses and marks like [2], and unable to imitate the
    prompt's own tags."""
    return _OUR_TAGS.sub("‹", _ADDRESS.sub("(lien)", citations.unmarked(text))).strip()


def _section(passage: Passage) -> Section:
    return Section(_attribute(passage.title), _attribute(" > ".join(passage.heading_path)))


def _attribute(text: str) -> str:
    return data(" ".join(text.split())).replace('"', "”")


def _beginning(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    return budget.cut(text, chars) or text[:chars].rsplit(" ", 1)[0]
