"""What other services say in French has its English at the desk: all that their code can say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from services.feedback.desk import heard as hearing
from services.feedback.desk.heard import heard
from services.feedback.desk.words import LANG
from services.generate import checks
from services.generate.answer import EnginePart
from services.generate.checks import Fault, Grounds
from services.generate.declining import in_words
from services.ingest.triage import Sorted, undrafted
from shared.categories import Category
from shared.events import DeclineReason
from tests import samples

SERVICES = Path(__file__).parents[2] / "services"
REFUSE = {"Unreadable", "_unsupported", "_bomb", "SkipReason", "UnreadableMail", "_skipped"}
FAIL = {"EngineFailed", "Refused", "Unavailable", "Silent"}
ELSEWHERE = {"api.py", "inbox.py", "wording.py", "model_weights.py"}
"""Told to who calls ingest, to correspondents, at the terminal: never at the desk."""
ENGLISH = "no address of a model server"
SENTENCE = re.compile(r"(?=.*[àâçèéêëîïôùûœ«])[A-ZÀÉ].* .*\.", re.DOTALL)


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


def sentences(folder: str) -> Iterator[tuple[str, str]]:
    """Every French sentence wherever it stands, as in constants and what functions return."""
    for path in sorted((SERVICES / folder).rglob("*.py")):
        for node in _spoken(ast.parse(path.read_text(encoding="utf-8"))):
            if SENTENCE.fullmatch(text := _text(node)):
                yield path.name, text


def _spoken(node: ast.AST) -> Iterator[ast.expr]:
    """Strings, each whole; no docstring and no pattern."""
    if isinstance(node, ast.JoinedStr | ast.Constant):
        yield node
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    elif not (isinstance(node, ast.Call) and _name(node.func) == "compile"):
        for child in ast.iter_child_nodes(node):
            yield from _spoken(child)


def _name(node: ast.expr) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "")


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"{[^{}]*}", "7", node.value)  # what `format` fills
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return "".join(str(p.value) if isinstance(p, ast.Constant) else _filled(p) for p in parts)


def _filled(part: ast.expr) -> str:
    said = getattr(part, "value", None)
    return " : 7" if isinstance(said, ast.Call) and _name(said.func) == "_said" else "7"


def test_what_ingest_and_engines_say_has_its_english() -> None:
    every = [*said("ingest", REFUSE), *said("generate", FAIL), *details("generate")]
    assert len(every) > 50, "the sentences were not found"
    loose = [*sentences("ingest"), *sentences("generate"), *details("ingest")]
    assert len(loose) > 50, "the sentences were not found"
    every = [(where, text) for where, text in [*every, *loose] if where not in ELSEWHERE]
    unknown = {text for _, text in every if " " in text and heard(text) is None} - {ENGLISH}
    # Made of pieces: « Les passages y répondent », what an engine did and why, two sentences,
    # what was removed and why.
    pieces = ("Les passages 7", "7 ", "Retiré du projet (7)")
    assert sorted(text for text in unknown if not text.startswith(pieces)) == []


def test_a_category_keeps_its_name() -> None:
    found = Sorted("date", Category(description="x", draft=False), {"date": 0.7})
    assert heard(undrafted(found)) == (
        "Category “date” (confidence 70%): it is configured without drafts."
    )


def test_why_the_model_is_not_heard_is_told_whole() -> None:
    silent = "le serveur du modèle ne donnait plus signe ; il est réessayé sous peu"
    down = f"Le moteur m ne répond pas ({silent}) : le projet a été préparé par le moteur e."
    assert heard(down) == (
        "The engine m does not answer (the model server gave no sign of life; it will be tried"
        " again shortly): the draft was made by the engine e."
    )


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


CRAFTED = (
    "Les passages y répondent (indice " + ", minimum " * 150 + ") : « " * 350 + "x",
    "Modèle relecteur : appui sur les passages x"
    + ", réponse aux questions " * 75
    + ". Il objecte : « " * 105,
    "Retiré du projet (1) : " + "a : « " * 560 + ".",
    "Retiré du projet (1) : chiffre" + " et x" * 400 + " absent des passages cités et du"
    " courriel (x).",
    "a"
    + " Repris du courriel, à vérifier : b." * 40
    + " Les énoncés en cause ont été retirés." * 50,
)
"""Each opening of a place could be that of each end."""


@pytest.mark.parametrize("text", CRAFTED, ids=["grounding", "judge", "items", "kinds", "said"])
def test_no_text_can_make_it_slow(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, find = 0, hearing._found

    def counted(text: str, words: tuple[str, ...]) -> list[str] | None:
        nonlocal looked
        looked += len(text)
        return find(text, words)

    monkeypatch.setattr(hearing, "_found", counted)
    assert len(text) <= hearing.LONGEST
    heard(text)
    # Once over the text for each sentence, and as often as such stand within each other.
    assert looked <= 20 * len(text) * len(hearing._sentences())
    assert heard(text + "x" * hearing.LONGEST) is None
    patterns = [v for v in vars(hearing).values() if isinstance(v, re.Pattern)]
    assert not [p for p in patterns if re.search(r"(?<!\\)[*+]", p.pattern)], "without a bound"
