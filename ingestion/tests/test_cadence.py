"""When a source speaks next, as its own entries tell; and when it is therefore asked."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.cadence import (
    ASK_AGAIN_S,
    DELAY_S,
    LONGEST_QUIET_S,
    SOONER,
    Cadence,
    after_answer,
    wait_s,
)

KNOWN = Cadence(period_s=60.0, spread_s=0.5)


def answers(cadence: Cadence, steps: list[float], at_once: int = 1) -> Cadence:
    """Its entries, so many with each answer, each asked for when it was due."""
    last = 0.0
    for start in range(0, len(steps), at_once):
        times = [last]
        for step in steps[start : start + at_once]:
            times.append(times[-1] + step)
        cadence = after_answer(cadence, times, times[-1] - last + DELAY_S)
        last = times[-1]
    return cadence


@given(
    period=st.floats(15, 3600),
    noise=st.floats(0, 0.05),
    seed=st.integers(0, 2**32),
    at_once=st.integers(1, 6),
)
def test_a_steady_source_is_foretold(period: float, noise: float, seed: int, at_once: int) -> None:
    luck = random.Random(seed)
    steps = [period * (1 + noise * luck.uniform(-1, 1)) for _ in range(40)]
    learned = answers(Cadence(), steps, at_once)
    assert learned.regular
    assert learned.period_s == pytest.approx(period, rel=0.06)
    assert learned.spread_s <= noise * period * 1.01 + 1e-3 * period


def test_one_answer_with_a_history_is_enough() -> None:
    learned = after_answer(Cadence(), [float(at) for at in range(0, 1500, 15)], None)
    assert (learned.period_s, learned.spread_s, learned.regular) == (15.0, 0.0, True)


def test_whole_seconds_do_no_harm() -> None:
    learned = answers(Cadence(), [float(int(37.4 * (n + 1)) - int(37.4 * n)) for n in range(60)])
    assert learned.period_s == pytest.approx(37.4, abs=0.3)
    assert learned.spread_s < 1


def test_missing_entries_are_no_longer_period() -> None:
    learned = answers(KNOWN, [60, 120, 60, 180, 60, 60, 120])
    assert learned.period_s == pytest.approx(60)


def test_an_outage_says_nothing_about_the_period() -> None:
    assert answers(KNOWN, [86_400]).period_s == 60


def test_two_entries_at_once_are_one() -> None:
    learned = answers(KNOWN, [1, 59, 1, 59, 1, 59], at_once=2)
    assert learned.period_s == pytest.approx(59.3, abs=1)


@pytest.mark.parametrize("period", [15.0, 30.0, 300.0, 900.0])
def test_a_changed_period_is_learned(period: float) -> None:
    cadence, age = KNOWN, 0.0
    for _ in range(60):  # asked as foretold: mostly in vain when the source became slower
        for _ in range(4):
            age += wait_s(cadence, age, 60.0) or 60.0
            if age >= period:
                break
            cadence = after_answer(cadence, [0.0], age)
        new = max(1, int(age / period))
        cadence = after_answer(cadence, [period * n for n in range(new + 1)], age)
        age -= new * period
    assert cadence.period_s == pytest.approx(period, rel=0.1)


def test_an_irregular_source_is_asked_at_its_interval() -> None:
    luck = random.Random(1)
    learned = answers(Cadence(), [luck.expovariate(1 / 60) + 1 for _ in range(50)])
    assert not learned.regular
    assert wait_s(learned, 10.0, 60.0) is None


def test_it_is_asked_just_after_the_next_entry() -> None:
    assert wait_s(KNOWN, 2.0, 60.0) == pytest.approx(60 + DELAY_S + 0.5 - 2)


def test_a_source_that_speaks_rarely_is_asked_rarely_but_looked_in_on() -> None:
    assert wait_s(replace(KNOWN, period_s=300.0), 2.0, 15.0) == pytest.approx(299.5)
    assert wait_s(replace(KNOWN, period_s=86_400.0), 2.0, 15.0) == LONGEST_QUIET_S
    assert wait_s(replace(KNOWN, period_s=86_400.0), 2.0, 7200.0) == 7200


def test_one_that_speaks_oftener_is_asked_after_one_of_its_entries() -> None:
    wait = wait_s(replace(KNOWN, period_s=15.0), 2.0, 60.0)
    assert wait is not None
    assert 60 * (1 - SOONER) <= wait <= 60
    assert (wait + 2 - DELAY_S - 0.5) % 15 == pytest.approx(0)


def test_a_late_entry_is_asked_for_once_more_soon() -> None:
    late = after_answer(KNOWN, [0.0], 62.0)
    assert (late.unheard, wait_s(late, 62.0, 60.0)) == (1, ASK_AGAIN_S)
    dead = after_answer(late, [0.0], 65.0)
    assert wait_s(dead, 65.0, 60.0) == 60


@given(
    interval=st.integers(5, 30 * 86_400),
    period=st.floats(1, 86_400),
    spread=st.floats(0, 1000),
    patience=st.integers(5, 200),
)
def test_a_dead_device_is_asked_no_oftener_than_its_interval(
    interval: int, period: float, spread: float, patience: int
) -> None:
    cadence, age = Cadence(period, spread), 0.0
    asked = []
    for _ in range(patience):
        age += wait_s(cadence, age, interval) or float(interval)
        asked.append(age)
        cadence = after_answer(cadence, [0.0], age)
    # The one question that was repeated soon after it should have spoken is all that is extra.
    steps = [later - sooner for sooner, later in pairwise(asked)]
    assert sum(step < interval * (1 - SOONER) - 1e-6 for step in steps) <= 1


def test_who_is_foretold_wrongly_is_asked_at_its_interval_and_tried_again_later() -> None:
    """Its entries are uploaded in bulk: none is there when it should be."""
    cadence, locked, most = KNOWN, 0, 400
    for _ in range(most):
        regular = cadence.regular
        locked += regular
        cadence = after_answer(cadence, [0.0], 70.0)  # in vain
        times = [60.0 * n for n in range(6)]
        cadence = after_answer(cadence, times, 310.0)
    assert locked < most / 2


@given(
    times=st.lists(st.floats(0, 1e6), max_size=20),
    age=st.one_of(st.none(), st.floats(0, 1e6)),
    period=st.one_of(st.none(), st.floats(0.01, 1e6)),
    spread=st.floats(0, 1e6),
    trust=st.floats(0, 1),
    unheard=st.integers(0, 10),
    interval=st.floats(5, 30 * 86_400),
)
def test_whatever_is_learned_stays_sane(
    times: list[float],
    age: float | None,
    period: float | None,
    spread: float,
    trust: float,
    unheard: int,
    interval: float,
) -> None:
    learned = after_answer(Cadence(period, spread, trust, unheard), sorted(set(times)), age)
    assert learned.period_s is None or learned.period_s > 0
    assert learned.spread_s >= 0
    assert 0 <= learned.trust <= 1
    wait = wait_s(learned, age or 0.0, interval)
    assert wait is None or 0 < wait <= max(interval, LONGEST_QUIET_S)
