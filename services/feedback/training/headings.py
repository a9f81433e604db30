"""The sentences that generate puts around statements, as the prompt asks for them. Pure.

A model asked in the form ``marks`` writes « Question 2 : »; generate makes a sentence of it that
names the question. In a training row both sides go back to what a model is to write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz import fuzz

from services.feedback.training.prompt_words import Words

_ABOUT = re.compile(
    r"(?:Concernant votre|Regarding your) (?:question [«“] ?(?P<quoted>.+?) ?[»”]|(?P<rank>\w+)"
    r" question|question n° (?P<number>\d+)) ?:"
)
_OPEN = re.compile(
    r"(?:Nos documents ne nous permettent pas de répondre à ce stade à votre|Our documents do not"
    r" allow us to answer your) (?:question [«“] ?(?P<quoted>.+?) ?[»”]|(?P<rank>\w+) question|"
    r"question n° (?P<number>\d+))(?: at this stage)? ?: (?:nous reviendrons vers vous séparément"
    r" sur ce point|we will come back to you separately on this point)\."
)
_RANKS = (
    ("première", "deuxième", "troisième", "quatrième", "cinquième", "sixième"),
    ("first", "second", "third", "fourth", "fifth", "sixth"),
)


def with_headings(text: str, questions: Sequence[str], words: Words) -> str:
    """``text`` with « Question n : » in place of our own sentences; only one question has none."""
    if len(questions) < 2:
        return text
    lines = []
    for line in text.split("\n"):
        about, left_open = _ABOUT.fullmatch(line), _OPEN.fullmatch(line)
        if about:
            lines.append(words.named.format(_number(about, questions)))
        elif left_open:
            lines += [words.named.format(_number(left_open, questions)), words.unanswered]
        else:
            lines.append(line)
    return "\n".join(lines)


def _number(found: re.Match[str], questions: Sequence[str]) -> int:
    quoted, rank, number = found["quoted"], found["rank"], found["number"]
    if number:
        return int(number)
    if rank:
        return next((r.index(rank) + 1 for r in _RANKS if rank in r), 1)
    likeness = [fuzz.partial_ratio(quoted, question) for question in questions]
    return likeness.index(max(likeness)) + 1
