"""Batches of texts of like length under a token budget, so that little is spent on padding."""

from collections.abc import Sequence


def plan(lengths: Sequence[int], token_budget: int, max_items: int) -> list[list[int]]:
    """Group the indices of `lengths` into batches, longest texts first.

    A batch of n texts costs n times its longest text, padding included, and stays within
    `token_budget`; a text over the budget is a batch of its own. At most `max_items` a batch.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    room = 0
    for index in order:
        if not batches or len(batches[-1]) >= room:
            batches.append([])
            room = min(max_items, max(1, token_budget // max(1, lengths[index])))
        batches[-1].append(index)
    return batches
