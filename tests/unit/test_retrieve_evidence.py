"""Evidence: how likely the passages answer a question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.retrieve import evidence
from services.retrieve.adapters.french_terms import term_indices
from services.retrieve.passages import Found
from tests.fakes.index import query_terms
from tests.unit.test_retrieve_fusion import hit

GENERIC = term_indices(evidence.GENERIC)


def found(*passages: tuple[float, set[int]], idf: dict[int, float] | None = None) -> Found:
    hits = tuple(
        replace(hit(str(n), n, dense), terms=frozenset(terms))
        for n, (dense, terms) in enumerate(passages)
    )
    return Found(hits, idf or {})


def background(*best: tuple[float, set[int]], idf: dict[int, float] | None = None) -> Found:
    """The best passages before forty that merely share the topic."""
    return found(*best, *((0.82, set()) for _ in range(40)), idf=idf)


IDF = {1: 4.0, 2: 5.0, 3: 4.5}


def test_nothing_found_is_no_evidence() -> None:
    assert evidence.estimate([1, 2], Found(), frozenset()) == 0.0


def test_answered_and_foreign_questions_are_on_either_side_of_the_default_threshold() -> None:
    answered = background((0.9, {1, 2, 3}), (0.87, {1}), idf=IDF)
    foreign = background((0.835, set()), (0.83, {1}), idf=IDF)
    assert evidence.estimate([1, 2, 3], answered, frozenset()) > 0.8
    assert evidence.estimate([1, 2, 3], foreign, frozenset()) < 0.2


@pytest.mark.parametrize("method_finds_nothing", [[], [9]])
def test_question_without_known_words_is_judged_by_meaning(
    method_finds_nothing: list[int],
) -> None:
    near = evidence.estimate(method_finds_nothing, background((0.91, set())), frozenset())
    far = evidence.estimate(method_finds_nothing, background((0.83, set())), frozenset())
    assert near > far


def test_more_of_the_question_found_is_more_evidence() -> None:
    scores = [
        evidence.estimate([1, 2, 3], background((0.87, terms), idf=IDF), frozenset())
        for terms in (set(), {1}, {1, 2}, {1, 2, 3})
    ]
    assert scores == sorted(scores)
    assert len(set(scores)) == 4


def test_words_of_asking_do_not_count() -> None:
    asked = "Bonjour, pourriez-vous m'indiquer si nous pouvons savoir comment isoler les combles ?"
    terms = query_terms(asked).indices
    seen = evidence.features(terms, background((0.9, set(terms) - GENERIC)), GENERIC)
    assert seen is not None
    assert seen.joint == pytest.approx(1.0)
    assert not set(query_terms("isoler les combles").indices) & GENERIC


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    idf = {1: 0.5, 2: 6.0}
    rare = evidence.features([1, 2], background((0.87, {2}), idf=idf), frozenset())
    common = evidence.features([1, 2], background((0.87, {1}), idf=idf), frozenset())
    assert rare is not None
    assert common is not None
    assert rare.joint > 0.9 > 0.1 > common.joint


def test_three_passages_may_answer_together() -> None:
    seen = evidence.features(
        [1, 2, 3], background((0.87, {1}), (0.87, {2}), (0.87, {3}), idf=IDF), frozenset()
    )
    assert seen is not None
    assert seen.joint == pytest.approx(1.0)
    one = evidence.features([1, 2, 3], background((0.87, {2}), idf=IDF), frozenset())
    assert one is not None
    assert one.joint == pytest.approx(5 / 13.5)
    assert one.mass == seen.mass, "the best one counts"


def test_it_is_a_probability_whatever_comes() -> None:
    for cosine in (-1.0, 0.0, 1.0):
        value = evidence.estimate(list(range(50)), found((cosine, set(range(50)))), frozenset())
        assert 0.0 <= value <= 1.0


def test_question_in_another_language_is_not_held_to_its_words() -> None:
    near = background((0.875, set()))
    foreign_words = list(range(20))
    assert evidence.estimate(foreign_words, near, frozenset()) < 0.5
    assert evidence.estimate(foreign_words, near, frozenset(), lexical=False) > 0.5
    far = background((0.83, set()))
    assert evidence.estimate(foreign_words, far, frozenset(), lexical=False) < 0.5


def test_an_index_of_one_passage_does_not_answer_everything() -> None:
    foreign = found((0.83, set()), idf={})
    assert evidence.estimate([1, 2, 3], foreign, frozenset()) < 0.2
    answered = found((0.9, {1, 2, 3}), idf=IDF)
    assert evidence.estimate([1, 2, 3], answered, frozenset()) > 0.8
