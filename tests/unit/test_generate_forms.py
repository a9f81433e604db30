"""The output forms: what a prompt shows, what any answer becomes, what is read of a half one."""

from __future__ import annotations

import asyncio
import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.generate import citations, marking, parsing, schemas
from services.generate.answer import DraftRequest, EngineFailed, Form, Style
from services.generate.prompting import Layout, of_passages, of_sentences
from services.generate.ranking import rank
from tests.fakes.drafting import STUDY, WORKS, WordScorer, mail, passage, prompt_of, request

FORMS: tuple[Form, ...] = ("parts", "marks", "select")
BOTH = ("L'étude préalable est-elle financée ?", "Quand commencer les travaux ?")
PAIR = (passage(STUDY, questions=(0,)), passage(WORKS, "travaux", questions=(1,)))
STUDY_SAID = "L'étude préalable est cofinancée à 50 %."
WORKS_SAID = "Les travaux commencent après l'accord."


def layout_of(asked: DraftRequest, form: Form) -> Layout:
    if form == "select":
        return of_sentences(asked, asyncio.run(rank(asked, WordScorer())), 900)
    return of_passages(asked, form, 900)


ONE = {form: layout_of(request(PAIR), form) for form in FORMS}
TWO = {form: layout_of(request(PAIR, mail(BOTH)), form) for form in FORMS}


def number_of(layout: Layout, index: int) -> int:
    """The number that passage ``index`` has in the prompt."""
    return layout.passages.index(index) + 1


def shown(layout: Layout, words: str) -> int:
    """The number of the sentence with ``words``."""
    return next(n for n, each in enumerate(layout.shown, start=1) if words in each.text)


# -- any text --------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["parts", "refusal", "text", "citations", "question", "1", "2", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
PROSE = st.lists(
    st.sampled_from(
        [
            *("L'étude est financée à 50 %", "Sont admis :", "- le devis", "**Oui**", "REFUS: non"),
            *("[1]", "[2, 3]", "[99]", "[]", ". ", "\n", "Question 2 :", "SANS RÉPONSE", "```"),
        ]
    ),
    max_size=14,
).map(" ".join)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=150, deadline=None)
@given(raw=st.text(max_size=80) | JSON.map(json.dumps) | PROSE)
def test_any_text_gives_parts_a_refusal_or_a_failure(form: Form, raw: str) -> None:
    for layout in (ONE[form], TWO[form]):
        assert isinstance(parsing.so_far(raw, layout), str)
        try:
            read = parsing.read(raw, layout)
        except EngineFailed:
            continue
        assert read.parts or read.refusal
        assert set(read.unanswered) <= set(layout.request.questions)
        within, _ = citations.within(read.parts, len(PAIR))
        given = {0, 1} if form == "select" else set(layout.passages)
        assert all(set(part.citations) <= given for part in within)


# -- parts -----------------------------------------------------------------------------------


def parts(*said: dict[str, object]) -> str:
    return json.dumps({"parts": list(said)})


def test_parts_say_which_question_they_answer() -> None:
    layout = TWO["parts"]
    raw = parts(
        {"question": 2, "text": WORKS_SAID, "citations": [number_of(layout, 1)]},
        {"question": 1, "text": STUDY_SAID, "citations": [number_of(layout, 0)]},
    )
    read = parsing.read(raw, layout)
    statements = [part for part in read.parts if not part.connective]
    assert [(part.text, part.citations) for part in statements] == [
        (STUDY_SAID, (0,)),
        (WORKS_SAID, (1,)),
    ]
    assert BOTH[1] in next(p.text for p in read.parts[1:] if p.connective)
    assert read.unanswered == ()
    jsonschema.validate(json.loads(raw), schemas.of(layout))


def test_a_question_without_parts_is_unanswered_also_when_the_model_numbers_none() -> None:
    layout = TWO["parts"]
    raw = parts({"text": WORKS_SAID, "citations": [number_of(layout, 1)]})
    assert parsing.read(raw, layout).unanswered == (0,)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(raw), schemas.of(layout))
    jsonschema.validate(json.loads(raw), schemas.of(ONE["parts"]))


@pytest.mark.parametrize("wrapped", ["```json\n{}\n```", "Voici :\n{}\nVoilà.", "{}"])
def test_json_is_found_whatever_stands_around_it(wrapped: str) -> None:
    raw = parts({"text": STUDY_SAID, "citations": [1]})
    assert parsing.read(wrapped.replace("{}", raw), ONE["parts"]).parts[0].text == STUDY_SAID


# -- marks -----------------------------------------------------------------------------------


def test_marks_speak_for_the_sentences_of_their_line_before_them() -> None:
    found = marking.read(
        "L'étude est aidée. Le taux est de 50 %. [1] L'aide a un plafond [2, 3]. Elle est unique.\n"
        "Autre ligne [passage 2].\n[4]"
    ).statements
    assert [(each.text, each.citations) for each in found] == [
        ("L'étude est aidée.", (1,)),
        ("Le taux est de 50 %.", (1,)),
        ("L'aide a un plafond.", (2, 3)),
        ("Elle est unique.", ()),
        ("Autre ligne.", (2, 4)),
    ]


def test_a_list_is_one_statement() -> None:
    raw = "Le dossier comprend :\n- le devis [1] ;\n* la délibération [2]."
    (found,) = marking.read(raw).statements
    assert found.text == "Le dossier comprend :\n– le devis ;\n– la délibération."
    assert found.citations == (1, 2)


