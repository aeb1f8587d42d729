"""What people read about an account and its provider, from what the gate answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ingestion.resilience.gate import Gate
from ingestion.resilience.gate.words import Explanation, Level, explain, rate_words
from ingestion.resilience.policy import BreakerPolicy, RatePolicy
from ingestion.tests.gates import GROUP, HOST, Handle

RATE = RatePolicy(limit=60, window_s=60.0, recovery=0.05)
BREAKER = BreakerPolicy(failures=5, open_s=60, min_calls=20, ratio=0.5, jitter=0)
NOW = datetime(2026, 11, 25, 12, 3, tzinfo=UTC)


def words(gate: Gate, now: datetime = NOW) -> Explanation:
    return explain(gate.snapshot(HOST, GROUP, RATE), RATE, BREAKER, now)


@pytest.mark.parametrize(
    ("limit", "window", "said"),
    [(60, 60, "60/min"), (4, 60.0, "4/min"), (100, 15, "100 in 15 s"), (5, 1, "5/s"),
     (900, 3600, "900/h"), (1000, 86_400, "1000/day"), (3, 0.5, "3 in 0.5 s")],
)  # fmt: skip
def test_limits_are_said_as_people_say_them(limit: int, window: float, said: str) -> None:
    assert rate_words(limit, window) == said


def test_all_is_well(gate: Gate) -> None:
    said = words(gate)
    assert said.budget.text == "Running at its full rate of 60/min: a request every 1.02 s."
    assert said.circuit.text == "The provider answers."
    assert {said.budget.level, said.circuit.level} == {Level.FULL}


def test_a_quick_pace_is_told_in_requests_a_second(gate: Gate) -> None:
    quick = RatePolicy(limit=240, window_s=60.0)
    said = explain(gate.snapshot(HOST, GROUP, quick), quick, BREAKER, NOW).budget.text
    assert said == "Running at its full rate of 240/min: 3.93 requests a second."


def test_a_pause_says_who_asked_for_it_and_what_follows(gate: Gate) -> None:
    gate.throttled(GROUP, RATE, 30)
    said = words(gate).budget
    assert said.level is Level.STOPPED
    assert said.text == (
        "Paused until 12:03:30 UTC: the provider answered 429 at 12:03:00 UTC (Retry-After 30 s). "
        "It goes on at 50 % of 60/min; back at the full rate by 12:13:30 UTC."
    )


def test_a_slower_rate_says_since_when_why_and_until_when(handle: Handle, gate: Gate) -> None:
    gate.throttled(GROUP, RATE, None)
    handle.advance(60)
    gate.throttled(GROUP, RATE, None)
    handle.advance(60)
    said = words(gate).budget
    assert said.level is Level.SLOWED
    assert said.text == (
        "Running at 25 % of 60/min since the provider answered 429 at 12:02:00 UTC "
        "(no Retry-After; 2 refusals so far); back at the full rate by 12:18:00 UTC."
    )


def test_a_retry_after_given_as_a_date_is_told_in_whole_seconds(gate: Gate) -> None:
    gate.throttled(GROUP, RATE, 24.2359)
    assert "(Retry-After 24 s)" in words(gate).budget.text


def test_a_used_up_licence_is_named(gate: Gate) -> None:
    gate.pause(GROUP, RATE, 7 * 3600)
    assert words(gate).budget.text == (
        "Paused until 18:03:00 UTC: the provider says that its licence is used up."
    )


def test_a_pause_into_another_day_has_its_date(gate: Gate) -> None:
    slow = RatePolicy(limit=1, window_s=86_400, pause_max_s=90_000)
    gate.throttled(GROUP, slow, 86_400)
    said = explain(gate.snapshot(HOST, GROUP, slow), slow, BREAKER, NOW).budget.text
    assert said.startswith("Paused until 2026-11-26 12:03 UTC: ")
    assert "50 % of 1/day" in said


def fail(gate: Gate, outcomes: list[bool | None]) -> None:
    gate.record_batch(HOST, BREAKER, outcomes, gate.enter_batch(HOST, BREAKER, len(outcomes)))


def test_the_first_failures_are_told(gate: Gate) -> None:
    fail(gate, [False, False])
    said = words(gate).circuit
    assert said.level is Level.SLOWED
    assert said.text == (
        "The last 2 requests failed; after 5 in a row the provider is left in peace for a while."
    )


def test_an_open_circuit_says_why_and_when_it_is_tried(handle: Handle, gate: Gate) -> None:
    fail(gate, [False] * 5)
    said = words(gate).circuit
    assert said.level is Level.STOPPED
    assert said.text == (
        "Left in peace since 12:03:00 UTC, when 5 requests in a row failed. "
        "At 12:04:00 UTC one request goes ahead as a trial."
    )
    handle.advance(60)
    assert words(gate).circuit.text.endswith("The next request goes ahead alone, as a trial.")
    gate.offer(HOST, 20)
    assert "was handed to a worker" in words(gate).circuit.text
    probe = gate.enter(HOST, BREAKER)
    assert words(gate).circuit.text.endswith("under way; its answer decides.")
    gate.record(HOST, BREAKER, False, probe)
    assert "failed, and 1 trial request failed. At " in words(gate).circuit.text


def test_a_share_of_failures_is_told_as_such(gate: Gate) -> None:
    fail(gate, [True, False] * 10)
    assert "when 10 of 20 requests failed." in words(gate).circuit.text
