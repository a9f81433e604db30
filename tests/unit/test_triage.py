"""Triage: the likeliest category, the fallback, what is asked of embed, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from services.ingest.mail_service import MailIntake
from services.ingest.triage import Sorter, chosen, confidences, undrafted
from shared.categories import Category, Triage
from shared.delivery import Unavailable
from shared.events import MailSkipped
from shared.objects import MemoryObjects
from shared.queries import EmbedAnswer, EmbedQuery
from shared.records import QuestionVectors, SparseVector
from tests.fakes.intake_memory import DirectReader, WordCounter
from tests.unit.test_ingest_mails import accepted, an_intake, mail, reason, received

LOAN = Category(
    description="prêt", examples=("taux du prêt", "durée du prêt"), collections=("prets",)
)
THANKS = Category(description="merci", examples=("merci beaucoup",), draft=False)
OTHER = Category(description="autre")
CATEGORIES = {"pret": LOAN, "merci": THANKS, "autre": OTHER}
TRIAGE = Triage(categories=CATEGORIES)
WORDS = ("prêt", "merci", "autre")


class Embedder:
    """A direction per word of ``WORDS``; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.embedding = "one"
        self.down = False

    async def __call__(self, query: EmbedQuery) -> EmbedAnswer:
        if self.down:
            raise Unavailable("nobody answers query.embed.v1")
        self.asked.append(query.texts)
        sparse = SparseVector(indices=(), values=())
        vectors = [QuestionVectors(dense=direction(text), sparse=sparse) for text in query.texts]
        return EmbedAnswer(vectors=tuple(vectors), embedding=self.embedding)


def direction(text: str) -> tuple[float, ...]:
    here = [float(word in text.lower()) for word in WORDS]
    if not any(here):
        return (0.6, 0.5, 0.62)  # a little of everything
    return tuple(value / sum(here) ** 0.5 for value in here)


@pytest.fixture
def embedder() -> Embedder:
    return Embedder()


@pytest.fixture
def sorter(embedder: Embedder) -> Sorter:
    return Sorter(TRIAGE, embedder)


def test_confidences_are_shares_that_follow_the_cosines() -> None:
    mail_vector = np.array([1, 0], dtype=np.float32)
    shares = confidences(mail_vector, np.array([[0.85, 0], [0.84, 0], [0.8, 0]], dtype=np.float32))
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] < 0.9, "near misses are told as such"
    apart = confidences(mail_vector, np.array([[0.9, 0], [0.5, 0]], dtype=np.float32))
    assert apart[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("config", "shares", "name", "fallback"),
    [
        (Triage(categories=CATEGORIES), {"pret": 0.6, "merci": 0.4, "autre": 0}, "pret", False),
        (Triage(categories=CATEGORIES), {"pret": 0.4, "merci": 0.35, "autre": 0.25}, None, True),
        (
            Triage(categories=CATEGORIES, fallback="autre"),
            {"pret": 0.4, "merci": 0.35, "autre": 0.25},
            "autre",
            True,
        ),
        (
            Triage(categories=CATEGORIES, threshold=0.3),
            {"pret": 0.4, "merci": 0.35, "autre": 0.25},
            "pret",
            False,
        ),
        (
            Triage(
                categories={**CATEGORIES, "merci": THANKS.model_copy(update={"threshold": 0.9})}
            ),
            {"pret": 0.1, "merci": 0.8, "autre": 0.1},
            None,
            True,
        ),
    ],
)
def test_the_threshold_decides(
    config: Triage, shares: dict[str, float], name: str | None, fallback: bool
) -> None:
    found = chosen(config, shares)
    assert (found.name, found.fallback) == (name, fallback)
    assert found.category == (CATEGORIES[name] if name else None)
    ranked = list(found.confidence.values())
    assert ranked == sorted(ranked, reverse=True)


async def test_categories_are_asked_for_once(sorter: Sorter, embedder: Embedder) -> None:
    for _ in range(3):
        assert (await sorter.sort("Question", "Le prêt ?")).name == "pret"
    texts = ("prêt", "taux du prêt", "durée du prêt", "merci", "merci beaucoup", "autre")
    assert embedder.asked.count(texts) == 1
    assert len(embedder.asked) == 4


