"""The delivery policy, which is pure: errors and attempts in, outcomes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.delivery import (
    BrokerDown,
    DeadLetter,
    Hold,
    Invalid,
    Policy,
    Retry,
    Unavailable,
    before,
    decide,
    jittered,
)

POLICY = Policy(attempts=4, backoff=(1, 5, 25), hold=(0.5, 2))


@pytest.mark.parametrize("attempt", [1, 2, 9])
def test_invalid_input_is_given_up_at_once(attempt: int) -> None:
    assert decide(Invalid("no key"), attempt, POLICY) == DeadLetter("Invalid", "no key")


@pytest.mark.parametrize(("held", "delay"), [(0, 0.5), (1, 2), (50, 2)])
def test_an_outage_holds_whatever_the_attempt(held: int, delay: float) -> None:
    assert decide(Unavailable("db"), 99, POLICY, held=held) == Hold(delay, "db")


def test_a_message_alone_in_calling_a_dependency_down_becomes_suspect() -> None:
    gone = Unavailable("store refuses this key")
    tries = POLICY.patience
    assert decide(gone, 1, POLICY, held=tries, others_pass=False) == Hold(2, str(gone))
    assert decide(gone, 1, POLICY, held=tries - 1, others_pass=True) == Hold(2, str(gone))
    assert decide(gone, 1, POLICY, held=tries, others_pass=True) == Retry(1, str(gone))
    assert isinstance(decide(gone, 4, POLICY, held=tries, others_pass=True), DeadLetter)
    assert decide(BrokerDown("full"), 9, POLICY, held=tries, others_pass=True) == Hold(2, "full")


@pytest.mark.parametrize(("attempt", "delay"), [(1, 1), (2, 5), (3, 25)])
def test_unknown_errors_are_retried_with_growing_delay(attempt: int, delay: float) -> None:
    assert decide(KeyError("x"), attempt, POLICY) == Retry(delay, "'x'")


def test_the_last_attempt_is_dead_lettered_with_its_reason() -> None:
    given_up = decide(ValueError("odd"), 4, POLICY)
    assert given_up == DeadLetter("ValueError", "odd (attempt 4, the last)")


def test_an_error_without_words_is_named_by_its_type() -> None:
    assert decide(TimeoutError(), 1, POLICY) == Retry(1, "TimeoutError")


def test_a_delivery_over_the_cap_is_given_up_before_its_handler_runs() -> None:
    assert before(4, POLICY) is None
    given_up = before(5, POLICY)
    assert given_up is not None
    assert "delivered 5 times" in given_up.reason


@given(st.floats(0, 1e4), st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_a_fifth(delay: float, unit: float) -> None:
    assert 0.79 * delay <= jittered(delay, unit) <= 1.21 * delay
