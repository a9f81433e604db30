"""Which sentences of the passages a reply quotes, and when it quotes none."""

from __future__ import annotations

from collections.abc import Sequence

from services.generate import asking, units
from services.generate.answer import DraftRequest, EngineAnswer
from shared.records import Passage
from tests.fakes.drafting import extractive, mail, passage

RATES = (
    "Demandeur : Commune de moins de 2 000 habitants ; Audit énergétique : 80 %\n"
    "Demandeur : Commune de 2 000 à 9 999 habitants ; Audit énergétique : 70 %\n"
    "Demandeur : Intercommunalité ou syndicat scolaire ; Audit énergétique : 65 %"
)
FAQ = (
    "Les travaux peuvent-ils se faire en présence des élèves ?\n\n"
    "Oui, si un plan sépare le chantier des élèves et des salles de classe.\n\n"
    "Une petite commune peut-elle être aidée ?\n\n"
    "Oui. Le guichet régional aide gratuitement à remplir le dossier de la commune."
)
LAST = (
    "Le prêt travaux est remboursé en 25 ans au plus par la commune. "
    "La commune de l'exemple rembourse son prêt en 12 ans."
)


async def said(
    question: str, passages: Sequence[Passage], *, told: str = "", evidence: float = 0.6
) -> EngineAnswer:
    block = mail([question], new_text=f"Bonjour,\n{told} {question}")
    engine = extractive()
    await engine.start()
    return await engine.write(DraftRequest(block, tuple(passages), (0,), evidence=(evidence,)))


def texts(answer: EngineAnswer) -> list[str]:
    return [part.text for part in answer.parts if not part.connective]


async def test_a_size_told_in_the_email_picks_its_row_alone() -> None:
    asked = "Quelle part de l'audit énergétique prenez-vous en charge pour une commune ?"
    answer = await said(asked, [passage(RATES)], told="Nous sommes 3 200 habitants.")
    assert texts(answer) == ["Commune de 2 000 à 9 999 habitants — audit énergétique : 70 %."]


async def test_a_yes_to_another_question_is_not_cut_into_half_a_sentence() -> None:
    asked = "Quelle salle de classe pour les élèves pendant le chantier ?"
    answer = await said(asked, [passage(FAQ)], evidence=0.95)
    assert not any(text.startswith("Si un plan") for text in texts(answer))
    asked = "Les travaux peuvent-ils se faire avec les élèves présents ?"
    answer = await said(asked, [passage(FAQ)], evidence=0.95)
    assert texts(answer)[0].startswith("Oui, si un plan sépare")


async def test_topic_alone_is_no_answer_where_the_passages_leave_doubt() -> None:
    asked = (
        "Ma facture a doublé alors que je vis seule dans mon appartement. "
        "À qui s'adresser pour vérifier le compteur du logement ?"
    )
    passages = [passage("Le guichet régional répond à la commune sous dix jours ouvrés.")]
    answer = await said(asked, passages)
    assert answer.refusal is not None
    assert answer.refusal.reason == "unsupported"
    assert answer.unanswered == (0,)
    assert texts(answer) == []


async def test_the_words_of_the_question_in_one_sentence_are_enough() -> None:
    answer = await said("En combien d'ans le prêt travaux est-il remboursé ?", [passage(LAST)])
    assert texts(answer)[0].startswith("Le prêt travaux est remboursé en 25 ans")


async def test_worked_examples_give_way_to_the_rule() -> None:
    rule = passage("L'aide est limitée à 55 000 € pour un projet de commune.", "regle", 1)
    example = passage(
        "La commune demande une aide de 40 000 € pour son projet, puis une aide de 15 000 €.",
        "exemple",
        heading_path=("Exemple chiffré",),
    )
    answer = await said("Quelle aide pour un projet de commune ?", [example, rule])
    assert texts(answer)[0].startswith("L'aide est limitée à 55 000 €")


async def test_a_list_counts_by_its_best_item() -> None:
    buildings = passage(
        "Établissements d'accueil :\n"
        "- Les crèches municipales sont éligibles comme les écoles.\n"
        "- Les universités sont éligibles pour leurs locaux d'enseignement."
    )
    other = passage("Le guichet accueille les communes et les écoles le mardi.", "guichet", 1)
    answer = await said("Les crèches municipales sont-elles éligibles ?", [other, buildings])
    assert "crèches municipales sont éligibles" in texts(answer)[0]


def test_the_sentence_that_asks_is_told_from_what_was_told_before() -> None:
    assert asking.last_sentence("Je loue. Puis-je repeindre ?") == "Puis-je repeindre ?"
    assert asking.last_sentence("Label RGE\nComment faire ?") == "Comment faire ?"
    assert asking.last_sentence("Nous cherchons une aide.") == "Nous cherchons une aide."


def test_half_a_question_that_says_too_little_is_not_asked_alone() -> None:
    whole = "Peut-on additionner les deux aides et jusqu'à quel total ?"
    assert asking.facets(whole) == [whole]
    two = "Quel montant peut-on emprunter et sur quelle durée faut-il rembourser le prêt ?"
    assert len(asking.facets(two)) == 2


def test_captions_and_letters_that_repeat_the_question_answer_nothing() -> None:
    for text in (
        "Tableau 1 : part du coût prise en charge selon le demandeur.",
        "Le tableau suivant donne la part du coût prise en charge.",
        "Vous demandez quels bâtiments de votre université peuvent entrer dans le programme.",
    ):
        (unit,) = units.of_passage(0, text)
        assert asking.disclaims(unit), text
