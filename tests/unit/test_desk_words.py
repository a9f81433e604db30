"""Words of the desk: every French one has its English, dates and ages read well."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from services.feedback.desk import words
from services.feedback.edits import CLOSED, Held, Lock, Overwritten
from services.feedback.erasing import ERASED
from services.feedback.errors import Conflict, Moment
from services.feedback.withdrawing import WITHDRAWN
from shared.settings import Misconfigured

DESK = Path(words.__file__).parent
PAGES = sorted(DESK.glob("templates/*.j2"))
MODULES = sorted(DESK.parent.rglob("*.py"))
QUOTED = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
SAID = re.compile(rf"""(?<![\w.])_\(\s*{QUOTED}""")
COUNTED = re.compile(rf"""(?<![\w.])_n\(\s*{QUOTED}\s*,\s*{QUOTED}""")
ONE = slice(1)
SAYING = {"say": ONE, "marked": ONE, "_": ONE, "many": slice(2), "answer": slice(2, 3)}
"""Where calls have French, among their arguments."""
NOON = datetime(2026, 11, 3, 9, 12, tzinfo=UTC)


def french_of_templates() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in (*SAID.finditer(text), *COUNTED.finditer(text)):
            for quoted in found.groups():
                yield page.name, str(ast.literal_eval(quoted))


def french_of_modules() -> Iterator[tuple[str, str]]:
    """Arguments of ``say``, ``many`` and ``marked`` (also as ``_``), and titles of ``answer``,
    that are written out."""
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (places := SAYING.get(_name(node.func))):
                for argument in node.args[places]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield module.name, argument.value


REFUSALS = {
    "NotFound", "Conflict", "Unacceptable", "Told", "Term", "Removed", "Refused", "ReasonMissing",
    "NotAllowed", "TooMuch",
}  # fmt: skip


def french_of_refusals() -> Iterator[tuple[str, str]]:
    """What use cases refuse: written out, what fills it apart, so that it has its English."""
    for module in MODULES:
        tree = ast.parse(module.read_text(encoding="utf-8"))
        for kind in (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)):
            if {_name(base) for base in kind.bases} & REFUSALS:
                yield from _texts(module, kind, "__init__")
        for name in REFUSALS:
            yield from _texts(module, tree, name)


def _texts(module: Path, tree: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else _name(node.func)
            text = node.args[0]
            if called == name and isinstance(text, ast.JoinedStr):
                yield module.name, f"an f-string: {ast.unparse(text)}"
            elif called == name and isinstance(text, ast.Constant):
                yield module.name, str(text.value)


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        inside = function.value
        return function.attr if isinstance(inside, ast.Name) and inside.id == "words" else ""
    return function.id if isinstance(function, ast.Name) else ""


def test_every_french_word_has_its_english() -> None:
    refusals = {*french_of_refusals()}
    every = {*french_of_templates(), *french_of_modules(), *refusals}
    assert len(every) > 100, "the words were not found"
    assert len(refusals) > 40, "the refusals were not found"
    missing = sorted(f"{where}: {text}" for where, text in every if text not in words.english())
    assert not missing, "\n".join(missing)


def test_why_a_draft_was_withdrawn_or_not_saved_has_its_english() -> None:
    said = {*WITHDRAWN.values(), ERASED, str(Overwritten(None))}
    assert not said - words.english().keys()


def test_a_refusal_is_told_with_its_names_and_times_in_the_readers_language() -> None:
    refusal = Conflict(
        "Ce brouillon {closed} {when} : cette décision ne peut plus être changée.",
        closed=CLOSED["edited"],
        when=Moment(NOON),
    )
    held = Held(
        Lock(draft_id=UUID(int=1), account="b", name="Béa {x}", since=NOON, expires=NOON), NOON
    )
    words.ZONE.set(ZoneInfo("Europe/Paris"))
    assert str(refusal).startswith("Ce brouillon a déjà été corrigé puis approuvé le 03/11/2026 à")
    words.LANG.set("en")
    assert words.told(refusal) == (
        "This draft has already been edited and approved (3 November 2026 at 10:12):"
        " this decision can no longer be changed."
    )
    assert words.told(held).startswith("Béa {x} works on this draft, which is reserved")
    words.LANG.set("fr")
    assert words.told(refusal).startswith(
        "Ce brouillon a déjà été corrigé puis approuvé le 3 novembre 2026 à 10:12 : cette"
    )
    assert words.told(held) == str(held)


def test_one_french_word_has_one_english_and_the_same_names_to_fill() -> None:
    known: dict[str, str] = {}
    for path in sorted(words.LOCALE.glob("*.en.toml")):
        for french, english in tomllib.loads(path.read_text(encoding="utf-8")).items():
            assert known.setdefault(french, english) == english, f"{path.name}: {french}"
            assert sorted(re.findall(r"{\w+}", french)) == sorted(re.findall(r"{\w+}", english))


def test_numbers_dates_and_ages() -> None:
    words.LANG.set("fr")
    words.ZONE.set(ZoneInfo("Europe/Paris"))
    assert words.when(NOON) == "le 3 novembre 2026 à 10:12"
    assert words.when(NOON.replace(day=1), time=False) == "le 1er novembre 2026"
    assert words.when(None) == "–"
    assert words.number(1234.5, 1) == "1\N{NARROW NO-BREAK SPACE}234,5"
    assert words.ago(NOON, NOON + timedelta(seconds=20)) == "à l'instant"
    assert words.ago(NOON, NOON + timedelta(minutes=1)) == "il y a 1 minute"
    assert words.ago(NOON, NOON + timedelta(hours=25)) == "il y a 1 jour"
    assert words.many("{n} message", "{n} messages", 0) == "0 message"
    words.LANG.set("en")
    assert words.when(NOON) == "3 November 2026 at 10:12"
    assert words.ago(NOON, NOON + timedelta(days=70)) == "2 months ago"
    assert words.many("{n} message", "{n} messages", 0) == "0 messages"
    words.LANG.set("fr")


def test_an_unknown_time_zone_is_refused_in_words() -> None:
    with pytest.raises(Misconfigured, match="Europe/Paris"):
        words.zone("Europe/Atlantis")
