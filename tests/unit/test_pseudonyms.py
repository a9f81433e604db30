"""Personal data: what is found in sentences of our own, and how it is replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.feedback.adapters.presidio import PresidioRecogniser, kept_words
from services.feedback.training.personal import valid_nir
from services.feedback.training.pseudonyms import (
    Found,
    Pseudonyms,
    people_of,
    replaced_in,
    texts_in,
)
from shared.records import Address
from shared.settings import Misconfigured
from tests.fakes.drafting import mail

SENTENCES = Path(__file__).parents[1] / "data" / "pseudonyms.txt"
_MARK = re.compile(r"\{(\w):([^}]*)\}")
_TITLE = {"m", "mme", "monsieur", "madame", "me", "dr", "docteur", "le", "la", "et", "maire", "de"}
_TITLE |= {"sci", "da"}
ENTITY = {
    "p": "PERSONNE",
    "a": "ADRESSE",
    "t": "TELEPHONE",
    "e": "COURRIEL",
    "i": "IBAN",
    "n": "NIR",
    "d": "NAISSANCE",
}


@pytest.fixture(scope="module")
def recogniser() -> PresidioRecogniser:
    return PresidioRecogniser(kept_words(None))


def sentences(part: str) -> list[str]:
    """The sentences of a part, with their marks."""
    text = SENTENCES.read_text(encoding="utf-8").split(f"== {part}\n")[1].split("\n== ")[0]
    return [line for line in text.split("\n") if line]


def leaked(kind: str, value: str, out: str) -> bool:
    """Whether any telling word of ``value`` is left."""
    words = re.findall(r"\w+", value) if kind == "p" else [value]
    telling = [word for word in words if kind != "p" or word.casefold() not in _TITLE]
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", out) for word in telling)


Measured = tuple[float, float, list[str]]


def measured(recogniser: PresidioRecogniser, lines: Sequence[str]) -> Measured:
    """Recall, the share of kept words that were replaced, and what went wrong."""
    texts = [_MARK.sub(r"\2", line) for line in lines]
    wanted = found = kept = lost = 0
    wrong = []
    for line, text, known in zip(lines, texts, recogniser.find(texts), strict=True):
        out = Pseudonyms(known, keeps=recogniser.keeps).apply(text)
        for kind, value in _MARK.findall(line):
            if kind == "k":
                kept += 1
                lost += value not in out
            else:
                wanted += 1
                found += not leaked(kind, value, out)
            if value not in out if kind == "k" else leaked(kind, value, out):
                wrong.append(f"{kind} {value}: {out}")
    return found / wanted, lost / kept, wrong


@pytest.mark.parametrize("part", ["tune", "held"])
def test_personal_data_is_found_and_kept_words_stay(
    recogniser: PresidioRecogniser, part: str
) -> None:
    recall, lost, wrong = measured(recogniser, sentences(part))
    assert recall >= 0.95, wrong
    assert lost <= 0.05, wrong


def test_there_are_enough_sentences() -> None:
    assert len(sentences("tune")) + len(sentences("held")) >= 200


@pytest.mark.parametrize("part", ["tune", "held"])
def test_what_has_a_form_is_found_for_what_it_is(recogniser: PresidioRecogniser, part: str) -> None:
    lines = [line for line in sentences(part) if re.search(r"\{[teind]:", line)]
    for line, known in zip(
        lines, recogniser.find([_MARK.sub(r"\2", line) for line in lines]), strict=True
    ):
        given = {(f.entity, f.text) for f in known}
        for kind, value in _MARK.findall(line):
            if kind in "teind":
                assert (ENTITY[kind], value) in given, (value, given)


def test_one_person_is_one_pseudonym_in_the_whole_row() -> None:
    names = Pseudonyms(
        [
            Found("PERSONNE", "M. Dupont"),
            Found("PERSONNE", "Marie Dupont"),
            Found("PERSONNE", "Ali"),
        ]
    )
    assert names.apply("Marie Dupont, Mme Dupont et DUPONT ; Ali.") == (
        "PERSONNE_1, Mme PERSONNE_1 et PERSONNE_1 ; PERSONNE_2."
    )
    assert names.replaced == {"PERSONNE": 4}


def test_a_name_broken_by_a_line_is_the_same() -> None:
    names = Pseudonyms([Found("PERSONNE", "Jean-Luc Petit"), Found("TELEPHONE", "06 12 34 56 78")])
    assert names.apply("Jean-Luc\nPetit, 06 12\n34 56 78") == "PERSONNE_1, TELEPHONE_1"


def test_a_part_of_a_name_that_is_a_kept_place_stays() -> None:
    names = Pseudonyms([Found("PERSONNE", "Marie Lyon")], keeps=lambda word: word == "Lyon")
    assert names.apply("Marie Lyon vit à Lyon.") == "PERSONNE_1 vit à Lyon."


def test_what_a_public_document_says_stays() -> None:
    found = [Found("COURRIEL", "aide@programme.example"), Found("TELEPHONE", "01 02 03 04 05")]
    names = Pseudonyms(found, public="Écrivez à aide@programme.example.")
    assert names.apply("aide@programme.example ou 01 02 03 04 05") == (
        "aide@programme.example ou TELEPHONE_1"
    )


def test_names_of_the_header_are_known_but_offices_are_no_persons() -> None:
    person = mail(sender=Address(address="k.benali@x.example", name="Karim Benali"))
    office = mail(sender=Address(address="accueil@x.example", name="Mairie de Valombre"))
    assert Found("PERSONNE", "Karim Benali") in people_of(person)
    assert people_of(office) == (Found("COURRIEL", "accueil@x.example"),)


def test_columns_of_messages_keep_their_roles() -> None:
    names = Pseudonyms([Found("PERSONNE", "Zoé Martin")])
    column = [
        {"role": "user", "content": "Zoé Martin écrit."},
        {"role": "assistant", "content": ""},
    ]
    assert texts_in(column) == ["Zoé Martin écrit.", ""]
    assert replaced_in(column, names)[0] == {"role": "user", "content": "PERSONNE_1 écrit."}
    assert replaced_in(None, names) is None


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("1 85 05 78 006 084 91", True),
        ("1 85 05 78 006 084 92", False),
        ("299032A00411275", True),
        ("188122B03300671", True),
        ("1 85 05 78 006 084", False),
        ("2A", False),
    ],
)
def test_the_key_of_a_social_security_number_is_checked(text: str, valid: bool) -> None:
    assert valid_nir(text) is valid


@pytest.mark.parametrize(
    "text",
    [
        "Le SIRET 212 600 943 00017 et le dossier 2026-04512.",
        "IBAN FR76 3000 6000 0112 3456 7890 180 mal recopié.",
        "Le numéro 1 85 05 78 006 084 92 n'a pas la bonne clé.",
        "Du 01/02/2025 au 03/04/2026, à 50 % de 40 000 €.",
        "L'école Jules Ferry et la rue Victor Hugo de Lyon.",
    ],
)
def test_numbers_dates_and_places_of_no_person_stay(
    recogniser: PresidioRecogniser, text: str
) -> None:
    assert recogniser.find([text]) == [[]]


def test_a_kept_list_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "kept.toml"
    own.write_text('places = ["Marie Dupont"]', encoding="utf-8")
    assert PresidioRecogniser(kept_words(own)).find(["Marie Dupont"]) == [[]]
    own.write_text("places =", encoding="utf-8")
    with pytest.raises(Misconfigured, match="It is TOML with lists"):
        kept_words(own)
    with pytest.raises(Misconfigured, match="cannot be read"):
        kept_words(tmp_path / "absent.toml")