async def test_a_new_embedding_asks_for_the_categories_anew(
    sorter: Sorter, embedder: Embedder
) -> None:
    await sorter.sort("", "prêt")
    embedder.embedding = "two"
    await sorter.sort("", "prêt")
    assert sum(len(texts) > 1 for texts in embedder.asked) == 2


async def test_many_examples_are_asked_for_in_portions(embedder: Embedder) -> None:
    many = Category(description="merci", examples=tuple(f"merci {n}" for n in range(150)))
    sorter = Sorter(Triage(categories={"pret": LOAN, "merci": many}), embedder)
    assert (await sorter.sort("", "merci")).name == "merci"
    assert max(len(texts) for texts in embedder.asked) == 64


async def test_without_categories_nothing_is_asked(embedder: Embedder) -> None:
    found = await Sorter(Triage(), embedder).sort("", "prêt")
    assert (found.name, found.confidence, embedder.asked) == (None, {}, [])


async def test_embed_down_is_told_until_it_answers(sorter: Sorter, embedder: Embedder) -> None:
    embedder.down = True
    await sorter.ready()  # nothing was asked yet: the service may start
    with pytest.raises(Unavailable):
        await sorter.sort("", "prêt")
    with pytest.raises(Unavailable):
        await sorter.ready()
    embedder.down = False
    await sorter.ready()
    assert (await sorter.sort("", "prêt")).name == "pret"


def test_a_fallback_must_be_a_category() -> None:
    with pytest.raises(ValidationError, match=r"'divers' is no category; configured: pret, merci"):
        Triage(categories=CATEGORIES, fallback="divers")
    with pytest.raises(ValidationError, match="tonality"):
        Category.model_validate({"description": "x", "tonality": "warm"})


# -- through the use case --------------------------------------------------------------------


def sorting(embedder: Embedder, triage: Triage = TRIAGE) -> MailIntake:
    return an_intake(MemoryObjects(), DirectReader(WordCounter()), triage=triage, embed=embedder)


async def test_a_category_gives_its_name_and_collections(embedder: Embedder) -> None:
    block = await accepted(sorting(embedder), mail("Quel est le taux du prêt ?"))
    assert (block.category, block.collections) == ("pret", ("prets",))
    plain = await accepted(sorting(embedder), mail("Autre chose est-il possible ?"))
    assert (plain.category, plain.collections) == ("autre", ("guides",))


async def test_without_categories_a_mail_has_none(embedder: Embedder) -> None:
    block = await accepted(sorting(embedder, Triage()), mail("Quel est le taux du prêt ?"))
    assert (block.category, block.collections) == (None, ("guides",))


async def test_a_category_without_drafts_is_skipped_with_its_confidence(
    embedder: Embedder,
) -> None:
    answer = await sorting(embedder).take(received(mail("Merci beaucoup !")))
    assert reason(answer) == "category"
    assert isinstance(answer, MailSkipped)
    assert answer.data.detail == (
        "Catégorie « merci » (confiance 100 %) : elle est configurée sans brouillon."
    )


async def test_a_fallback_without_drafts_says_so(embedder: Embedder) -> None:
    triage = Triage(categories=CATEGORIES, fallback="merci", threshold=1)
    answer = await sorting(embedder, triage).take(received(mail("Que faire ici ?")))
    assert reason(answer) == "category"
    assert isinstance(answer, MailSkipped)
    assert "Aucune catégorie n'est assez probable" in answer.data.detail
    assert "« merci »" in undrafted(chosen(triage, _even(triage.categories)))


def _even(names: Sequence[str] | dict[str, Category]) -> dict[str, float]:
    return {name: 1 / len(names) for name in names}


async def test_embed_down_holds_the_mail_and_loses_nothing(embedder: Embedder) -> None:
    intake, event = sorting(embedder), received(mail("Quel est le taux du prêt ?"))
    embedder.down = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            await intake.take(event)
    embedder.down = False
    answer = await intake.take(event)
    assert not isinstance(answer, MailSkipped)
    assert answer.data.mail.category == "pret"
