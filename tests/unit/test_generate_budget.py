"""Passages cut to the context budget: by rank, never within a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generate import budget, prompting, sentences
from services.generate.prompting import of_passages
from tests.fakes.drafting import STUDY, WORKS, mail, passage, request

LINE = st.sampled_from(
    [
        "L'étude préalable est financée à 50 %. Le plafond est de 40 000 €.",
        "Le dossier comprend :\n- le devis ;\n- la délibération du conseil municipal.",
        "\nTITRE",
        "Poste : Toiture ; Financé : oui",
        "Oui. Le prêt couvre les travaux de l'école, M. Martin. Il est accordé en juin.",
        "",
    ]
)
TEXT = st.lists(LINE, min_size=1, max_size=8).map("\n".join).filter(str.strip)


@given(TEXT, st.integers(0, 300))
def test_a_cut_is_a_beginning_that_ends_with_a_sentence_an_item_or_a_row(
    text: str, chars: int
) -> None:
    piece = budget.cut(text, chars)
    assert text.startswith(piece)
    assert len(piece) <= chars
    if piece:
        last = piece.splitlines()[-1]
        whole_line = last in text.splitlines()
        assert whole_line or sentences.is_full(last)
        assert not last.endswith(":")
        assert last != "TITRE"
        assert not piece.endswith(("M.", "Oui."))


@given(st.lists(TEXT, min_size=1, max_size=5), st.integers(0, 200))
def test_the_best_ranked_passage_is_always_kept(texts: list[str], tokens: int) -> None:
    kept = budget.within(texts, tokens)
    assert list(kept) == list(range(len(kept)))
    assert texts[0].startswith(kept[0])
    assert kept[0]
    further = sum(len(piece) for index, piece in kept.items() if index)
    assert not further or len(kept[0]) + further <= tokens * budget.CHARS_A_TOKEN
    assert all(kept[index] == texts[index] for index in list(kept)[:-1])


def test_a_sentence_over_two_lines_is_not_cut_between_them() -> None:
    text = "Premier fait établi.\nLe second fait se lit\nsur deux lignes."
    assert budget.cut(text, len(text) - 1) == "Premier fait établi."


@pytest.mark.parametrize("form", ["parts", "marks"])
def test_passages_are_cut_by_rank_and_laid_out_in_canonical_order(form: str) -> None:
    long = passage(" ".join(f"La règle numéro {n} vaut pour tous." for n in range(20)), "long")
    best, second = passage(WORKS, "travaux"), passage(STUDY)
    room = (len(WORKS) + len(STUDY)) // budget.CHARS_A_TOKEN + 60
    layout = of_passages(request([best, second, long, passage("Dernier.", "z")]), form, room)  # type: ignore[arg-type]  # a form
    texts = {section.title: section.text for section in layout.sections}
    assert texts["Fiche travaux"] == WORKS
    assert texts["Fiche etudes"] == STUDY
    assert texts["Fiche long"].endswith("vaut pour tous.")
    assert len(texts["Fiche long"]) < len(long.text)
    assert "Fiche z" not in texts
    ids = [str([best, second, long][index].passage_id) for index in layout.passages]
    assert ids == sorted(ids)


def test_a_long_email_is_cut_at_a_sentence() -> None:
    text = "Nous avons une école de quatre classes. " * 300
    asked = request([passage(STUDY)], mail(new_text=text))
    shown = prompting.prompt(of_passages(asked, "parts", 900))
    assert 5000 < len(shown.text) <= 6000
    assert shown.text.endswith("classes.")
