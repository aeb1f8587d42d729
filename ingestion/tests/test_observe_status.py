"""The judgement of an account: the three rules of the issue, each at its edge, and the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.observe.counts import Counts
from ingestion.observe.status import Code, Facts, Status, judge, uptime_s
from ingestion.resilience.gate import BudgetState, CircuitState, PausedBy, Snapshot

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CLEAR = Snapshot(CircuitState.CLOSED, 0.0, 0, 0, BudgetState(0.0, 0.0, 1.0))
WELL = Facts(
    enabled=True,
    asked_sources=3,
    shortest_s=60.0,
    day=Counts(requests=100, answered=100),
    first_asked_at=NOW - timedelta(days=3),
    first_success_at=NOW - timedelta(days=3),
    last_success_at=NOW - timedelta(seconds=40),
    gate=CLEAR,
)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def codes(facts: Facts) -> list[Code]:
    return [one.code for one in judge(facts, NOW).issues]


def test_all_answered_is_healthy_since_the_first_answer() -> None:
    health = judge(WELL, NOW)
    assert (health.status, health.issues, health.since) == (Status.HEALTHY, (), ago(days=3))
    assert uptime_s(WELL, NOW) == 3 * 86_400


@pytest.mark.parametrize(("minutes", "bad"), [(30, False), (30.01, True)])
def test_thirty_minutes_without_success(minutes: float, bad: bool) -> None:
    facts = replace(WELL, last_success_at=ago(minutes=minutes))
    assert codes(facts) == ([Code.NO_SUCCESS] if bad else [])


@pytest.mark.parametrize(("hours", "bad"), [(11, False), (12.1, True)])
def test_who_is_asked_every_six_hours_may_be_silent_for_two_rounds(hours: float, bad: bool) -> None:
    facts = replace(WELL, shortest_s=6 * 3600.0, last_success_at=ago(hours=hours))
    assert (codes(facts) == [Code.NO_SUCCESS]) is bad


def test_asked_for_long_and_never_answered() -> None:
    facts = replace(WELL, last_success_at=None, first_success_at=None, first_asked_at=ago(hours=1))
    health = judge(facts, NOW)
    assert health.words == "Asked for 1 h without any success."
    assert health.since == ago(hours=1)
    assert uptime_s(facts, NOW) == 0


@pytest.mark.parametrize(("failures", "bad"), [(3, False), (4, True)])
def test_more_than_three_failures_in_a_row(failures: int, bad: bool) -> None:
    facts = replace(WELL, consecutive_failures=failures, failing_since=ago(minutes=2))
    health = judge(facts, NOW)
    assert codes(facts) == ([Code.FAILURES] if bad else [])
    assert health.since == (ago(minutes=2) if bad else ago(days=3))


@pytest.mark.parametrize(
    ("requests", "answered", "bad"),
    [(10, 0, False), (11, 0, True), (100, 80, False), (100, 79, True), (0, 0, False)],
)
def test_under_eighty_percent_over_more_than_ten(requests: int, answered: int, bad: bool) -> None:
    facts = replace(WELL, day=Counts(requests=requests, answered=answered))
    assert codes(facts) == ([Code.SUCCESS_RATE] if bad else [])


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        (CircuitState.OPEN, "It is left in peace; the next probe goes in 48 s."),
        (CircuitState.PROBING, "One probe is on its way; its answer alone decides."),
        (CircuitState.HALF_OPEN, "The next request is the probe that decides."),
    ],
)
def test_an_open_breaker_says_what_comes_next(circuit: CircuitState, words: str) -> None:
    gate = replace(CLEAR, circuit=circuit, wait_s=47.6, times_opened=2)
    facts = replace(WELL, gate=gate, outage_since=ago(minutes=5))
    health = judge(facts, NOW)
    assert health.status is Status.DEGRADED
    assert health.words.endswith(words)
    assert "opened 2 times in a row" in health.words
    assert health.since == ago(minutes=5)
    assert uptime_s(facts, NOW) == 0


def test_paused_keys_and_redis_are_issues_of_their_own() -> None:
    paused = replace(CLEAR, budget=BudgetState(40.0, 40.0, 0.5))
    assert codes(replace(WELL, gate=paused)) == [Code.PAUSED]
    used_up = replace(CLEAR, budget=BudgetState(40.0, 40.0, 1.0, paused_by=PausedBy.STOPPED))
    assert "Renew the licence" in judge(replace(WELL, gate=used_up), NOW).words
    assert codes(replace(WELL, key_readable=False)) == [Code.CREDENTIALS]
    assert codes(replace(WELL, gate=None)) == [Code.GATE]


NEW = Facts(enabled=True, asked_sources=1, shortest_s=60.0, gate=CLEAR)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(WELL, enabled=False, consecutive_failures=9), "Switched off: nothing is asked."),
        (replace(WELL, asked_sources=0), "No source that is switched on uses this account"),
        (NEW, "Nothing was asked yet."),
    ],
)
def test_where_nothing_is_asked_nothing_is_wrong(facts: Facts, words: str) -> None:
    health = judge(facts, NOW)
    assert health.status is Status.IDLE
    assert health.issues == ()
    assert words in health.words


def test_what_keeps_a_new_account_from_its_first_request_is_told() -> None:
    assert codes(replace(NEW, key_readable=False)) == [Code.CREDENTIALS]
    assert codes(replace(NEW, gate=None)) == [Code.GATE]


def test_uptime_counts_from_the_end_of_the_last_outage() -> None:
    assert uptime_s(replace(WELL, outage_ended_at=ago(minutes=10)), NOW) == 600


@given(
    st.builds(
        Facts,
        enabled=st.booleans(),
        asked_sources=st.integers(0, 2),
        shortest_s=st.none() | st.floats(5, 1e6),
        day=st.builds(Counts, requests=st.integers(50, 60), answered=st.integers(0, 50)),
        consecutive_failures=st.integers(0, 9),
        failing_since=st.none() | st.just(ago(minutes=3)),
        first_asked_at=st.none() | st.just(ago(days=2)),
        last_success_at=st.none() | st.sampled_from([ago(minutes=1), ago(hours=2)]),
        outage_since=st.none() | st.just(ago(minutes=9)),
        key_readable=st.booleans(),
        gate=st.none() | st.just(CLEAR),
    )
)
def test_degraded_exactly_when_something_is_named(facts: Facts) -> None:
    health = judge(facts, NOW)
    assert (health.status is Status.DEGRADED) is bool(health.issues)
    assert health.words
    assert all(one.text.endswith(".") for one in health.issues)
    assert health.since is None or health.since <= NOW
