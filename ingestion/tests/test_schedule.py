"""When a source is asked again, after any outcome: pure arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.cadence import Cadence
from ingestion.resilience.classify import EFFECTS, Kind, Outcome
from ingestion.schedule import (
    JITTER,
    LONGEST_QUARANTINE_S,
    NOT_ITS_OWN,
    SOON_S,
    Turn,
    first_due,
    held_until,
    next_due,
)

NOW = 1_795_212_000.0
MONTH_S = 30 * 86_400.0
UNKNOWN = Cadence()
STEADY = Cadence(period_s=60.0, spread_s=0.0)


def turn(kind: Kind = Kind.OK, interval_s: float = 60.0, **changes: object) -> Turn:
    return replace(Turn(kind, NOW, interval_s, 0, UNKNOWN), **changes)  # type: ignore[arg-type]


@given(interval=st.floats(5, MONTH_S), chance=st.floats(-1, 1))
def test_an_answer_is_followed_by_the_interval_give_or_take(interval: float, chance: float) -> None:
    wait = next_due(turn(interval_s=interval), NOW, chance) - NOW
    assert interval * (1 - JITTER) - 1e-6 <= wait <= interval * (1 + JITTER) + 1e-6


@given(interval=st.floats(5, MONTH_S), late=st.floats(0, 600), chance=st.floats(-1, 1))
def test_what_a_poll_took_to_be_served_is_not_added_to_its_interval(
    interval: float, late: float, chance: float
) -> None:
    in_time = late <= min(5.0, interval / 2)
    due = next_due(turn(interval_s=interval, due=NOW - late), NOW, chance)
    counted_from = NOW - late if in_time else NOW
    assert abs(due - counted_from - interval) <= interval * JITTER + 1e-6
    assert due > NOW


def test_the_lock_can_be_switched_off() -> None:
    locked = turn(cadence=STEADY, newest=NOW - 2, interval_s=30.0)
    assert next_due(locked, NOW, 1) == NOW + 59
    assert next_due(replace(locked, phase_lock=False), NOW, 0) == NOW + 30


def test_who_was_served_late_waits_its_whole_interval() -> None:
    late = turn(cadence=STEADY, newest=NOW - 10, due=NOW - 16)
    assert next_due(late, NOW, 0) == NOW + 60
    assert next_due(replace(late, due=NOW - 10), NOW, 0) == NOW + 51


def test_a_provider_names_its_time() -> None:
    asked = turn(Kind.CREDENTIAL, provider_wait_s=5000.0)
    assert next_due(asked, NOW, 0) == NOW + 5000


@given(failures=st.integers(0, 100), interval=st.floats(5, MONTH_S), chance=st.floats(-1, 1))
def test_quarantine_doubles_up_to_six_hours(failures: int, interval: float, chance: float) -> None:
    kinds = [kind for kind in Kind if EFFECTS[kind].quarantine]
    assert kinds
    for kind in kinds:
        wait = next_due(turn(kind, interval, failures=failures), NOW, chance) - NOW
        most = max(LONGEST_QUARANTINE_S, interval)
        assert interval * (1 - JITTER) - 1e-6 <= wait <= most * (1 + JITTER) + 1e-6
    first = next_due(turn(Kind.CREDENTIAL), NOW, 0)
    assert next_due(turn(Kind.CREDENTIAL, failures=1), NOW, 0) - NOW == 2 * (first - NOW)


@pytest.mark.parametrize(
    "kind",
    [one for one in Kind if EFFECTS[one].outcome in NOT_ITS_OWN and not EFFECTS[one].quarantine],
)
def test_trouble_of_the_provider_leaves_a_source_its_place(kind: Kind) -> None:
    overdue = turn(kind, 10.0, due=NOW - 600)
    assert next_due(overdue, NOW, 0) == NOW - 590
    daily = turn(kind, 86_400.0, due=NOW - 5)
    assert next_due(daily, NOW, 0) == NOW - 5 + SOON_S  # not tomorrow


@given(failures=st.integers(0, 100), interval=st.floats(5, MONTH_S))
def test_what_fails_for_long_is_never_asked_oftener_than_its_interval(
    failures: int, interval: float
) -> None:
    waits = [
        next_due(turn(Kind.SERVER, interval, failures=failures + more), NOW, 0) - NOW
        for more in range(3)
    ]
    assert waits == sorted(waits)
    assert max(waits) <= interval + 1e-6


def test_a_retry_after_of_a_provider_in_trouble_holds_without_costing_the_place() -> None:
    troubled = turn(Kind.GATEWAY, 10.0, due=NOW - 600, provider_wait_s=30.0)
    assert EFFECTS[Kind.GATEWAY].outcome is Outcome.UPSTREAM_ERROR
    assert held_until(troubled, NOW) == NOW + 30
    assert next_due(troubled, NOW, 0) == NOW - 590
    assert held_until(turn(), NOW) is None
    assert held_until(turn(Kind.CREDENTIAL, provider_wait_s=30.0), NOW) is None


def test_a_single_newcomer_is_asked_at_once() -> None:
    assert first_due(NOW, 0, 1, slot_s=15.0) == NOW


@given(newcomers=st.integers(2, 2000), slot_s=st.floats(0.01, 15))
def test_many_newcomers_take_half_of_the_budget(newcomers: int, slot_s: float) -> None:
    dues = [first_due(NOW, place, newcomers, slot_s) - NOW for place in range(newcomers)]
    span = 2 * newcomers * slot_s
    assert dues[0] == 0
    assert 0 <= max(dues) <= span
    if span < 2:
        return
    for part in range(10):  # evenly, however many they are
        held = sum(part * span / 10 <= due < (part + 1) * span / 10 for due in dues)
        assert abs(held - newcomers / 10) <= 3
