"""An edited limit governs the very next slot, in every process, and no edit bursts the limit."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.resilience.gate import Budget, Gate, RedisGate, Reservation, Verdict
from ingestion.resilience.policy import RatePolicy
from ingestion.tests.gates import BREAKER, GROUP, HOST, Handle, Local, Shared

SLOW = RatePolicy(limit=4, window_s=59.0, revision=1)  # one in 15 s
FAST = RatePolicy(limit=240, window_s=59.0, revision=2)  # four a second
ROOT = Path(__file__).parents[2]


def test_a_raised_limit_does_not_wait_for_the_old_slot(handle: Handle, gate: Gate) -> None:
    assert gate.reserve(GROUP, SLOW, 1, 0).granted == 1
    handle.advance(1)
    assert gate.reserve(GROUP, SLOW, 1, 0).wait_s == 14.0
    assert gate.reserve(GROUP, FAST, 1, 0).granted == 1


def test_a_lowered_limit_holds_from_the_last_slot_on(handle: Handle, gate: Gate) -> None:
    gate.reserve(GROUP, SLOW, 1, 0)
    handle.advance(3)
    gate.reserve(GROUP, replace(SLOW, limit=1, revision=2), 1, 0)
    handle.advance(50)
    waiting = gate.reserve(GROUP, replace(SLOW, limit=1, revision=2), 1, 0)
    assert (waiting.granted, waiting.wait_s) == (0, 7.0)


def test_who_still_holds_older_settings_is_governed_by_the_newest(
    handle: Handle, gate: Gate
) -> None:
    gate.reserve(GROUP, FAST, 1, 0)
    lowered = replace(SLOW, revision=3)
    gate.snapshot(HOST, GROUP, lowered)  # the dispatcher looked, once
    handle.advance(1)
    stale = gate.enter(HOST, BREAKER, Budget(GROUP, FAST))
    assert (stale.verdict, stale.wait_s) == (Verdict.WAIT, 14.0)
    assert gate.reserve(GROUP, FAST, 1, 0).granted == 0
    assert gate.snapshot(HOST, GROUP, FAST).budget.interval_s == 15.0


def test_the_newest_bounds_govern_recovery_too(handle: Handle, gate: Gate) -> None:
    policy = replace(SLOW, recovery=0.05)
    gate.throttled(GROUP, policy, 20)
    handle.advance(20 + 59)
    assert gate.snapshot(HOST, GROUP, policy).budget.rate == pytest.approx(0.55)
    quicker = replace(policy, recovery=0.25, revision=2)
    assert gate.snapshot(HOST, GROUP, quicker).budget.rate == pytest.approx(0.75)


def test_looking_at_an_account_that_is_never_asked_stores_nothing(
    redis_client: redis.Redis,
) -> None:
    RedisGate(redis_client).snapshot(HOST, "new", replace(SLOW, revision=0))
    assert redis_client.keys() == []


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "reserve", "refund", "edit", "late", "throttle"]),
        st.integers(1, 20),
        st.floats(0, 10),
        st.floats(0, 15),
    ),
    max_size=50,
)


@given(steps=EDITS, window=st.floats(1, 60), jitter=st.floats(0, 5))
def test_no_window_exceeds_the_limits_that_people_set_in_it(
    steps: list[tuple[str, int, float, float]], window: float, jitter: float
) -> None:
    """Every booking keeps the spacing of the newest settings to the slot before it."""
    handle = Local()
    policy = old = RatePolicy(5, window, jitter)
    starts: list[tuple[float, RatePolicy]] = []
    last: Reservation | None = None
    for what, n, wait, passes in steps:
        handle.advance(passes)
        now = handle.now_us / 1e6
        if what == "edit":
            old, policy = policy, replace(policy, limit=n, revision=policy.revision + 1)
            handle.gate.snapshot(HOST, GROUP, policy)
        elif what == "throttle":
            handle.gate.throttled(GROUP, policy, n)
        elif what == "refund":
            if last is not None and handle.gate.refund(GROUP, last, n):
                del starts[len(starts) - min(n, last.granted) :]
            last = None
        else:
            last = handle.gate.reserve(GROUP, old if what == "late" else policy, n, wait)
            starts += [(now + last.offset_s(slot), policy) for slot in range(last.granted)]
    for (before, _), (start, governing) in pairwise(starts):
        assert start - before >= governing.interval_s - 1e-5
    most = max((one.limit for _, one in starts), default=1)
    for (first, _), (beyond, _) in zip(starts, starts[most:], strict=False):
        assert beyond - first >= window - 1e-5


@pytest.mark.redis
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=EDITS)
def test_both_gates_follow_edits_alike(
    redis_client: redis.Redis, steps: list[tuple[str, int, float, float]]
) -> None:
    redis_client.flushall()
    seen = []
    for handle in (Shared(redis_client), Local()):
        policy = old = RatePolicy(5, 30.0)
        booked = Reservation(0, 0.0, 0.0, 0)
        answers: list[object] = []
        for what, n, wait, passes in steps:
            handle.advance(passes)
            if what == "edit":
                old, policy = policy, replace(policy, limit=n, revision=policy.revision + 1)
            elif what == "throttle":
                handle.gate.throttled(GROUP, policy, None if n % 3 else n)
            elif what == "refund":
                answers.append(handle.gate.refund(GROUP, booked, n))
            else:
                booked = handle.gate.reserve(GROUP, old if what == "late" else policy, n, wait)
                answers.append(booked)
            answers.append(handle.gate.snapshot(HOST, GROUP, policy))
        seen.append(answers)
    assert seen[0] == seen[1]


# A worker that read its settings long ago and goes on booking with them.
STALE = """
import sys, redis
from ingestion.resilience.gate import RedisGate
from ingestion.tests.test_gate_edits import FAST, GROUP
gate = RedisGate(redis.Redis(unix_socket_path=sys.argv[1]))
for line in sys.stdin:
    booked = gate.reserve(GROUP, FAST, 1, 0)
    print(booked.granted, booked.interval_s, flush=True)
"""


class StaleWorker:
    """A process with settings of long ago, on the server's own clock."""

    def __init__(self, socket: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", STALE, socket], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def books(self) -> tuple[bool, float]:
        """Whether it was given a slot, and how far apart it was told they are."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("book\n")
        self.process.stdin.flush()
        granted, interval = self.process.stdout.readline().split()
        return granted == "1", float(interval)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.redis
def test_an_edit_governs_every_process_as_soon_as_one_has_seen_it(
    redis_socket: str, redis_client: redis.Redis
) -> None:
    dispatcher = RedisGate(redis_client)
    workers = [StaleWorker(redis_socket), StaleWorker(redis_socket)]
    try:
        assert [one.books()[1] for one in workers] == [0.25, 0.25]
        dispatcher.snapshot(HOST, GROUP, replace(SLOW, revision=3))
        assert [one.books() for one in workers] == [(False, 15.0), (False, 15.0)]
        dispatcher.snapshot(HOST, GROUP, replace(FAST, limit=6_000_000, revision=4))
        assert [one.books() for one in workers] == [(True, 1e-05), (True, 1e-05)]
    finally:
        for one in workers:
            one.close()
