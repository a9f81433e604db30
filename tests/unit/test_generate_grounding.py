"""Questions whose passages treat the topic only stay unanswered, and it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.generate.answer import DraftRequest
from services.generate.grounding import Features, Gate, estimates, features, probability
from services.generate.ranking import rank
from shared.events import DraftDeclined, DraftReady
from tests.fakes.drafting import (
    STUDY,
    WORKS,
    NearScorer,
    NoScorer,
    context,
    mail,
    passage,
    request,
    service,
)

STUDIED = "L'étude préalable de notre école est-elle financée ?"
STRANGE = "Quel tarif pour le stationnement des résidents de Quimper en 2031 ?"


def asked(*questions: str, evidence: float = 0.9) -> DraftRequest:
    made = request([passage(STUDY), passage(WORKS, "travaux")], mail(questions))
    return replace(made, evidence=(evidence,) * len(questions))


async def test_a_question_that_the_passages_only_touch_is_left_open() -> None:
    opened, checks = await Gate(NearScorer(), 0.3).open(asked(STUDIED, STRANGE))
    assert opened.questions == (0,)
    assert [check.passed for check in checks if check.name == "grounding"] == [True, False]
    assert STRANGE in checks[-1].detail
    assert opened.ranking is not None
    assert {facet.question for facet in opened.ranking.asked} == {0}
    assert await rank(opened, NoScorer()) is opened.ranking


async def test_without_vectors_words_decide_and_it_is_said() -> None:
    opened, checks = await Gate(NoScorer(), 0.3).open(asked(STUDIED, STRANGE))
    assert opened.questions == (0,)
    assert any(check.name == "sentence-vectors" and not check.passed for check in checks)


async def test_wishes_of_agents_and_other_languages_pass() -> None:
    wished = replace(asked(STRANGE), evidence=())
    assert await Gate(NearScorer(), 1.0).open(wished) == (wished, ())
    english = replace(request([passage(STUDY)], mail(language="en")), evidence=(0.6,))
    assert await Gate(NearScorer(), 1.0).open(english) == (english, ())


async def test_names_and_figures_that_are_nowhere_count_against_it() -> None:
    made = asked(STUDIED, "L'étude préalable de Quimper en 2031 est-elle financée ?")
    ranking, found = await estimates(made, NearScorer())
    assert found[1] < found[0]
    seen = features(made, ranking, 1)
    assert seen is not None
    assert seen.strange == 2
    assert 0 < seen.said < 1


@pytest.mark.parametrize("cosine", [0.88, None])
def test_every_figure_moves_the_estimate_the_right_way(cosine: float | None) -> None:
    usual = Features(evidence=1.0, cosine=cosine, said=0.2, strange=1)
    better = (
        replace(usual, evidence=2.0),
        replace(usual, said=0.4),
        replace(usual, strange=0),
        *((replace(usual, cosine=0.92),) if cosine else ()),
    )
    assert all(probability(each) > probability(usual) for each in better)


async def test_nothing_grounded_is_declined_before_the_engine_is_asked() -> None:
    event = context(mail([STRANGE]), [passage(STUDY)], 0.9, (0.9,))
    declined = await (await service()).draft(event)
    assert isinstance(declined, DraftDeclined)
    assert declined.data.why == "unsupported"
    assert declined.data.messages == ()
    assert [check.name for check in declined.data.checks if not check.passed] == ["grounding"]


async def test_what_is_left_open_is_named_in_the_draft() -> None:
    both = [passage(STUDY, questions=(0, 1)), passage(WORKS, "travaux", questions=(0, 1))]
    event = context(mail([STUDIED, STRANGE]), both, 0.9, (0.9, 0.9))
    draft = await (await service()).draft(event)
    assert isinstance(draft, DraftReady)
    assert draft.data.unanswered == (STRANGE,)
    assert any(check.name == "grounding" and check.passed for check in draft.data.checks)
