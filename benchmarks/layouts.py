"""Prompts as our engine sends them, the same with the e-mail first, and what they could share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from services.generate import prompting
from services.generate.adapters.endpoints import ChatClient, Endpoint
from services.generate.adapters.openai_engine import OpenAiEngine
from services.generate.answer import DraftRequest, Refused
from services.generate.ranking import SentenceScorer
from shared.events import ContextRetrieved
from shared.model_settings import ModelProfile
from shared.records import Message

_MAIL = re.compile(r"^<(?:courriel|email) ", re.MULTILINE)
_PASSAGE = re.compile(r"<passage\b.*?</passage>", re.DOTALL)
_SENTENCE = re.compile(r"^\[\d+\] .*$", re.MULTILINE)
_NUMBER = re.compile(r"(?:numéro|number)=\"\d+\" ?|^\[\d+\] ", re.MULTILINE)


@dataclass(frozen=True)
class Asked:
    """One request: its messages, and the options that go with them."""

    messages: tuple[Message, ...]
    options: dict[str, Any]

    @property
    def texts(self) -> tuple[str, str]:
        """What comes before the last message, which is the same for all e-mails; the last one."""
        *before, last = (message.content for message in self.messages)
        return "\n".join(before), last


class _Recorder(ChatClient):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__(Endpoint("http://none/v1", "none"))
        self.sent: list[Asked] = []

    def check_started(self) -> None:
        """It always is."""

    async def ask(self, messages: Sequence[Message], _: object = None, **options: Any) -> str:
        self.sent.append(Asked(tuple(messages), options))
        raise Refused("only recorded")


async def ours(
    contexts: Sequence[ContextRetrieved],
    profile: ModelProfile,
    scorer: SentenceScorer,
    least: float,
) -> list[Asked]:
    """What the openai engine sends for each context; nothing for those that it need not ask.

    Questions with less than ``least`` evidence are left out, as the service leaves them out.
    """
    found = list[Asked]()
    for context in contexts:
        recorder = _Recorder()
        engine = OpenAiEngine(recorder, profile, scorer)
        data = context.data
        asked = tuple(i for i, score in enumerate(data.question_evidence) if score >= least)
        request = DraftRequest(data.mail, data.passages, asked, evidence=data.question_evidence)
        try:
            await engine.write(request)
        except Refused:
            found.append(recorder.sent[0])
    return found


@contextmanager
def in_rank_order() -> Iterator[None]:
    """Passages as retrieve ranked them, not in canonical order."""
    with patch.object(prompting, "order", lambda passages: list(range(len(passages)))):
        yield


def mail_first(asked: Asked) -> Asked:
    """The same request with the e-mail before the passages, unless it comes first already."""
    _, user = asked.texts
    at = _MAIL.search(user)
    if at is None:
        return asked
    turned = f"{user[at.start() :]}\n\n{user[: at.start()].strip()}"
    return Asked((*asked.messages[:-1], Message(role="user", content=turned)), asked.options)


def blocks(asked: Asked) -> tuple[str, list[str]]:
    """The text that is the same for all, and each passage or sentence without its number, which
    follows the order."""
    before, user = asked.texts
    found = _PASSAGE.findall(user) or _SENTENCE.findall(user)
    return before, [_NUMBER.sub("", block) for block in found]


def bound(
    prompts: Sequence[Asked], encode: Callable[[str], list[int]], block_size: int, around: int
) -> int:
    """Prompt tokens that a prefix cache of ``block_size`` could give at best, were it endless.

    A prompt shares a prefix with one earlier prompt at a time. Whatever the order of the passages
    (or sentences) in either, this prefix holds no more than the text before them, if it is the
    same; the passages that both contain; and the common beginning of one passage that each has
    for itself, or of the e-mails. The best partner counts, in whole cache blocks. Nothing need
    reach this: one order of a prompt's passages has to serve all that come after it, while here
    each pair has an order of its own. ``around``: tokens that the chat template adds.
    """
    read = [_Read.of(asked, encode) for asked in prompts]
    return sum(
        max((around + each.shared(other) for other in read[:index]), default=0)
        // block_size
        * block_size
        for index, each in enumerate(read)
    )


@dataclass(frozen=True)
class _Read:
    """A prompt in tokens: before the passages, each passage, and what follows them."""

    before: list[int]
    passages: dict[str, list[int]]
    after: list[int]

    @classmethod
    def of(cls, asked: Asked, encode: Callable[[str], list[int]]) -> _Read:
        before, listed = blocks(asked)
        _, user = asked.texts
        after = _SENTENCE.sub("", _PASSAGE.sub("", user)).strip()
        return cls(encode(before), {b: encode(f"{b}\n") for b in listed}, encode(after))

    def shared(self, other: _Read) -> int:
        """Tokens of the longest prefix that orders of both could have in common."""
        if self.before != other.before:
            return _common(self.before, other.before)
        both = self.passages.keys() & other.passages.keys()
        mine, theirs = (
            [tokens for text, tokens in each.passages.items() if text not in both]
            for each in (self, other)
        )
        begun = [_common(a, b) for a in (*mine, self.after) for b in (*theirs, other.after)]
        return len(self.before) + sum(len(self.passages[b]) for b in both) + max(begun)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
