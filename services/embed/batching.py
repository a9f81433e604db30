"""Batches of texts of like length under a token budget, so that little is spent on padding."""

from collections.abc import Sequence

PASS_COST = 48
"""What a forward pass costs beside its tokens, in tokens (measured on two CPU cores: 40 to 60)."""


def plan(
    lengths: Sequence[int], token_budget: int, max_items: int, pass_cost: int = PASS_COST
) -> list[list[int]]:
    """Group the indices of `lengths` into batches, longest texts first.

    A batch of n texts costs n times its longest text, padding included, and stays within
    `token_budget`; a text over the budget is a batch of its own. At most `max_items` a batch.
    A batch whose padding would come to more than `pass_cost` ends: the next costs less.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    room = longest = padding = 0
    for index in order:
        padding += longest - lengths[index]
        if not batches or len(batches[-1]) >= room or padding > pass_cost:
            batches.append([])
            longest, padding = lengths[index], 0
            room = min(max_items, max(1, token_budget // max(1, longest)))
        batches[-1].append(index)
    return batches
