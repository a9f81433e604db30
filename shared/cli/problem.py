"""What a command tells its user when it cannot go on."""

from __future__ import annotations


class Problem(Exception):
    """A failure in words, with what to do about it; the command exits with ``status``."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status
