"""One suite for the adapters of the index; ``tests.fakes.index_fixtures`` opens them."""

from __future__ import annotations

import asyncio
import itertools
import math
import uuid

import pytest

from services.retrieve.passages import RRF_K, PassagePoint
from services.retrieve.service import REMOVALS, PassageIndex
from services.retrieve.vectorfile import read_points
from services.retrieve.versions import Rank, State, embedded_state
from shared.delivery import Invalid
from shared.objects import MemoryObjects
from tests.fakes.index import DIMENSION, block, dense, embedded, question

pytest_plugins = ["tests.fakes.index_fixtures"]
E1 = "e1"


def build(
    name: str,
    texts: list[str],
    minute: int = 0,
    *,
    audience: str = "public",
    collection: str = "default",
) -> tuple[State, list[PassagePoint]]:
    """A version of a document: the state it wants, and its points."""
    document = block(name, "|".join(texts), minute, audience=audience, collection=collection)
    objects = MemoryObjects()
    event = embedded(objects, document, texts)
    state = embedded_state(event)
    body = objects.data[event.data.vectors_key]
    return state, read_points(body, document, state, dimension=DIMENSION)


async def publish(index: PassageIndex, state: State, points: list[PassagePoint]) -> None:
    await index.write(E1, points)
    await index.reveal(E1, state)
    await index.advance(E1, state)


async def texts_of(index: PassageIndex, text: str, **scope: object) -> list[str]:
    (found,) = await index.search(E1, [question(text, **scope)])  # type: ignore[arg-type]
    return [hit.passage.text for hit in found.hits]


