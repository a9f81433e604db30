"""A reply's text in the form that models are trained on: the body alone, as prose with [n]. Pure.

Both sides of a pair go through the same functions: what differs between them is then what the
agent preferred, not how the text was set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from rapidfuzz import fuzz

from shared.records import Part, Source

RESEMBLES = 60
"""Of 100: from here on a sentence is taken for one of the draft's parts, however it was edited."""
_BLANKS = re.compile(r"[ \t\u00a0\u202f]+")
_MARK = re.compile(r"\s?\[(\d{1,3}(?:\s?,\s?\d{1,3})*)\]")
_RUN = re.compile(r"(?:\s?\[\d{1,3}(?:\s?,\s?\d{1,3})*\])+")
_GREETING = re.compile(
    r"(?:bonjour|bonsoir|mesdames|messieurs|madame|monsieur|ch(?:er|ère)s?|hello|dear|hi|good"
    r" (?:morning|afternoon))\b[^,.?!:\[]{0,60}(?:[,.!]|$)",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"(?:(?:nous|je) vous remerci|merci (?:de|pour|beaucoup)|nous accusons|j'accuse|en réponse à|"
    r"suite à votre|nous avons bien reçu|j'ai bien reçu|thank you for|thanks for|voici les élém"
    r"ents)",
    re.IGNORECASE,
)
_REGARDS = re.compile(
    r"(?:(?:très |bien )?cordialement|(?:nos |mes )?(?:sincères |respectueuses )?salutations|"
    r"respectueusement|bien à vous|sincèrement|veuillez (?:agréer|recevoir)|(?:nous vous|je vous) "
    r"prie|(?:kind|best|warm) regards|regards|sincerely|yours (?:sincerely|faithfully|truly)|"
    r"-- ?$)",
    re.IGNORECASE,
)
_DISPOSAL = re.compile(
    r"(?:(?:nous restons|je reste)(?: bien (?:entendu|sûr))? à votre disposition|n'hésitez pas à|"
    r"(?:bonne journée|belle journée|bonne réception)|please do not hesitate|we remain at your|"
    r"restant à votre disposition)",
    re.IGNORECASE,
)
_LONGEST_THANKS = 240
_LONGEST_GREETING = 4
"""Words of one that a sentence follows in its line: more may be the sentence itself."""


def body(text: str, greeting: str, closing: str) -> str:
    """``text`` without greeting, closing and signature, whether they are the draft's or typed."""
    lines = _lines(text)
    lines = _after(lines, _lines(greeting)) or _without_greeting(lines)
    lines = _before(lines, _lines(closing)) or _without_closing(lines)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def same(first: str, second: str) -> bool:
    """Whether two bodies say the same in the same words: case, spaces and quotes do not count."""
    return _key(first) == _key(second)


def renumbered(
    text: str, parts: Sequence[Part], sources: Sequence[Source], numbers: Mapping[UUID, int]
) -> str:
    """``text`` with the numbers of the prompt's passages in place of those of its sources.

    A [n] of a reply stands for a document. Which passages of it are meant is told by the draft's
    part that the sentence resembles; a sentence of the agent's own means all that were cited. A
    [n] that stands for nothing in the prompt is left out.
    """
    by_number = {source.number: source for source in sources}

    def cite(statement: str, run: str) -> str:
        wanted = [int(n) for marks in _MARK.findall(run) for n in marks.split(",")]
        meant = {p for n in wanted for p in _meant(statement, by_number.get(n), parts)}
        found = sorted({numbers[passage] for passage in meant if passage in numbers})
        return f" [{', '.join(map(str, found))}]" if found else ""

    return "\n".join(_cited(line, cite) for line in text.split("\n"))


def _cited(line: str, cite: Callable[[str, str], str]) -> str:
    done, start = "", 0
    for run in _RUN.finditer(line):
        statement = line[start : run.start()]
        mark = cite(statement.strip(" .;,"), run.group())
        done += statement + (mark if statement.strip() else mark.lstrip())
        start = run.end()
    return done + line[start:]


def _meant(statement: str, source: Source | None, parts: Sequence[Part]) -> Sequence[UUID]:
    if source is None:
        return ()
    of_source = [part for part in parts if set(part.citations) & set(source.passage_ids)]
    likeness = {i: fuzz.partial_ratio(statement, p.text) for i, p in enumerate(of_source)}
    best = max(likeness, key=lambda index: likeness[index], default=None)
    if best is None or likeness[best] < RESEMBLES or len(statement) < len("oui, en partie"):
        return source.passage_ids
    return [passage for passage in of_source[best].citations if passage in source.passage_ids]


def _lines(text: str) -> list[str]:
    plain = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return [_BLANKS.sub(" ", line).strip() for line in plain.split("\n")] if plain else []


def _after(lines: list[str], greeting: list[str]) -> list[str]:
    """What follows ``greeting``, when the text begins with it."""
    size = len(greeting)
    return lines[size:] if size and lines[:size] == greeting else []


def _before(lines: list[str], closing: list[str]) -> list[str]:
    size = len(closing)
    return lines[:-size] if size and lines[-size:] == closing else []


def _without_greeting(lines: list[str]) -> list[str]:
    rest = _stripped(lines)
    while rest and (found := _GREETING.match(rest[0])):
        after = rest[0][found.end() :].strip()
        if after and len(found.group().split()) > _LONGEST_GREETING:
            break
        rest = _stripped([after, *rest[1:]])
    thanks = rest and _THANKS.match(rest[0]) and not _MARK.search(rest[0])
    if thanks and len(rest[0]) <= _LONGEST_THANKS and len(_stripped(rest[1:])) > 0:
        rest = _stripped(rest[1:])
    return rest or lines


def _stripped(lines: list[str]) -> list[str]:
    first = next((index for index, line in enumerate(lines) if line), len(lines))
    return lines[first:]


def _without_closing(lines: list[str]) -> list[str]:
    """Cut at the closing formula; what stands below it is the signature."""
    cited = max((i for i, line in enumerate(lines) if _MARK.search(line)), default=-1)
    first = max(cited + 1, len(lines) - _SIGNATURE_LINES)
    end = next((i for i in range(first, len(lines)) if _REGARDS.match(lines[i])), len(lines))
    rest = lines[:end]
    while rest and (not rest[-1] or (_DISPOSAL.match(rest[-1]) and not _MARK.search(rest[-1]))):
        rest.pop()
    return rest


_SIGNATURE_LINES = 12
"""Lines that a formula, a signature and its addresses take at most."""


def _key(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
