"""What becomes of a message: pure policy, no clock and no broker.

``decide`` turns a handler's error into an outcome; ``shared.bus`` carries the outcome out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class Invalid(Exception):
    """The input itself is wrong: repeating cannot help. Dead-lettered at once."""


class Unavailable(Exception):
    """A dependency (store, database, endpoint) is down: wait for it, use up no attempt."""


class BrokerDown(Unavailable):
    """The broker itself does not take an output: only waiting helps."""


@dataclass(frozen=True)
class Ack:
    """Done: the message is finished."""


@dataclass(frozen=True)
class Retry:
    """Deliver again after ``delay`` seconds."""

    delay: float
    reason: str


@dataclass(frozen=True)
class Hold:
    """Keep the message and try again in this process after ``delay`` seconds."""

    delay: float
    reason: str


@dataclass(frozen=True)
class DeadLetter:
    """Give up: keep payload and ``reason`` for a person."""

    error: str
    reason: str


Outcome = Ack | Retry | Hold | DeadLetter


@dataclass(frozen=True)
class Policy:
    """How often and how soon a stage tries again; delays in seconds.

    After ``patience`` vain tries a message that still calls a dependency down, while its stage
    finishes others, is itself suspect: it must not be held for ever.
    """

    attempts: int = 5
    backoff: Sequence[float] = (1.0, 5.0, 30.0, 120.0)
    hold: Sequence[float] = (0.5, 1.0, 2.0, 5.0)
    patience: int = 10

    def retry_delay(self, attempt: int) -> float:
        """Delay after failed ``attempt`` (1 for the first)."""
        return self.backoff[min(attempt, len(self.backoff)) - 1]

    def hold_delay(self, tries: int) -> float:
        """Pause before looking again for a dependency, after ``tries`` vain tries."""
        return self.hold[min(tries, len(self.hold) - 1)]


def decide(
    error: BaseException, attempt: int, policy: Policy, *, held: int = 0, others_pass: bool = False
) -> Outcome:
    """The outcome of ``error`` on the delivery numbered ``attempt``.

    ``held`` counts the vain tries of this delivery while a dependency was down; ``others_pass``
    says that the stage finished other messages meanwhile.
    """
    reason = str(error) or type(error).__name__
    match error:
        case Invalid():
            return DeadLetter(type(error).__name__, reason)
        case BrokerDown():
            return Hold(policy.hold_delay(held), reason)
        case Unavailable() if not (others_pass and held >= policy.patience):
            return Hold(policy.hold_delay(held), reason)
        case _ if attempt >= policy.attempts:
            return DeadLetter(type(error).__name__, f"{reason} (attempt {attempt}, the last)")
        case _:
            return Retry(policy.retry_delay(attempt), reason)


def before(attempt: int, policy: Policy) -> DeadLetter | None:
    """Whether a delivery must be given up before its handler runs.

    A message whose handler took its process down raises nothing, so it is caught here.
    """
    if attempt <= policy.attempts:
        return None
    reason = f"delivered {attempt} times without an outcome: its handler died or hung each time"
    return DeadLetter("NoOutcome", reason)


def jittered(delay: float, unit: float) -> float:
    """``delay`` spread over ±20 % by ``unit`` in [0, 1), so that retries do not march in step."""
    return delay * (0.8 + 0.4 * unit)
