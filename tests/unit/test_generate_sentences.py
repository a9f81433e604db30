"""Reading passages: sentences, blocks, rows, units."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generate import blocks, ranges, rows, sentences, units
from services.generate.french import numbers, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Selon l'art. L. 123-4 du code, M. le maire décide. Cf. p. 3.",
            ["Selon l'art. L. 123-4 du code, M. le maire décide.", "Cf. p. 3."],
        ),
        (
            "Le taux est de 4.5 % et 1,5 M€. Il baisse.",
            ["Le taux est de 4.5 % et 1,5 M€.", "Il baisse."],
        ),
        ("Voir le n° 3. Puis le n° 4.", ["Voir le n° 3.", "Puis le n° 4."]),
        (
            "L'arrêté du 5 déc. 2019 fixe la règle. Fin.",
            ["L'arrêté du 5 déc. 2019 fixe la règle.", "Fin."],
        ),
        ("Est-ce possible ? Oui. Sous conditions.", ["Est-ce possible ?", "Oui. Sous conditions."]),
        (
            "Il écrit : « C'est fini. Merci. » Puis il part.",
            ["Il écrit : « C'est fini. Merci. »", "Puis il part."],
        ),
        ("Rendez-vous à 10 h. Apportez l'acte.", ["Rendez-vous à 10 h.", "Apportez l'acte."]),
        (
            "Les frais (étude, audit, etc.) sont pris en compte.",
            ["Les frais (étude, audit, etc.) sont pris en compte."],
        ),
        (
            "C'est la S.A.R.L. Martin qui paie. Elle signe.",
            ["C'est la S.A.R.L. Martin qui paie.", "Elle signe."],
        ),
        (
            "Attendez… 40 % sont versés ! Le reste suit.",
            ["Attendez…", "40 % sont versés !", "Le reste suit."],
        ),
    ],
)
def test_splits_french_sentences(text: str, expected: list[str]) -> None:
    assert sentences.split(text) == expected


@given(st.text(alphabet="abÉ .!?«»()123,;:\u00a0…-", max_size=120))
def test_splitting_loses_nothing(text: str) -> None:
    whole = "".join("".join(sentences.split(text)).split())
    assert whole == "".join(text.split())


def test_reads_the_lines_of_a_chunk() -> None:
    text = (
        "2. Dépenses (illustratif)\n\nSont pris en compte :\n- les études ;\n- l'audit.\n\n"
        "QUI PAIE ?\nLa commune paie d'abord.\n"
        "Période : Printemps ; Clôture : 21 mai 2027\n"
    )
    found = [(block.kind, block.text, block.items) for block in blocks.read(text)]
    assert found == [
        ("heading", "2. Dépenses (illustratif)", []),
        ("list", "Sont pris en compte :", ["les études ;", "l'audit."]),
        ("heading", "QUI PAIE ?", []),
        ("paragraph", "La commune paie d'abord.", []),
        ("row", "Période : Printemps ; Clôture : 21 mai 2027", []),
    ]


def test_unmarked_items_follow_their_lead_and_wrapped_lines_are_joined() -> None:
    text = (
        "La demande est faite :\npar le bénéficiaire,\nou par son représentant.\n"
        "Le délai court à partir de la réception du dossier\ncomplet par le guichet."
    )
    found = blocks.read(text)
    assert found[0].items == ["par le bénéficiaire,", "ou par son représentant."]
    assert found[1].text.endswith("du dossier complet par le guichet.")


def test_units_are_full_sentences_lists_and_rows() -> None:
    text = (
        "Études\nLe taux est fixe. Mais la suite\n\n"
        "Pièces à joindre :\n- le devis\n- la délibération\n\n"
        "Poste : Pompe à chaleur ; Financé : oui ; Limite : 20 % du montant\n"
        "Peut-on déposer sur papier ?\nNon. Le dépôt se fait en ligne."
    )
    found = [(unit.kind, unit.text) for unit in units.of_passage(0, text)]
    assert found == [
        ("sentence", "Le taux est fixe."),
        ("list", "Pièces à joindre :\n– le devis ;\n– la délibération."),
        ("row", "Pompe à chaleur — financé : oui ; limite : 20 % du montant."),
        ("sentence", "Non. Le dépôt se fait en ligne."),
    ]


def test_half_sentences_at_the_edges_of_a_chunk_are_left_out() -> None:
    text = "de la commune avant le 30 juin. Le dossier est examiné en comité. La décision est"
    found = [unit.text for unit in units.of_passage(0, text, from_middle=True)]
    assert found == ["Le dossier est examiné en comité."]


def test_a_list_is_quoted_with_its_heading_or_not_at_all() -> None:
    text = "- Le prêt et une avance sur les mêmes lots.\n- Deux aides pour une même étude."
    with_heading = units.of_passage(0, text, ("Ce qui ne se cumule pas",))
    assert [unit.text.splitlines()[0] for unit in with_heading] == ["Ce qui ne se cumule pas :"]


def test_a_long_list_keeps_the_items_asked_for() -> None:
    items = [f"le poste numéro {number}, avec ses conditions" for number in range(20)]
    text = "Sont financés :\n" + "\n".join(f"- {item}" for item in items)
    unit = units.of_passage(0, text)[0]
    short = units.shortened(unit, lambda item: float("17" in item))
    assert "– le poste numéro 17, avec ses conditions" in short
    assert short.endswith(units.ELLIPSIS_ITEM)
    assert short.count("\n") == units.MAX_ITEMS + 1


def test_columns_that_say_nothing_are_left_out_of_rows() -> None:
    text = "\n".join(
        f"Session : {name} ; Clôture : {day} mai ; État : provisoire ; Source : ministère"
        for name, day in (("A", 1), ("B", 2), ("C", 3))
    )
    found = [unit.text for unit in units.of_passage(0, text)]
    assert found == ["A — clôture : 1 mai.", "B — clôture : 2 mai.", "C — clôture : 3 mai."]


def test_a_value_with_a_semicolon_stays_in_its_column() -> None:
    row = rows.parse("Poste : Toiture ; Condition : isolée ; ventilée ; Limite : aucune")
    assert row.cells[1] == ("Condition", "isolée ; ventilée")


def test_numbers_are_compared_in_one_writing() -> None:
    text = "1\u202f500,50 € pour 25 000 habitants, deux ans et 3,5 m²"
    assert numbers(text) == ["1500.5", "25000", "3.5", "2"]


def test_words_of_one_family_share_a_term() -> None:
    assert terms("cofinancement des travaux communaux") == terms("Financement du travail communal")
    assert terms("déposer") == terms("dépôt")


@pytest.mark.parametrize(
    ("asked", "told", "expected"),
    [
        ("une commune de 3 200 habitants", "Commune de 2 000 à 9 999 habitants", True),
        ("une commune de moins de 3 500 habitants", "Commune de moins de 2 000 habitants", True),
        ("une commune de 3 200 habitants", "50 000 habitants et plus", False),
        ("une commune de 3 200 habitants", "plafond de 40 000 €", None),
    ],
)
def test_sizes_and_bands(asked: str, told: str, expected: bool | None) -> None:
    assert ranges.agree(ranges.bands(asked), ranges.bands(told)) is expected


@given(st.text(alphabet="abcdÉé -–:;.,|?\n0123456789«»#>", max_size=300))
def test_any_text_is_read_and_quoted_without_invention(text: str) -> None:
    known = re.sub(r"[^0-9a-zé]", "", text.lower())
    for unit in units.of_passage(0, text):
        if unit.kind == "sentence":
            assert re.sub(r"[^0-9a-zé]", "", unit.text.lower()) in known
        for piece in re.findall(r"[0-9a-zé]+", unit.text.lower()):
            assert piece in text.lower()
