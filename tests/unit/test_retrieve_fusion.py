"""Fusing the hits of an e-mail's questions."""

from __future__ import annotations

import uuid

from services.retrieve.fusion import fuse
from services.retrieve.passages import Found, Hit, StoredPassage, rank_score
from services.retrieve.versions import Rank
from shared.records import DocumentVersion
from tests.fakes.index import AT


def hit(text: str, rank: int = 0, dense: float = 0.8) -> Hit:
    passage = StoredPassage(
        passage_id=uuid.uuid5(uuid.NAMESPACE_URL, text),
        document_id=uuid.UUID(int=1),
        token="t",
        rank=Rank(1, 1, 1),
        version=DocumentVersion(submitted=AT, sha256="0" * 64),
        title="",
        url=None,
        heading_path=(),
        page=None,
        start=0,
        end=1,
        text=text,
        audience="public",
        collection="default",
    )
    return Hit(passage, rank_score(rank), dense, None, frozenset())


def found(*texts: str) -> Found:
    return Found(tuple(hit(text, rank) for rank, text in enumerate(texts)))


def shown(lists: list[Found], limit: int) -> list[str]:
    return [ranked.hit.passage.text for ranked in fuse(lists, limit)]


def test_one_question_keeps_its_order() -> None:
    assert shown([found("a", "b", "c", "d")], 3) == ["a", "b", "c"]


def test_nothing_found_gives_nothing() -> None:
    assert fuse([Found(), Found()], 8) == []
    assert fuse([], 8) == []


def test_what_suits_both_questions_comes_first() -> None:
    assert shown([found("a", "both"), found("b", "both")], 4)[0] == "both"


def test_every_question_keeps_its_best() -> None:
    """Common passages outscore each question's own, which must survive the cut all the same."""
    common = [f"common {n}" for n in range(10)]
    lists = [found(f"own {q}", *common) for q in range(4)]
    for limit in (4, 5, 8):
        assert {f"own {q}" for q in range(4)} <= set(shown(lists, limit))


def test_more_questions_than_places() -> None:
    lists = [found(f"own {q}") for q in range(5)]
    assert sorted(shown(lists, 3)) == ["own 0", "own 1", "own 2"]


def test_questions_of_a_passage_best_first() -> None:
    lists = [found("a", "x", "b"), found("x", "a"), found("c", "d", "e", "b")]
    questions = {r.hit.passage.text: r.questions for r in fuse(lists, 3)}
    assert questions["x"] == (1, 0)
    assert questions["a"] == (0, 1)


def test_far_down_for_all_names_the_nearest_question() -> None:
    first = found(*(f"a{n}" for n in range(20)), "late")
    second = found(*(f"b{n}" for n in range(30)), "late")
    late = next(r for r in fuse([first, second], 40) if r.hit.passage.text == "late")
    assert late.questions == (0, 1)


def test_the_same_text_comes_once() -> None:
    again = ["L'aide couvre 50 %.", "l’aide  couvre 50 %", "L'aide couvre 60 %."]
    assert shown([found(*again)], 8) == [again[0], again[2]]


def test_the_same_text_from_two_questions_is_one_passage() -> None:
    ranked = fuse([found("Un texte", "x"), found("y", "un texte !")], 8)
    assert ranked[0].hit.passage.text == "Un texte"
    assert ranked[0].questions == (0, 1)
    assert [r.hit.passage.text for r in ranked].count("un texte !") == 0


def test_ties_are_settled_by_cosine() -> None:
    lists = [Found((hit("far", 0, 0.7),)), Found((hit("near", 0, 0.9),))]
    assert shown(lists, 2) == ["near", "far"]


def test_scores_fall() -> None:
    scores = [r.score for r in fuse([found("a", "b", "c"), found("c", "d")], 8)]
    assert scores == sorted(scores, reverse=True)
