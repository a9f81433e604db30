"""Whether a statement repeats what the engine was told to do instead of what documents say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.generate.french import fold, words
from shared.records import Message, Passage

_SHINGLE = 8
"""Words in a row that are no accident."""


def instructions(messages: Sequence[Message]) -> str:
    """All that an engine was sent."""
    return "\n".join(message.content for message in messages)


def leaks(text: str, prompt: str, data: Iterable[str] = ()) -> bool:
    """Whether ``text`` has a stretch of ``prompt`` that ``data`` in it does not say as well."""
    told = _stretches(text)
    found = told & _stretches(prompt) if told else set()
    for each in data if found else ():
        found -= _stretches(each)
    return bool(found)


def passage_text(passage: Passage) -> str:
    """What a prompt shows of a passage."""
    return f"{passage.title} {' '.join(passage.heading_path)} {passage.text}"


def _stretches(text: str) -> set[tuple[str, ...]]:
    found = words(fold(text))
    return {tuple(found[i : i + _SHINGLE]) for i in range(len(found) - _SHINGLE + 1)}
