"""The prompt of a training row: the draft's messages, asking for prose with [n]. Pure.

The same words as generate's form ``marks`` (a test compares them), so that a model trained on the
rows is served with ``form = "marks"``. Numbers are those of the prompt's passages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.feedback.training.prompt_words import WORDS, Words
from shared.records import MailBlock, Message, Passage

_SECTION = re.compile(r'<passage (?:numéro|number)="(\d+)"[^\n]*>\n(.*?)\n</passage>', re.DOTALL)
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()«»]+")
_NUMBER = re.compile(r"\[\d[\d\s,]*\]")
_TAG = re.compile(
    r"<(?=\s*/?\s*(?:passage|courriel|e-?mail|question|consigne)s?\b|\|)", re.IGNORECASE
)
_KEY = 400
"""Characters by which a passage is known again in a prompt, which may have cut it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages, and the number in them of each passage."""

    messages: tuple[Message, ...]
    numbers: Mapping[UUID, int]


def prose_prompt(
    messages: Sequence[Message],
    mail: MailBlock,
    passages: Sequence[Passage],
    added: Sequence[Passage],
) -> Prompt:
    """The prompt of a row: ``messages`` as far as they show passages, else one made anew.

    Passages that an agent's reply cites (``added``) are shown too, after the others: a reply that
    cites what its prompt does not hold would teach to invent. Prompts of the form ``select`` show
    sentences by numbers of their own; they are made anew from what the draft was given.
    """
    words = _words(mail)
    numbers = _numbers(messages[-1].content, passages) if messages else {}
    if not numbers:
        given = {p.passage_id: p for p in sorted(passages, key=lambda p: str(p.passage_id))}
        shown = list((given | {p.passage_id: p for p in added}).values())
        made = (
            Message(role="system", content=f"{words.system}\n\n{words.style}"),
            Message(role="user", content=_user(words, mail, shown, wish_in(messages, mail))),
        )
        return Prompt(made, {p.passage_id: n for n, p in enumerate(shown, start=1)})
    new = [passage for passage in added if passage.passage_id not in numbers]
    first = max(numbers.values()) + 1
    more = {p.passage_id: n for n, p in enumerate(new, start=first)}
    rewritten = tuple(_rewritten(message, words) for message in messages)
    if new:
        sections = "\n".join(_section(words, more[p.passage_id], p) for p in new)
        rewritten = (*rewritten[:-1], _with_sections(rewritten[-1], sections))
    return Prompt(rewritten, {**numbers, **more})


def wish_in(messages: Sequence[Message], mail: MailBlock) -> str:
    """The agent's instruction for the draft, which only its messages hold; "" without one."""
    words = _words(mail)
    content = messages[-1].content if messages else ""
    # Behind the data, whose tags nothing in them can imitate; `select` has a shorter label.
    asked = content[max(0, *(content.rfind(f"</{tag}>") for tag in (words.mail, "questions"))) :]
    label = re.escape(words.wish.split(" (")[0])
    ends = "|".join(map(re.escape, (words.several, words.write, *(old for old, _ in words.asked))))
    found = re.search(
        rf"^{label}(?: \([^)\n]*\))? ?:(.*?)(?=\n(?:{ends})|\n+<|\Z)",
        asked,
        re.DOTALL | re.MULTILINE,
    )
    return found[1].strip() if found else ""


def _words(mail: MailBlock) -> Words:
    return WORDS["en" if mail.language == "en" else "fr"]


def _numbers(content: str, passages: Sequence[Passage]) -> dict[UUID, int]:
    """The number of each passage that ``content`` shows; empty when one of them is not known."""
    known = {p.passage_id: _key(p.text) for p in passages}
    found: dict[UUID, int] = {}
    for number, text in _SECTION.findall(content):
        key = _key(text)
        of = [i for i, whole in known.items() if i not in found and whole.startswith(key)]
        if not of or not key:
            return {}
        found[of[0]] = int(number)
    return found


def _key(text: str) -> str:
    bare = _NUMBER.sub("", _ADDRESS.sub("", text.replace("(lien)", "")))
    return re.sub(r"[\W_]+", "", bare).casefold()[:_KEY]


def _rewritten(message: Message, words: Words) -> Message:
    content = message.content
    match message.role:
        case "system":
            style = re.search(words.style_like, content)
            if content.startswith(words.system.split("\n")[0]):
                content = f"{words.system}\n\n{style.group() if style else words.style}"
            else:
                content = f"{content}\n\n{words.form}"
        case "user":
            for old, new in words.asked:
                content = content.replace(old, new)
        case "assistant":
            content = words.example
    return Message(role=message.role, content=content)


def _with_sections(message: Message, sections: str) -> Message:
    end = message.content.rfind("</passage>") + len("</passage>")
    content = f"{message.content[:end]}\n{sections}{message.content[end:]}"
    return Message(role=message.role, content=content)


def _user(words: Words, mail: MailBlock, passages: Sequence[Passage], asked_for: str) -> str:
    sections = [_section(words, n, p) for n, p in enumerate(passages, start=1)]
    earlier = [f"<{words.before}>\n{_plain(text)}\n</{words.before}>" for text in mail.earlier]
    subject = " ".join(mail.subject.split()).replace('"', "”")
    letter = f'<{words.mail} {words.subject}="{_plain(subject)}">\n{_plain(mail.new_text)}'
    asked = [f"{n}. {_plain(question)}" for n, question in enumerate(mail.questions, start=1)]
    wish = [f"{words.wish} {_plain(asked_for)}"] if asked_for else []
    several = [words.several] if len(mail.questions) > 1 else []
    data = (*sections, "", *earlier, letter, f"</{words.mail}>")
    return "\n".join((*data, "", words.questions, *asked, *wish, *several, words.write))


def _section(words: Words, number: int, passage: Passage) -> str:
    title = _plain(" ".join(passage.title.split())).replace('"', "”")
    path = _plain(" > ".join(passage.heading_path)).replace('"', "”")
    heading = f' {words.heading}="{path}"' if path else ""
    opening = f'<passage {words.number}="{number}" {words.title}="{title}"{heading}>'
    return f"{opening}\n{_plain(passage.text)}\n</passage>"


def _plain(text: str) -> str:
    """Data as generate shows it: no addresses, no [n] and no tags of the prompt's own."""
    return _TAG.sub("‹", _NUMBER.sub("", _ADDRESS.sub("(lien)", text))).strip()
