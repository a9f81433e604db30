"""Batches: every text once, within the budget, with little padding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.embed.batching import plan

LENGTHS = st.lists(st.integers(min_value=0, max_value=600), max_size=200)


@given(LENGTHS, st.integers(1, 9000), st.integers(1, 64))
def test_every_text_is_in_one_batch_within_the_budget(
    lengths: list[int], budget: int, items: int
) -> None:
    batches = plan(lengths, budget, items)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= items
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


@given(LENGTHS)
def test_lengths_fall_from_batch_to_batch(lengths: list[int]) -> None:
    ordered = [lengths[i] for batch in plan(lengths, 2048, 32) for i in batch]
    assert ordered == sorted(lengths, reverse=True)


def test_short_sentences_are_not_padded_to_a_long_one() -> None:
    assert plan([60, 58, 55, 10, 9, 8], 1024, 64) == [[0, 1, 2], [3, 4, 5]]
    assert plan([30, 28, 26, 22], 1024, 64) == [[0, 1, 2, 3]]


def test_padding_is_small_for_mixed_lengths() -> None:
    lengths = [20, 500] * 50
    batches = plan(lengths, 2000, 64)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert padded <= 1.1 * sum(lengths)