def test_marks_name_questions_and_those_without_answer() -> None:
    layout = TWO["marks"]
    raw = f"Question 1 :\n{STUDY_SAID} [{number_of(layout, 0)}]\n**Question 2 :**\nSANS RÉPONSE."
    read = parsing.read(raw, layout)
    assert [part.text for part in read.parts if not part.connective] == [STUDY_SAID]
    assert read.unanswered == (1,)


@pytest.mark.parametrize(
    ("raw", "reason", "detail"),
    [
        ("REFUS: out-of-scope", "out-of-scope", ""),
        ("REFUSAL: unsupported", "unsupported", ""),
        ("REFUS : je ne sais pas", "unsupported", "je ne sais pas"),
        ("Question 1 : SANS RÉPONSE\nQuestion 2 : SANS RÉPONSE", "unsupported", ""),
    ],
)
def test_a_refusal_in_words(raw: str, reason: str, detail: str) -> None:
    refusal = parsing.read(raw, TWO["marks"]).refusal
    assert refusal is not None
    assert refusal.reason == reason
    assert detail in refusal.detail


# -- select ----------------------------------------------------------------------------------


def test_picks_become_sentences_of_their_passages() -> None:
    layout = TWO["select"]
    raw = json.dumps({"1": [shown(layout, "50 %")], "2": [shown(layout, "18 mois")]})
    read = parsing.read(raw, layout)
    texts = [part.text for part in read.parts if not part.connective]
    assert "50 % de son coût" in texts[0]
    assert "18 mois" in texts[1]
    assert read.unanswered == ()
    jsonschema.validate(json.loads(raw), schemas.of(layout))


def test_no_pick_is_no_answer_and_none_at_all_a_refusal() -> None:
    layout = TWO["select"]
    read = parsing.read(json.dumps({"1": [shown(layout, "50 %")], "2": []}), layout)
    assert read.unanswered == (1,)
    read = parsing.read('{"1": [], "2": []}', layout)
    assert read.refusal is not None
    assert read.refusal.reason == "unsupported"


def test_what_an_earlier_question_got_is_not_said_again() -> None:
    layout = TWO["select"]
    number = shown(layout, "50 %")
    read = parsing.read(json.dumps({"1": [number], "2": [number]}), layout)
    assert len([part for part in read.parts if part.citations]) == 1
    assert "répondent aussi" in read.parts[-1].text
    assert read.unanswered == ()


def test_the_length_of_the_mailbox_bounds_the_picks() -> None:
    asked = DraftRequest(mail(), PAIR, (0,), style=Style(length="short"))
    layout = layout_of(asked, "select")
    every = list(range(1, len(layout.shown) + 1))
    assert len(every) > 2
    read = parsing.read(json.dumps({"1": every}), layout)
    assert len([part for part in read.parts if part.citations]) <= 2


def test_a_sentence_is_shown_after_the_one_it_leans_on() -> None:
    text = "Le prêt travaux dure 25 ans au plus. Cette durée est portée à 30 ans outre-mer."
    asked = request([passage(text)], mail(["Quelle est la durée du prêt travaux outre-mer ?"]))
    assert [each.text for each in layout_of(asked, "select").shown] == [text]


# -- prompts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_prompts_are_stable_first(form: Form, language: str) -> None:
    block = mail(BOTH, language=language)
    one = prompt_of(request(PAIR, block), form)
    two = prompt_of(request(PAIR[::-1], block, "plus court"), form)
    assert one[0] == two[0]
    if form != "select":  # its sentences are those of the e-mail's questions
        until = one[1].content.index("<courriel" if language == "fr" else "<email")
        assert one[1].content[:until] == two[1].content[:until]
        assert until < one[1].content.index(BOTH[0], until)
    assert "plus court" in two[1].content
    assert "plus court" not in one[1].content


@pytest.mark.parametrize("form", ["parts", "marks"])
def test_the_prompt_tells_length_and_tone_of_the_mailbox(form: Form) -> None:
    plain = prompt_of(DraftRequest(mail(), PAIR, (0,)), form)[0].content
    styled = prompt_of(DraftRequest(mail(), PAIR, (0,), style=Style("long", "warm")), form)[0]
    assert "120 mots" in plain
    assert "220 mots" in styled.content
    assert "chaleureux" in styled.content


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_worked_example_stands_before_the_email_and_keeps_the_form(
    form: Form, language: str
) -> None:
    asked = request(PAIR, mail(language=language))
    plain, with_example = prompt_of(asked, form), prompt_of(asked, form, examples=True)
    assert (with_example[0], with_example[-1]) == plain
    assert [message.role for message in with_example[1:-1]] == ["user", "assistant"]
    reply = with_example[2].content
    layout = of_passages(request([PAIR[0]]), "parts", 900)
    match form:
        case "parts":
            jsonschema.validate(json.loads(reply), schemas.of(layout))
        case "marks":
            assert all(each.citations == (1,) for each in marking.read(reply).statements)
        case "select":
            assert json.loads(reply) == {"1": [3], "2": []}


# -- a draft in progress ---------------------------------------------------------------------


def test_half_an_answer_is_readable() -> None:
    whole = json.dumps({"parts": [{"text": "Oui.", "citations": [1]}, {"text": "L'étude est"}]})
    assert parsing.so_far(whole[: whole.index("est") + 1], ONE["parts"]) == "Oui.\n\nL'étude e"
    assert parsing.so_far("L'étude est **aidée** [1]. Le", ONE["marks"]) == "L'étude est aidée. Le"
    assert parsing.so_far('{"1": [2], "2": [', TWO["select"]).endswith("question 2 sur 2")
