"""What other services said in French, in the reader's language: by its sentences, in
``locale/heard.en.toml``, and what stands in their ``{places}``. Pure but for that file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache

from services.feedback.desk.words import LANG, LOCALE, english

LONGEST = 4000
"""Characters of what is looked at; the rest is shown as it was said."""
DEPTH = 5
"""Sentences within each other, at most."""
WHOLE = frozenset({"said", "kinds", "items"})
"""Places whose words are the service's own too: all of them are known, or nothing is."""
_NEXT = re.compile(
    r" ; (?=déjà dit|énoncé (?:vide|sans|dans|contraire|trop)|texte de consigne"
    r"|(?:chiffre|date|adresse|nom)[^;«]{0,60} absent des passages)"
)


def heard(text: str) -> str | None:
    """``text`` in the reader's language; None when its sentence is not known."""
    return text if LANG.get() == "fr" or not text else _english(text, DEPTH)


def _english(text: str, depth: int) -> str | None:
    """``depth``: sentences that may still stand within each other."""
    if len(text) > LONGEST or not depth:
        return None
    if "{" not in text and (exact := english().get(text)):
        return exact
    for words, places, told in _sentences():
        if (found := _found(text, words)) is not None:
            said = zip(places, found, strict=True)
            values = {name: _value(name, each, depth) for name, each in said}
            if None not in values.values():
                return told.format(**values)
    return None


def _found(text: str, words: Sequence[str]) -> list[str] | None:
    """What stands between ``words``, each taken where it first follows.

    It never goes back, so that no text, which strangers and models can craft, makes it slow.
    """
    first, *between, last = words
    at, end = len(first), len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last)):
        return None
    found = []
    for following in between:
        until = text.find(following, at + 1, end)
        if until < 0:
            return None
        found.append(text[at:until])
        at = until + len(following)
    return [*found, text[at:end]] if at < end else None


def _value(name: str, said: str, depth: int) -> str | None:
    if name == "items":
        return _joined("; ", [_item(item, depth) for item in _NEXT.split(said)])
    if name == "kinds":
        return _joined(" and ", [_english(kind, depth - 1) for kind in said.split(" et ")])
    if name == "shown":
        return said.replace("« ", "“").replace(" »", "”")
    told = None if name == "text" else _english(said, depth - 1)
    return said if told is None and name not in WHOLE else told


def _item(item: str, depth: int) -> str | None:
    """A removed statement and why."""
    why, quote, text = item.partition(" : « ")
    if not quote or not text.endswith(" »"):
        return _english(item, depth - 1)
    told = _english(why, depth - 1)
    return told and f"{told}: “{text[:-2]}”"


def _joined(between: str, told: list[str | None]) -> str | None:
    known = [each for each in told if each is not None]
    return between.join(known) if len(known) == len(told) else None


@cache
def _sentences() -> tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...]:
    """The words around the places, the places, and the English.

    Two sentences in one before each of them, then those with the fewest places.
    """
    known = tomllib.loads((LOCALE / "heard.en.toml").read_text(encoding="utf-8"))
    ordered = sorted(known.items(), key=lambda pair: ("{said}" not in pair[0], pair[0].count("{")))
    cut = ((re.split(r"{(\w+)}", french), told) for french, told in ordered if "{" in french)
    return tuple((tuple(parts[::2]), tuple(parts[1::2]), told) for parts, told in cut)
