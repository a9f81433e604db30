"""Figures, dates and addresses in one writing each; numbers in words; negations; languages."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.generate import facts, leaking, polarity, spelling, tongue
from shared.records import Message


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("un plafond de 40 000 €", "Plafond : 40000 euros"),
        ("un plafond de 40\u202f000 €", "quarante mille euros au plus"),
        ("90 000 euros", "90 k€"),
        ("1,5 M€ de travaux", "1,5 million d'euros de travaux"),
        ("2 millions d'euros", "2 000 000 €"),
        ("EUR 40,000", "40 000 €"),
        ("à cinquante pour cent", "à hauteur de 50 %"),
        ("70 % du coût", "Part (%) : 70"),
        ("au moins 50 %", "de 50 à 80 %"),
        ("25 ans", "vingt-cinq ans"),
        ("80 dossiers", "quatre-vingts dossiers"),
        ("le 1er mars 2026", "dès le 01/03/2026"),
        ("on March 12, 2026", "le 12 mars 2026"),
        ("le 12 mars", "le 2026-03-12"),
        ("le 15 mars 2027", "du 15 au 20 mars 2027"),
        ("le 11 janvier 2027", "du 11 janvier au 26 février 2027"),
        ("en mars", "le 12 mars 2026"),
        ("au 01 40 50 60 70", "tél. +33 (0)1.40.50.60.70"),
        ("au 0033 1 40 50 60 70", "0140506070"),
        ("appelez le 39 39", "numéro 3939"),
        ("sur www.programme.example/aides", "https://programme.example/aides/"),
        ("sur programme.example", "https://programme.example/aides"),
        ("un bâtiment neuf", "une construction récente"),
        ("les deux aides", "l'aide et le prêt"),
        ("1. Déposez le dossier", "Le dossier se dépose"),
        ("le CO2 et les m2", "le dioxyde et les mètres"),
    ],
)
def test_what_a_source_grants(claim: str, source: str) -> None:
    assert facts.missing(claim, source) == {}


@pytest.mark.parametrize(
    ("claim", "source", "fact"),
    [
        ("60 % du coût", "50 % du coût", "figure:60 %"),
        ("50 € par mois", "50 % par mois", "figure:50 €"),
        ("40 000 €", "40 €", "figure:40000 €"),
        ("le 12 mars 2026", "le 12 mars", "date:12-3-2026"),
        ("le 12 avril", "le 12 mars, avant avril", "date:12-4"),
        ("trois mois", "un mois", "figure:3"),
        ("neuf mois", "un mois", "figure:9"),
        ("au 01 40 50 60 71", "au 01 40 50 60 70", "contact:0140506071"),
        ("à x@pirate.example", "à x@programme.example", "contact:x@pirate.example"),
        ("sur pirate.example/aides", "sur programme.example/aides", "contact:pirate.example/aides"),
    ],
)
def test_what_a_source_does_not_grant(claim: str, source: str, fact: str) -> None:
    assert fact in facts.missing(claim, source)


def test_facts_are_told_as_they_are_written() -> None:
    assert facts.missing("Le 1er Août 2026 : 3\u00a0000 €", "rien") == {
        "date:1-8-2026": "1er Août 2026",
        "figure:3000 €": "3 000 €",
    }


def test_names_inside_a_sentence_must_be_known() -> None:
    known = "La région Bretagne aide l'ADEME."
    assert facts.unknown_names("En Bretagne, la Région aide.", known) == {}
    assert facts.unknown_names("Le conseil de Rennes aide.", known) == {"name:rennes": "Rennes"}


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        ("vingt et un", "21"),
        ("soixante-dix-neuf", "79"),
        ("quatre-vingt-dix mille", "90000"),
        ("deux cent trente", "230"),
        ("mille deux cents", "1200"),
        ("cinquante pour cent", "50 %"),
        ("forty percent", "40 %"),
        ("une aide", "une aide"),
        ("un an", "1 an"),
    ],
)
def test_numbers_in_words(words: str, figures: str) -> None:
    assert spelling.in_figures(words) == figures


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789 .,/-%€ernmillions d'àjanvier@fr", max_size=60))
def test_a_text_grants_what_it_claims(text: str) -> None:
    assert facts.missing(text, text) == {}


OPEN = "Les universités sont éligibles au prêt."
SHUT = "Les universités ne sont pas éligibles au prêt."


@pytest.mark.parametrize(
    ("text", "source", "opposed"),
    [
        (OPEN, SHUT, True),
        (SHUT, OPEN, True),
        (SHUT, "Les universités sont exclues du prêt.", False),
        (OPEN, f"{SHUT[:-1]} vert.\n{OPEN}", False),
        ("Le prêt est remboursé en 25 ans.", "Le prêt n'est remboursé qu'en 25 ans.", False),
        ("Le maire est né à Lyon en 1960.", "Maire né à Lyon en 1960.", False),
    ],
)
def test_a_statement_may_not_turn_its_source_round(text: str, source: str, opposed: bool) -> None:
    assert polarity.contradicts(text, source) is opposed


@pytest.mark.parametrize(
    ("language", "text", "other"),
    [
        ("fr", "The study is funded up to half of its total cost by the programme.", "en"),
        ("en", "L'étude est financée par le programme à hauteur de la moitié de son coût.", "fr"),
        ("fr", "L'étude est financée par le programme à hauteur de la moitié de son coût.", None),
        ("fr", "Bretagne : ok.", None),
    ],
)
def test_the_language_of_a_statement(language: str, text: str, other: str | None) -> None:
    assert tongue.other_than(language, text) == other  # type: ignore[arg-type]  # parametrised


def test_instructions_leak_and_data_does_not() -> None:
    rule = "Réponds à chacune des questions posées dans leur ordre et sans rien ajouter."
    passage = "Le programme cofinance l'étude préalable à hauteur de la moitié de son coût."
    prompt = leaking.instructions([Message(role="system", content=f"{rule}\n{passage}")])
    assert leaking.leaks(f"Voici : {rule}", prompt, [passage])
    assert not leaking.leaks(passage, prompt, [passage])
    assert leaking.leaks(passage, prompt)


@pytest.mark.timeout(20)  # the cost was cubic once: minutes, not a slow machine's seconds
@pytest.mark.parametrize(
    "text",
    ["1" + " " * 20000 + "x", "1 " * 10000, "123 " * 5000, "\n" * 20000, "un " * 6000, "a" * 20000],
    ids=["spaces", "figures", "thousands", "lines", "words", "letters"],
)
def test_any_run_of_characters_is_read_in_linear_time(text: str) -> None:
    assert "contact:" not in "".join(facts.grants(text))
    assert facts.unknown_names("La Mairie", text)