async def test_points_are_seen_once_revealed(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    state, points = build("a.md", ["Le prêt finance les travaux"])
    await index.write(E1, points)
    assert await texts_of(index, "prêt travaux") == []
    await index.reveal(E1, state)
    assert await texts_of(index, "prêt travaux") == ["Le prêt finance les travaux"]
    await index.settle(E1)


async def test_a_passage_comes_back_as_it_went_in(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    state, points = build("a.md", ["Le prêt finance les travaux"])
    await publish(index, state, points)
    (found,) = await index.search(E1, [question("prêt")])
    assert found.hits[0].passage == points[0].passage


async def test_one_query_fuses_both_methods_and_tells_their_scores(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    texts = ["isolation des combles", "chaudière à granulés", "étude préalable de faisabilité"]
    for number, text in enumerate(texts):
        await publish(index, *build(f"{number}.md", [text]))
    (found,) = await index.search(E1, [question("isolation combles")])
    best = found.hits[0]
    assert best.passage.text == texts[0]
    assert best.fused == pytest.approx(2 / RRF_K, rel=1e-4)
    assert best.dense == pytest.approx(
        float(dense("isolation combles") @ dense(texts[0])), abs=1e-5
    )
    idf = math.log((3 - 1 + 0.5) / (1 + 0.5) + 1)
    assert found.idf == pytest.approx(dict.fromkeys(best.terms, idf), rel=1e-4)
    assert len(best.terms) == 2
    assert best.bm25 is not None
    assert best.bm25 > 0
    assert {hit.passage.text for hit in found.hits} == set(texts), "dense finds the others"
    assert all(hit.bm25 is None for hit in found.hits[1:]), "BM25 does not"


@pytest.mark.parametrize(("method", "count"), [("dense", 3), ("bm25", 1), ("hybrid", 3)])
async def test_methods(index: PassageIndex, method: str, count: int) -> None:
    await index.create(E1, DIMENSION)
    for text in ("isolation des combles", "chaudière à granulés", "étude préalable"):
        await publish(index, *build(text, [text]))
    found = await texts_of(index, "isolation combles", method=method)
    assert found[0] == "isolation des combles"
    assert len(found) == count


async def test_question_of_stop_words_only(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    await publish(index, *build("a.md", ["isolation des combles"]))
    (found,) = await index.search(E1, [question("et à la")])
    assert len(found.hits) == 1
    assert found.idf == {}
    assert await texts_of(index, "et à la", method="bm25") == []


async def test_filters_act_inside_the_query(index: PassageIndex) -> None:
    """Fifty better passages that the asker may not see must not crowd out the one he may."""
    await index.create(E1, DIMENSION)
    secret = [f"prêt travaux école {n}" for n in range(50)]
    await publish(index, *build("secret.md", secret, audience="agents"))
    await publish(index, *build("other.md", secret, collection="autre"))
    await publish(index, *build("open.md", ["un prêt parmi bien des choses de la commune"]))
    only = ["un prêt parmi bien des choses de la commune"]
    asked = "prêt travaux école"
    assert await texts_of(index, asked, candidates=3, collections=("default",)) == only
    agents = await texts_of(index, asked, candidates=60, audiences=("agents",))
    assert sorted(agents) == sorted(secret)
    both = await texts_of(
        index, asked, candidates=60, audiences=("public", "agents"), collections=("default",)
    )
    assert sorted(both) == sorted([*secret, *only])
    assert await texts_of(index, asked, audiences=()) == []


async def test_several_questions_in_one_call(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    await publish(index, *build("a.md", ["isolation des combles", "chaudière à granulés"]))
    asked = [question("chaudière granulés"), question("et"), question("isolation combles")]
    first, _, third = await index.search(E1, asked)
    assert first.hits[0].passage.text == "chaudière à granulés"
    assert third.hits[0].passage.text == "isolation des combles"


async def test_state_only_moves_forward(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    ranks = [Rank(5, 1, 1), Rank(5, 1, 2), Rank(5, 2, 1), Rank(6, -1, 0)]
    for number, order in enumerate(itertools.permutations(ranks)):
        document = uuid.UUID(int=number)
        reached = Rank(0, 0, 0)
        for rank in order:
            token = "" if rank.tie < 0 else f"{rank}"
            stored = await index.advance(E1, State(document, rank, token, 1, "default"))
            reached = max(reached, rank)
            assert stored.rank == reached
        states = await index.states(E1, [document, uuid.UUID(int=10**6)])
        assert states == {document: State(document, ranks[-1], "", 1, "default")}
    assert len(await index.all_states(E1)) == math.factorial(4)


async def test_state_race_has_one_winner(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    document = uuid.UUID(int=7)
    states = [State(document, Rank(n, n, n), f"t{n}", 1, "default") for n in range(1, 13)]
    await asyncio.gather(*(index.advance(E1, state) for state in [*states[6:], *states[:6]]))
    assert (await index.states(E1, [document]))[document] == states[-1]


async def test_microseconds_are_kept_apart(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    document, now = uuid.UUID(int=1), 1_795_270_000_123_456
    await index.advance(E1, State(document, Rank(now, 2**52 - 1, now), "new", 1, "default"))
    for older in (Rank(now - 1, 2**52 - 1, now), Rank(now, 2**52 - 2, now)):
        stored = await index.advance(E1, State(document, older, "old", 1, "default"))
        assert stored.token == "new"
    newer = State(document, Rank(now + 1, 0, 0), "newer", 1, "default")
    assert await index.advance(E1, newer) == newer


async def test_prune_takes_older_builds_only(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    old, old_points = build("a.md", ["version une"], 1)
    live, live_points = build("a.md", ["version deux"], 2)
    new, new_points = build("a.md", ["version trois"], 3)
    other, other_points = build("b.md", ["autre document"], 0)
    for points in (old_points, live_points, new_points, other_points):
        await index.write(E1, points)
    await index.prune(E1, live)
    counts = [await index.count(E1, each.token) for each in (old, live, new, other)]
    assert counts == [0, 1, 1, 1]
    await index.drop(E1, new.token)
    assert await index.count(E1, new.token) == 0


async def test_written_again_a_point_stays_live(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    state, points = build("a.md", ["Le prêt finance les travaux"])
    await publish(index, state, points)
    await index.write(E1, points)
    assert await texts_of(index, "prêt") == ["Le prêt finance les travaux"]


async def test_tally_counts_what_is_live(index: PassageIndex) -> None:
    await index.create(E1, DIMENSION)
    await publish(index, *build("a.md", ["un", "deux"]))
    await publish(index, *build("b.md", ["trois"], collection="aides"))
    _, points = build("c.md", ["quatre"])
    await index.write(E1, points)
    await index.advance(E1, State(uuid.UUID(int=3), Rank(1, -1, 0), collection="default"))
    tally = await index.tally(E1)
    assert tally.documents == {"default": 1, "aides": 1}
    assert tally.passages == {"default": 2, "aides": 1}


async def test_collections_and_which_one_serves(index: PassageIndex) -> None:
    assert await index.served() == ()
    await index.create(REMOVALS, 0)
    await index.create("e/1:x", DIMENSION)
    await index.create("e2", 8)
    await index.create("e2", 8)
    assert set(await index.embeddings()) == {"e/1:x", "e2"}
    with pytest.raises(Invalid, match="vectors of 9 values for a collection of 8"):
        await index.create("e2", 9)
    await index.serve("e/1:x")
    assert await index.served() == ("e/1:x",)
    await index.serve("e2")
    assert await index.served() == ("e2", "e/1:x")
    await index.serve("e/1:x")
    assert await index.served() == ("e/1:x", "e2")
    await index.discard("e2")
    assert await index.served() == ("e/1:x",)
    assert await index.embeddings() == ("e/1:x",)


async def test_tombstones_need_no_vectors(index: PassageIndex) -> None:
    await index.create(REMOVALS, 0)
    state = State(uuid.UUID(int=1), Rank(1, -1, 0), collection="default")
    assert await index.advance(REMOVALS, state) == state
    assert await index.all_states(REMOVALS) == [state]
    await index.settle(REMOVALS)
