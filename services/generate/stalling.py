"""When an engine that has work is stuck, as opposed to busy."""

from __future__ import annotations


class Pulse:
    """Times of an engine's steps, in seconds of any clock.

    A probe that queued behind a long prefill would find a busy engine dead; a step completed
    anywhere in the batch is a sign of life, and an engine without work owes none.
    """

    def __init__(self, now: float) -> None:
        self._last = now

    def step(self, now: float) -> None:
        """A step was completed."""
        self._last = max(self._last, now)

    def silent(self, now: float, unfinished: int) -> float:
        """For how long a step has been owed, looked at again and again."""
        if unfinished == 0:
            self._last = now
        return now - self._last
