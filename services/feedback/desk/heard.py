"""What other services said in French, in the reader's language: by its sentences, in
``locale/heard.en.toml``, and what stands in their ``{places}``. Pure but for that file."""

from __future__ import annotations

import re
import tomllib
from functools import cache

from services.feedback.desk.words import LANG, LOCALE, english

LONGEST = 4000
"""Characters of what is looked at; the rest is shown as it was said."""
DEPTH = 5
"""Sentences within each other, at most."""
WHOLE = frozenset({"said", "kinds", "items"})
"""Places whose words are the service's own too: all of them are known, or nothing is."""
_PLACE = re.compile(r"\\{(\w+)\\}")
_ITEM = re.compile(r"(?P<why>.+?)(?: : « (?P<text>.*) »)?", re.DOTALL)
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
    for pattern, told in _sentences():
        if found := pattern.fullmatch(text):
            values = {name: _value(name, said, depth) for name, said in found.groupdict().items()}
            if None not in values.values():
                return told.format(**values)
    return None


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
    found = _ITEM.fullmatch(item)
    why = _english(found["why"], depth - 1) if found else None
    if found is None or why is None:
        return None
    return why if found["text"] is None else f"{why}: “{found['text']}”"


def _joined(between: str, told: list[str | None]) -> str | None:
    known = [each for each in told if each is not None]
    return between.join(known) if len(known) == len(told) else None


@cache
def _sentences() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Two sentences in one before each of them, then those with the fewest places."""
    known = tomllib.loads((LOCALE / "heard.en.toml").read_text(encoding="utf-8"))
    ordered = sorted(known.items(), key=lambda pair: ("{said}" not in pair[0], pair[0].count("{")))
    return tuple(
        (re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(french)), re.DOTALL), told)
        for french, told in ordered
        if "{" in french
    )
