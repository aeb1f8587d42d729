"""The forecast against the schedule itself, played second by second in the dispatcher's order."""

from __future__ import annotations

import heapq
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.observe.forecast import (
    Allowance,
    Asking,
    Backlog,
    demand_per_s,
    forecast,
    needed_limit,
    waits_s,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FOUR = Allowance(limit=4, window_s=60)


def slack(priority: int) -> float:
    return 60.0 * priority


def tell(asking: list[Asking], allowance: Allowance = FOUR, backlog: Backlog = Backlog()):  # type: ignore[no-untyped-def]  # noqa: B008
    return forecast(asking, allowance, slack, backlog, NOW)


def played(asking: list[Asking], capacity: float) -> dict[int, float]:
    """Mean wait of each class when slots come evenly and the smallest `due + slack` is served."""
    rows = [one for one in asking for _ in range(one.sources)]
    step, chance = 1 / capacity, random.Random(7)
    waiting: list[tuple[float, int]] = []
    waits: dict[int, list[float]] = {one.priority: [] for one in asking}
    later = [(0.0, number) for number in range(len(rows))]
    now, slots = 0.0, 0
    enough = max(4000, 60 * len(rows))
    while slots < enough:
        while later and later[0][0] <= now:
            at, number = heapq.heappop(later)
            heapq.heappush(waiting, (at + slack(rows[number].priority), number))
        if waiting:
            key, number = heapq.heappop(waiting)
            row = rows[number]
            if slots > enough / 2:
                waits[row.priority].append(now - (key - slack(row.priority)))
            spread = 1 + chance.uniform(-0.05, 0.05)  # as the dispatcher spreads them
            heapq.heappush(later, (now + row.interval_s * spread, number))
            slots += 1
        now += step
    return {priority: sum(one) / len(one) for priority, one in waits.items() if one}


ASKING = st.lists(
    st.builds(
        Asking,
        interval_s=st.sampled_from([10.0, 15.0, 30.0, 60.0, 300.0]),
        priority=st.integers(0, 3),
        sources=st.integers(5, 20),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40)
@given(ASKING, st.floats(1.3, 4.0))
def test_waits_are_those_of_the_schedule(asking: list[Asking], overload: float) -> None:
    capacity = demand_per_s(asking) / overload
    told, seen = waits_s(asking, capacity, slack), played(asking, capacity)
    slot = 1 / capacity
    for priority, wait in seen.items():
        assert told[priority] >= wait * 0.8 - 3 * slot - 2  # never much better than it will be
        # Where urgent classes just fill the budget, a small share of it decides over the others'
        # wait: it is the shares that must agree.
        assert served(asking, priority, told[priority]) == pytest.approx(
            served(asking, priority, wait), abs=0.06 * capacity
        )


def served(asking: list[Asking], priority: int, wait: float) -> float:
    """Requests a second of a class whose sources wait so long."""
    return sum(one.sources / (one.interval_s + wait) for one in asking if one.priority == priority)


@given(ASKING, st.floats(1.01, 20))
def test_what_is_served_fills_the_budget_and_no_more(asking: list[Asking], overload: float) -> None:
    capacity = demand_per_s(asking) / overload
    waits = waits_s(asking, capacity, slack)
    all_served = sum(one.sources / (one.interval_s + waits[one.priority]) for one in asking)
    at_once = sum(one.sources / (one.interval_s + 0.5 / capacity) for one in asking)
    assert all_served == pytest.approx(min(capacity, at_once), rel=1e-6)
    order = sorted(waits)
    assert [waits[one] for one in order] == sorted(waits.values())  # urgent ones never wait longer


@given(ASKING, st.integers(1, 86_400))
def test_the_advised_limit_is_the_smallest_that_does(asking: list[Asking], window: int) -> None:
    demand = demand_per_s(asking)
    needed = needed_limit(demand, Allowance(1, window))
    assert Allowance(needed, window).per_s >= demand * (1 - 1e-9)
    assert needed == 1 or Allowance(needed - 1, window).per_s < demand


def test_ten_sources_under_four_a_minute_come_every_150_seconds() -> None:
    told = tell([Asking(10.0, 2, 10)])
    assert told.short
    assert told.freshness_s[2] == pytest.approx(152.5, abs=0.1)
    assert told.sentences[0] == (
        "10 sources ask for 60 requests a minute; the budget of 4 in 60 s gives 3.93: 1,525 % used."
    )
    assert told.sentences[1] == "At this rate it serves 10 sources every 2 min 32 s each."
    assert "More is asked than the budget gives" in told.advice[0]
    assert "A limit of 61 in 60 s would do" in told.advice[1]
    assert "every 2 min 33 s instead of 10 s" in told.advice[2]


def test_a_quick_pace_is_told_with_a_decimal() -> None:
    told = tell([Asking(60.0, 2, 24)], Allowance(limit=980, window_s=60, jitter_s=0.0))
    assert told.sentences[1] == "At this rate it serves 24 sources every 1.5 s each."
    told = tell([Asking(60.0, 2, 16)], Allowance(limit=960, window_s=60, jitter_s=0.0))
    assert told.sentences[1] == "At this rate it serves 16 sources every 1 s each."


def test_room_is_told_where_there_is_some() -> None:
    told = tell([Asking(60.0, 2, 10)], Allowance(60, 60))
    assert told.share == pytest.approx(10 / 60 * 61 / 60)
    assert told.advice == ("There is room for 43 more sources asked every 1 min.",)


def test_nearly_full_is_warned_of_before_it_is_short() -> None:
    told = tell([Asking(60.0, 2, 57)], Allowance(60, 60))
    assert not told.short
    assert told.advice[0] == "Only 3.42 % of the budget is left for gaps and catching up."


def test_half_the_rate_is_half_the_capacity() -> None:
    assert Allowance(60, 60, rate=0.5).per_s == Allowance(60, 60).per_s / 2


@pytest.mark.parametrize(
    ("backlog", "done", "words"),
    [
        (Backlog(), None, ""),
        (
            Backlog(gaps=2, pages=30),
            NOW + timedelta(seconds=30 / (60 / 61 - 0.5)),
            "about in 1 min",
        ),
        (Backlog(2, 30, unknown=1), None, "(1 of unknown length)"),
        (Backlog(gaps=1, unknown=1), None, "one page at a time"),
    ],
)
def test_when_the_gaps_are_filled(backlog: Backlog, done: datetime | None, words: str) -> None:
    told = tell([Asking(2.0, 2, 1)], Allowance(60, 60), backlog)
    if done:
        assert told.backlog_done_at is not None
        assert abs(told.backlog_done_at - done) < timedelta(seconds=1)
    assert words in " ".join(told.sentences)


def test_a_full_budget_never_says_when() -> None:
    told = tell([Asking(1.0, 2, 9)], backlog=Backlog(gaps=1, pages=5))
    assert told.backlog_done_at is None
    assert "1 gap to fill: filled when live polling leaves requests over." in told.sentences


def test_nothing_asked_needs_no_advice() -> None:
    told = tell([])
    assert told.sentences == ("Nothing is asked of this account.",)
    assert (told.advice, told.share) == ((), 0)
