"""The gate under any history: never over the limit, and both gates answer alike."""

from __future__ import annotations

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.resilience.gate import Budget, Gate, Passage, Reservation, Verdict
from ingestion.resilience.policy import BreakerPolicy, RatePolicy
from ingestion.tests.gates import GROUP, HOST, Handle, Local, Shared

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "reserve", "refund", "throttle", "resume"]),
        st.integers(0, 12),  # how many, or seconds of Retry-After
        st.floats(0, 30),  # how long the caller would wait
        st.floats(0, 20),  # time that passes before
    ),
    max_size=40,
)


@given(steps=STEPS, limit=st.integers(1, 20), window=st.floats(1, 60), jitter=st.floats(0, 5))
def test_no_window_ever_holds_more_than_the_limit(
    steps: list[tuple[str, int, float, float]], limit: int, window: float, jitter: float
) -> None:
    policy = RatePolicy(limit, window, jitter)
    handle = Local()
    starts: list[float] = []
    last: tuple[Reservation, int] | None = None
    for what, n, wait, passes in steps:
        handle.advance(passes)
        now = handle.now_us / 1e6
        if what == "reserve":
            booked = handle.gate.reserve(GROUP, policy, n, wait)
            offsets = [booked.offset_s(slot) for slot in range(booked.granted)]
            assert all(offset <= wait + 1e-6 for offset in offsets)
            starts += [now + offset for offset in offsets]
            last = (booked, booked.granted)
        elif what == "throttle":
            handle.gate.throttled(GROUP, policy, n)
        elif what == "resume":
            handle.gate.resume(GROUP, policy)
        elif last is not None and last[1]:
            unused = min(n, last[1])
            if handle.gate.refund(GROUP, last[0], unused):
                del starts[len(starts) - unused :]
            last = None
    starts.sort()
    for first, beyond in zip(starts, starts[limit:], strict=False):
        assert beyond - first >= window - 1e-5


CALLS = st.lists(
    st.tuples(
        st.sampled_from(
            ["enter", "enter", "booked", "slot", "again", "ok", "bad", "worse", "none", "reserve",
             "refund", "429", "pause", "resume"]
        ),
        st.integers(0, 8),
        st.sampled_from([0.0, 0.001, 0.3, 1.0, 7.77, 31.0, 61.0, 400.0]),
    ),
    max_size=40,
)  # fmt: skip
SMALL = BreakerPolicy(failures=3, open_s=7, open_max_s=20, probe_lease_s=5, window_s=9, min_calls=4)
ODD = RatePolicy(limit=7, window_s=10.1, jitter_allowance_s=0.3)


def stop_or_go(gate: Gate, what: str, n: int) -> bool | None:
    """Begin or end a pause."""
    if what == "resume":
        return gate.resume(GROUP, ODD)
    if what == "429":
        gate.throttled(GROUP, ODD, n or None)
    else:
        gate.pause(GROUP, ODD, n)
    return None


def replay(handle: Handle, calls: list[tuple[str, int, float]]) -> list[object]:
    """Everything that a gate answers to a history of calls."""
    gate = handle.gate
    seen: list[object] = []
    passages: list[Passage] = [Passage(Verdict.GO, 0.0, 0)]
    booked = Reservation(0, 0.0, 0.0, 0)
    for what, n, passes in calls:
        handle.advance(passes)
        if what in ("enter", "booked", "slot", "again"):
            budget = Budget(GROUP, ODD, float(n), reserved=what == "booked")
            passages.append(
                gate.enter(HOST, SMALL, None if what == "enter" else budget, again=what == "again")
            )
            seen.append(passages[-1])
        elif what == "worse":
            gate.record_batch(HOST, SMALL, [False] * 2, passages[-1], {n % 2: passes})
        elif what in ("ok", "bad", "none"):
            ok = {"ok": True, "bad": False, "none": None}[what]
            gate.record(HOST, SMALL, ok, passages[-1 - n % len(passages)])
        elif what == "reserve":
            booked = gate.reserve(GROUP, ODD, n, passes)
            seen.append(booked)
        elif what == "refund":
            seen.append(gate.refund(GROUP, booked, n))
        else:
            seen.append(stop_or_go(gate, what, n))
        seen.append(gate.snapshot(HOST, GROUP, ODD))
    return seen


@pytest.mark.redis
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=CALLS, luck=st.sampled_from([0.0, 0.37, 0.999]))
def test_both_gates_answer_alike(
    redis_client: redis.Redis, calls: list[tuple[str, int, float]], luck: float
) -> None:
    redis_client.flushall()
    assert replay(Shared(redis_client, luck=luck), calls) == replay(Local(luck=luck), calls)
