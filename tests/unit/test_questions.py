"""The questions of a mail: direct, indirect, listed; with the context they need; its language."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.questions import find_questions, language, meaningful_subject


def test_two_direct_questions_in_order() -> None:
    text = (
        "Bonjour,\n\nNotre commune rénove son école primaire.\nLe programme finance-t-il\n"
        "l'étude préalable ? Quelle est la durée maximale du prêt ?\n\nMerci d'avance."
    )
    assert find_questions("Rénovation", text) == (
        "Notre commune rénove son école primaire.\nLe programme finance-t-il l'étude préalable ?",
        "Notre commune rénove son école primaire.\nQuelle est la durée maximale du prêt ?",
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "Pourriez-vous nous indiquer les pièces à fournir.",
        "Je souhaiterais savoir si une école maternelle est éligible.",
        "Merci de me préciser les délais de traitement.",
        "Nous aimerions connaître le montant des aides.",
        "Je vous serais reconnaissant de bien vouloir m'indiquer la marche à suivre.",
        "Nous vous remercions de nous faire savoir si le lycée est concerné.",
        "Veuillez nous confirmer la date limite.",
        "J’aurais besoin d’une confirmation du taux.",
        "Je me demande si le gymnase peut être inclus.",
        "Nous ne savons pas comment déposer le dossier.",
        "Could you please send us the form.",
        "We would like to know whether private schools can apply.",
        "Please let me know the deadline.",
        "I was wondering about the interest rate.",
    ],
)
def test_indirect_questions(sentence: str) -> None:
    text = f"Bonjour,\n\n{sentence}\nL'école date de 1974."
    assert find_questions("", text) == (sentence,)


def test_items_of_an_announced_list_carry_its_opening() -> None:
    text = "Pourriez-vous nous indiquer :\n- le montant du prêt ;\n- sa durée ?\n\nBien à vous"
    assert find_questions("", text) == (
        "Pourriez-vous nous indiquer : le montant du prêt",
        "Pourriez-vous nous indiquer : sa durée ?",
    )


def test_numbered_questions() -> None:
    text = "1) Quel est le taux ?\n2) M. le maire doit-il signer la convention ?"
    assert find_questions("", text) == (
        "Quel est le taux ?",
        "M. le maire doit-il signer la convention ?",
    )


def test_a_short_anaphoric_question_gets_the_sentence_before() -> None:
    text = "Les travaux de l'école démarrent en mars. Est-ce encore possible ?"
    assert find_questions("", text) == (text,)


@pytest.mark.parametrize(
    "text",
    [
        "L'aide aux études serait plus élevée outre-mer. Est-ce exact ?",
        "Deux classes sont en préfabriqué. Quelle aide pour les remplacer ?",
        "Nous isolons une école de 1974 en deux phases. Pouvez-vous nous conseiller ?",
    ],
)
def test_questions_that_lean_on_the_sentence_before(text: str) -> None:
    assert find_questions("", text) == (text,)


@pytest.mark.parametrize(
    ("told", "question"),
    [
        (
            "Mon artisan pose des fenêtres dans une maison ancienne.",
            "Quel taux doit-il appliquer ?",
        ),
        ("J'ai 76 ans et de petits revenus.", "Puis-je être exonérée de la taxe foncière ?"),
        ("Ma facture d'eau a doublé.", "À qui dois-je m'adresser pour vérifier mon compteur ?"),
    ],
)
def test_a_question_that_says_little_comes_after_what_was_told(told: str, question: str) -> None:
    assert find_questions("", f"Bonjour,\n\n{told}\n\n{question}") in (
        (f"{told}\n{question}",),
        (f"{told} {question}",),
    )


def test_a_question_that_says_enough_stands_alone() -> None:
    question = "Combien d'années au maximum pour rembourser un emprunt de travaux d'isolation ?"
    assert find_questions("Prêt", f"Nous sommes une petite commune. {question}") == (question,)


def test_the_subject_sets_the_scene_of_a_first_question_unless_it_is_a_replys() -> None:
    assert find_questions("Label RGE", "Comment l'obtenir ?") == ("Label RGE\nComment l'obtenir ?",)
    assert find_questions("Re: Label RGE", "Comment faire ?") == ("Comment faire ?",)


def test_a_pronoun_is_explained_by_the_sentence_before_unless_the_question_does() -> None:
    told = "Notre gymnase est utilisé par le collège et le soir par les clubs de la commune."
    asked = "À partir de quelle part d'occupation par les élèves pouvons-nous l'inclure au projet ?"
    assert find_questions("", f"{told} {asked}") == (f"{told} {asked}",)
    asked = "La délibération doit-elle être votée au dépôt, ou pouvons-nous l'envoyer plus tard ?"
    assert find_questions("", f"{told} {asked}") == (asked,)


def test_a_request_without_content_after_a_question_adds_nothing() -> None:
    question = "Un habitant nous demande comment renouveler sa carte."
    assert find_questions("", f"{question} Pouvez-vous nous renseigner ?") == (question,)
    assert find_questions("Carte de stationnement résident", "Pouvez-vous m'aider ?") == (
        "Carte de stationnement résident",
    )


def test_courtesy_is_no_question() -> None:
    text = "Bonjour, comment allez-vous ? Quel est le taux du prêt ? N'hésitez pas à m'appeler."
    assert find_questions("", text) == ("Quel est le taux du prêt ?",)


def test_a_question_mark_in_an_address_asks_nothing() -> None:
    text = "Notre projet est décrit sur https://x.example/page?id=3 et concerne un collège ancien."
    assert find_questions("Isolation du collège", text) == (f"Isolation du collège\n{text}",)


def test_without_a_question_the_whole_text_with_its_subject_is_asked() -> None:
    text = "Madame,\n\nNous projetons d'isoler le gymnase et cherchons un financement adapté."
    assert find_questions("Isolation", text) == (
        "Isolation\nNous projetons d'isoler le gymnase et cherchons un financement adapté.",
    )
    (cut,) = find_questions("", "Nous rénovons cette école. " * 200)
    assert len(cut) <= 1200
    assert cut.endswith("…")


@pytest.mark.parametrize(
    ("subject", "text", "asked"),
    [
        ("Les lycées sont-ils éligibles ?", "Bonjour, tout est dans l'objet. Merci.", True),
        ("Demande de dossier de subvention", "", True),
        ("TR : Durée du prêt", "Merci", True),
        ("Question", "", False),
        ("Re: ", "", False),
    ],
)
def test_subjects_ask_when_the_body_does_not(subject: str, text: str, asked: bool) -> None:
    expected = (meaningful_subject(subject),) if asked else ()
    assert find_questions(subject, text) == expected


def test_a_short_body_is_never_lost_to_its_subject() -> None:
    assert find_questions("Demande sur votre programme", "Permis de conduire à points") == (
        "Demande sur votre programme\nPermis de conduire à points",
    )
    assert find_questions("Question", "Carte de séjour") == ("Carte de séjour",)


def test_an_ellipsis_leads_on() -> None:
    text = "Permis de construire, déclaration préalable... Qui peut déposer une demande ?"
    assert find_questions("", text) == (text,)


def test_at_most_six() -> None:
    text = "\n".join(f"Quelle est la règle numéro {n} du dispositif ?" for n in range(9))
    assert len(find_questions("", text)) == 6


def test_subject_prefixes_fall() -> None:
    assert meaningful_subject("RE: Tr : [EduRénov] Fwd: Étude") == "Étude"
    assert meaningful_subject("Demande d'information") == ""


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=300))
def test_any_text_gives_few_bounded_questions(subject: str, text: str) -> None:
    found = find_questions(subject, text)
    assert len(found) <= 6
    assert all(question.strip() and len(question) <= 1300 for question in found)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Bonjour, le programme finance-t-il l'étude préalable de notre école ?", "fr"),
        ("Hello, does the programme pay for the preliminary study of our school?", "en"),
        ("Guten Tag, finanziert das Programm die Vorstudie unserer Schule?", "de"),
        ("Buenos días, ¿el programa financia el estudio previo de nuestra escuela?", "es"),
        ("ok", "fr"),
        ("", "fr"),
        ("https://x.example/a/b", "fr"),
    ],
)
def test_language(text: str, code: str) -> None:
    assert language(text) == code


@pytest.mark.parametrize(
    "text",
    ["M. " * 6600, "Quel taux " + "e.g. " * 4000 + "?", "! " * 9999 + "a?", "!" * 19_998 + "a?"],
)
def test_hostile_repetitions_are_read_in_linear_time(text: str) -> None:
    start = time.process_time()
    find_questions("Aide", text)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("text", ["Merci !", "Un grand merci à vous.", "Bonjour,\n\nMerci bien."])
def test_thanks_in_a_reply_ask_nothing(text: str) -> None:
    assert find_questions("Re: Durée du prêt", text) == ()
    assert find_questions("Durée du prêt ?", text) == ("Durée du prêt ?",)


def test_what_was_asked_before_explains_a_question_that_says_little() -> None:
    before = "Sur combien d'années se rembourse le prêt ?"
    short = "Merci !\n\nEt pour une commune rurale ?"
    assert find_questions("Re: Prêt", short, before) == (f"{before}\nEt pour une commune rurale ?",)
    whole = "Quelles pièces faut-il joindre à la demande de versement de l'acompte ?"
    assert find_questions("Re: Prêt", whole, before) == (whole,)
