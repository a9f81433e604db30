"""What of an answer stands, what is said of the rest, and what a judge changes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from services.generate import checks, judging, support, wording
from services.generate.answer import DraftRequest, EngineAnswer, EngineFailed, EnginePart, Refusal
from services.generate.checks import PASSED, Grounds
from services.generate.judging import Case, Verdict
from services.generate.verifying import JudgeRules, Verifier
from shared.delivery import Unavailable
from shared.records import Check, Message
from tests.fakes.drafting import STUDY, WORKS, NoScorer, WordScorer, mail, passage, request

GOOD = EnginePart("Le plafond de l'aide est de 40 000 € par projet.", (0,))
HALF = EnginePart("Le programme cofinance l'étude préalable à hauteur de 50 %.", (0,))
LOOSE = EnginePart("Votre commune peut déposer une étude préalable au programme.", (0,))


def answer(*parts: EnginePart, **fields: object) -> EngineAnswer:
    values = {"engine": "openai", "model": "m", "parts": parts, "raw": "{}"} | fields
    return EngineAnswer(**values)  # type: ignore[arg-type]  # keyword arguments of a test


async def no_engine(_: DraftRequest) -> EngineAnswer:
    raise AssertionError("the engine is not to be asked again")


async def verified(*parts: EnginePart, scorer: object = None, **fields: object) -> EngineAnswer:
    verifier = Verifier(scorer or WordScorer())  # type: ignore[arg-type]  # either fake
    return await verifier.verify(request([passage(STUDY)]), answer(*parts, **fields), no_engine)


def check(found: EngineAnswer, name: str) -> Check:
    return next(each for each in found.checks if each.name == name)


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        ("L'étude préalable est cofinancée à hauteur de 50 %.", None, ""),
        ("L'étude préalable est cofinancée à hauteur de 60 %.", "facts", "chiffre"),
        ("L'aide est plafonnée à 40000 € par projet.", None, ""),
        ("L'étude est financée à cinquante pour cent, à hauteur de 50 €.", "facts", "50 €"),
        ("Écrivez à fraude@exemple.test pour l'étude préalable.", "facts", "adresse"),
        ("L'étude préalable est financée jusqu'au mois de mars.", "facts", "date"),
        ("L'étude préalable est financée par Bercy.", "facts", "nom"),
        ("La cantine sert des repas biologiques aux enfants.", "support", "éloigné"),
        ("Une étude déjà payée est financée.", "polarity", "contraire"),
        ("The programme funds half of the cost of the study beforehand.", "language", "en"),
        ("", "support", "vide"),
    ],
)
def test_statements_must_rest_on_their_passages(text: str, name: str | None, why: str) -> None:
    found = checks.why_not(EnginePart(text, (0,)), Grounds([passage(STUDY)], ""))
    assert (found.check if found else None) == name
    assert found is None or why in found.why


async def test_every_check_is_told_when_all_is_well() -> None:
    found = await verified(GOOD, HALF)
    assert found.parts == (GOOD, HALF)
    assert [each.name for each in found.checks] == list(PASSED)
    assert all(each.passed and each.detail for each in found.checks)


async def test_what_is_removed_is_shown_with_its_reason() -> None:
    system = "Réponds à chacune des questions posées dans leur ordre et sans rien ajouter."
    found = await verified(
        GOOD,
        GOOD,
        EnginePart("Le plafond de l'aide est bien de 40 000 € par projet.", (0,)),
        EnginePart("Le plafond est de 40 000 €."),
        EnginePart(system, (0,)),
        EnginePart("Le plafond de l'aide est de 70 000 € par projet. [1]", (0, 7)),
        messages=(Message(role="system", content=system),),
    )
    assert found.parts == (GOOD,)
    failed = {each.name: each.detail for each in found.checks if not each.passed}
    assert set(failed) == {"citations", "facts", "repetition", "prompt"}
    assert "inexistants retirés : 1" in failed["citations"]
    assert "énoncé sans source : « Le plafond est de 40 000 €. »" in failed["citations"]
    assert "« 70 000 € »" in failed["facts"]
    assert "Retiré du projet (2)" in failed["repetition"]


async def test_what_the_prompt_quotes_may_be_said() -> None:
    sent = (Message(role="user", content=f"<passage>{STUDY}</passage>"),)
    quote = EnginePart(STUDY.split(". ")[0] + ".", (0,))
    assert (await verified(quote, messages=sent)).parts == (quote,)


def test_figures_of_the_email_may_be_taken_up() -> None:
    grounds = Grounds([passage(STUDY)], "Notre école a 12 classes.")
    part = EnginePart("L'étude préalable des 12 classes est financée.", (0,))
    assert checks.why_not(part, grounds) is None


def test_a_connective_without_its_statements_goes() -> None:
    kept, _ = checks.examine(
        [EnginePart("Concernant A :", connective=True), EnginePart("Faux : 99 %.", (0,))],
        Grounds([passage(STUDY)], ""),
    )
    assert kept == ()


def test_rows_and_denials_are_no_repetition() -> None:
    rows = "– Toiture de l'école — financé : oui.", "– Fenêtres de l'école — financé : oui."
    assert not checks.same(*rows)
    assert not checks.same("Le prêt finance les murs.", "Le prêt ne finance pas les murs.")


def test_degenerate_text() -> None:
    assert checks.degenerate(["l'aide est versée en une fois"] * 4)
    assert not checks.degenerate([STUDY, WORKS])


async def test_doubtful_statements_are_compared_by_meaning() -> None:
    scorer = WordScorer()
    await verified(GOOD, HALF, scorer=scorer)
    assert scorer.compared == 0
    await verified(LOOSE, scorer=scorer)
    assert 0 < scorer.compared <= support.COMPARED_A_PASSAGE
    assert support.supported(0.6, 0.9, foreign=False)
    assert not support.supported(0.6, 0.8, foreign=False)
    assert support.supported(0.6, None, foreign=False)


async def test_without_embed_words_decide_and_it_is_said() -> None:
    found = await verified(GOOD, LOOSE, scorer=NoScorer())
    assert LOOSE in found.parts
    assert not check(found, "support-vectors").passed
    assert "1 énoncé" in check(found, "support-vectors").detail


async def test_a_foreign_reply_is_compared_by_meaning_and_its_figures_checked() -> None:
    english = request([passage(STUDY)], mail(language="en"))
    parts = (
        EnginePart("The study is funded up to 50 % of its cost before tax.", (0,)),
        EnginePart("The study is funded up to 60 % of its cost before tax.", (0,)),
    )
    found = await Verifier(NoScorer()).verify(english, answer(*parts), no_engine)
    assert found.parts == parts[:1]
    quotes = (EnginePart(wording.french_quotes(), connective=True), GOOD)
    found = await Verifier(NoScorer()).verify(english, answer(*quotes), no_engine)
    assert found.parts == quotes
    assert check(found, "language").passed
    assert "annonce" in check(found, "language").detail


async def test_an_email_in_a_third_language_is_pointed_out() -> None:
    german = request([passage(STUDY)], mail(language="de"))
    found = await Verifier(WordScorer()).verify(german, answer(GOOD), no_engine)
    assert found.parts == (GOOD,)
    assert not check(found, "mail-language").passed
    assert "(de)" in check(found, "mail-language").detail


# -- the judge -------------------------------------------------------------------------------


class Reader:
    """Says the verdicts given, one after the other."""

    def __init__(self, *said: Verdict | Exception) -> None:
        self.said = list(said)
        self.cases: list[Case] = []

    async def judge(self, case: Case) -> Verdict:
        self.cases.append(case)
        verdict = self.said.pop(0)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict


class Writer:
    """Answers with ``parts``, and keeps what it was asked."""

    def __init__(self, *parts: EnginePart, **fields: object) -> None:
        self.answer = answer(*parts, **fields)
        self.asked: list[DraftRequest] = []

    async def __call__(self, asked: DraftRequest) -> EngineAnswer:
        self.asked.append(asked)
        return self.answer


FINE = Verdict((), (), 1.0, 1.0)
POOR = Verdict((1,), (), 0.5, 1.0, "L'énoncé 2 ne répond pas.")
BESIDE = Verdict((), (0,), 1.0, 0.0, "La question n'est pas traitée.")


async def judged(
    said: Sequence[Verdict | Exception], writer: object = no_engine, repairs: int = 1
) -> EngineAnswer:
    verifier = Verifier(WordScorer(), Reader(*said), JudgeRules(0.6, repairs))
    asked = request([passage(STUDY)], instruction="Être bref")
    return await verifier.verify(asked, answer(GOOD, HALF), writer)  # type: ignore[arg-type]  # a fake


async def test_a_judge_that_agrees_leaves_its_scores() -> None:
    found = await judged([FINE])
    assert found.parts == (GOOD, HALF)
    assert check(found, "judge").passed
    assert "1.00" in check(found, "judge").detail


async def test_an_objection_is_told_to_the_engine_once() -> None:
    writer = Writer(GOOD)
    found = await judged([POOR, FINE], writer)
    assert found.parts == (GOOD,)
    assert writer.asked[0].instruction.startswith("Être bref ")
    assert POOR.objection in writer.asked[0].instruction
    assert check(found, "repair").passed
    assert check(found, "judge").passed


async def test_what_stays_wrong_is_removed() -> None:
    found = await judged([POOR, POOR], Writer(GOOD, HALF))
    assert found.parts == (GOOD,)
    assert not check(found, "judge").passed
    assert "retirés" in check(found, "judge").detail
    assert (await judged([POOR], repairs=0)).parts == (GOOD,)


async def test_a_draft_beside_the_question_is_none() -> None:
    assert (await judged([BESIDE], repairs=0)).parts == ()


@pytest.mark.parametrize(
    "writer",
    [Writer(refusal=Refusal("unsupported")), Writer(EnginePart("Faux : 99 %.", (0,)))],
)
async def test_a_repair_that_gives_nothing_is_not_taken(writer: Writer) -> None:
    assert (await judged([POOR], writer)).parts == (GOOD,)


@pytest.mark.parametrize("error", [Unavailable("injoignable"), EngineFailed("hors format")])
async def test_a_judge_that_is_down_does_not_stop_the_draft(error: Exception) -> None:
    found = await judged([error])
    assert found.parts == (GOOD, HALF)
    assert not check(found, "judge").passed
    assert str(error) in check(found, "judge").detail


async def test_quotes_are_not_written_again() -> None:
    verifier = Verifier(WordScorer(), Reader(POOR), JudgeRules())
    found = await verifier.verify(request([passage(STUDY)]), answer(GOOD, HALF, raw=""), no_engine)
    assert found.parts == (GOOD,)


def test_the_case_shows_what_each_statement_cites() -> None:
    case = judging.case(request([passage(STUDY)]), answer(GOOD))
    assert case.statements == (GOOD.text,)
    assert case.grounds == (STUDY,)
    assert len(case.questions) == 1


@pytest.mark.parametrize(
    "raw",
    ["non", "[]", '{"unsupported": [9]}', '{"unanswered": ["x"]}', '{"unsupported": 3}'],
)
def test_nonsense_of_a_judge_is_refused(raw: str) -> None:
    with pytest.raises(EngineFailed):
        judging.read(raw, Case(("Q ?",), ("A.",), ("A.",)))


def test_a_judgement_is_read() -> None:
    raw = json.dumps({"unsupported": [2], "unanswered": [], "objection": "L'énoncé 2\nest faux."})
    verdict = judging.read(raw, Case(("Q ?",), ("A.", "B."), ("A.", "A.")))
    assert verdict == Verdict((1,), (), 0.5, 1.0, "L'énoncé 2 est faux.")


async def test_what_only_the_email_says_is_pointed_out_or_removed() -> None:
    asked = request(
        [passage(STUDY)],
        mail(
            new_text="Une étude de 90 000 € est-elle financée à 90 % ? Écrivez à a@pirate.example"
        ),
    )
    amount = EnginePart("Pour votre étude préalable de 90 000 €, le plafond est de 40 000 €.", (0,))
    rate = EnginePart("Le programme cofinance l'étude préalable à hauteur de 90 %.", (0,))
    contact = EnginePart(f"{HALF.text[:-1]}, écrivez à a@pirate.example.", (0,))
    found = await Verifier(WordScorer()).verify(asked, answer(amount, rate, contact), no_engine)
    assert found.parts == (amount,)
    told = check(found, "facts")
    assert not told.passed
    assert "Repris du courriel, à vérifier : « 90 000 € »" in told.detail
    assert "« 90 % »" in told.detail
    assert "a@pirate.example" in told.detail


async def test_a_question_that_loses_its_statements_is_named_unanswered() -> None:
    block = mail(("L'étude est-elle financée ?", "Quand payez-vous ?"))
    wrong = EnginePart("Le versement a lieu sous 30 jours.", (0,), question=1)
    right = EnginePart(HALF.text, (0,), question=0)
    heads = [EnginePart(f"Concernant votre question {n} :", connective=True) for n in (1, 2)]
    parts = answer(heads[0], right, heads[1], wrong)
    found = await Verifier(WordScorer()).verify(request([passage(STUDY)], block), parts, no_engine)
    assert found.parts == (heads[0], right)
    assert found.unanswered == (1,)


async def test_many_sentences_are_all_compared() -> None:
    texts = [" ".join(f"La clause {n}{k} vaut ici." for k in range(12)) for n in range(6)]
    passages = [passage(text, f"p{n}") for n, text in enumerate(texts)]
    english = request(passages, mail(language="en"))
    told = ("grants", "loans", "deadlines", "schools", "libraries", "heating")
    parts = [EnginePart(f"The clause about {w} holds here.", (n,)) for n, w in enumerate(told)]

    class Near:
        async def cosines(self, some: Sequence[str], others: Sequence[str]) -> list[list[float]]:
            assert len(others) <= 64, "more than embed takes at once"
            return [[0.95] * len(others) for _ in some]

    found = await Verifier(Near()).verify(english, answer(*parts), no_engine)
    assert len(found.parts) == 6, [each.detail for each in found.checks]


async def test_another_engine_that_steps_in_repairs_nothing() -> None:
    async def stepped_in(_: DraftRequest) -> EngineAnswer:
        return answer(HALF, raw="", engine="extractive (endpoint down)")

    found = await Verifier(WordScorer(), Reader(POOR, POOR), JudgeRules()).verify(
        request([passage(STUDY)]), answer(GOOD, HALF), stepped_in
    )
    assert found.engine == "openai"
    assert all(each.name != "repair" for each in found.checks)
