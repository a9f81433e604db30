"""What other services say in French has its English at the desk: all that their code can say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from services.feedback.desk.heard import heard
from services.feedback.desk.words import LANG
from services.generate import checks
from services.generate.answer import EnginePart
from services.generate.checks import Fault, Grounds
from services.generate.declining import in_words
from shared.events import DeclineReason
from tests import samples

SERVICES = Path(__file__).parents[2] / "services"
REFUSE = {"Unreadable", "_unsupported", "_bomb", "SkipReason", "UnreadableMail", "_skipped"}
FAIL = {"EngineFailed"}


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    LANG.set("en")
    yield
    LANG.set("fr")


def said(folder: str, calls: set[str]) -> Iterator[tuple[str, str]]:
    """The French arguments of ``calls``, 7 in each place."""
    for path in sorted((SERVICES / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in calls:
                yield from ((path.name, t) for a in node.args if " " in (t := _text(a)))


def details(folder: str) -> Iterator[tuple[str, str]]:
    """Likewise ``detail`` of checks, and what is so named before."""
    for path in sorted((SERVICES / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Assign) and _name(node.targets[0]) == "detail"
            if named or (isinstance(node, ast.keyword) and node.arg == "detail"):
                yield path.name, _text(node.value)  # type: ignore[attr-defined]  # both have one


def _name(node: ast.expr) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return "".join(str(p.value) if isinstance(p, ast.Constant) else "7" for p in parts)


def test_what_ingest_and_engines_say_has_its_english() -> None:
    every = [*said("ingest", REFUSE), *said("generate", FAIL), *details("generate")]
    assert len(every) > 50, "the sentences were not found"
    unknown = [(where, text) for where, text in every if " " in text and heard(text) is None]
    # Made of two pieces: « Les passages y répondent », what an engine did and why, two sentences.
    assert [t for _, t in unknown if not t.startswith(("Les passages 7", "7 "))] == []


def test_why_there_is_no_draft_has_its_english() -> None:
    for why in get_args(DeclineReason):
        told = heard(in_words(why, evidence=0.31, least=0.5, engine="x", engines=["a", "b"]))
        assert told, why
        assert not {"les", "des", "vous"} & set(told.lower().split()), told
    added = in_words("out-of-scope") + " Le modèle précise : « Rien sur {cela}. »"
    assert str(heard(added)).endswith("yourself. The model adds: “Rien sur {cela}.”")


def test_checks_are_told_with_their_figures_and_words() -> None:
    lacking = checks._lacking({"figure:12": "12 %", "date:1": "2025"})
    faults = [
        (_part("Le taux est de 12 %."), Fault("facts", lacking)),
        (_part("Oui ; non : « là » ; date."), Fault("facts", checks._lacking({"figure:3": "3"}))),
        (_part("Encore."), Fault("repetition", "déjà dit")),
        (_part(""), Fault("support", "énoncé vide")),
        (_part("No."), Fault("citations", "énoncé sans source")),
    ]
    grounds = Grounds(passages=(samples.PASSAGE,), mail_text="", mail_language="de")
    told = {c.name: heard(c.detail) for c in checks._told(faults, 2, ["01 02"], grounds)}
    assert told == {
        "citations": "References to passages that do not exist, removed: 2. Removed from the draft"
        " (1): statement without a source: “No.”.",
        "support": "Removed from the draft (1): empty statement.",
        "facts": "Removed from the draft (2): figure and date found neither in the passages cited"
        " nor in the e-mail (“12 %”, “2025”): “Le taux est de 12 %.”; figure found neither in the"
        " passages cited nor in the e-mail (“3”): “Oui ; non : « là » ; date.”. Taken from the"
        " e-mail, to be checked: “01 02”.",
        "polarity": "No statement says the opposite of the sentence that it is close to.",
        "repetition": "Removed from the draft (1): said before: “Encore.”.",
        "language": "The draft is in the language of the reply that is expected.",
        "prompt": "No instruction given to the engine appears in the text.",
        "mail-language": "The e-mail is neither in French nor in English (de): the draft is in"
        " French.",
    }


def _part(text: str) -> EnginePart:
    return EnginePart(text, citations=(0,))


def test_what_is_not_known_is_left_to_be_shown_as_it_is() -> None:
    assert heard("Une phrase que personne ne connaît.") is None
    assert heard("Retiré du projet (1) : on ne sait pourquoi.") is None
    assert heard("x" * 5000) is None
    LANG.set("fr")
    assert heard("Une phrase que personne ne connaît.") == "Une phrase que personne ne connaît."
