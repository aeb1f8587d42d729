"""The breaker, on both gates: when a host is left in peace, and how it is tried again."""

from __future__ import annotations

from typing import cast

from ingestion.resilience.gate import Budget, CircuitState, Gate, Verdict
from ingestion.resilience.policy import BreakerPolicy, RetryPolicy
from ingestion.tests.gates import BREAKER, GROUP, HOST, RATE, START_S, Handle, Local, Shared

NO_WAIT = Budget(GROUP, RATE)


def fail(gate: Gate, times: int = 1, policy: BreakerPolicy = BREAKER) -> None:
    for _ in range(times):
        passage = gate.enter(HOST, policy)
        assert passage.open
        gate.record(HOST, policy, False, passage)


def verdict(gate: Gate) -> Verdict:
    return gate.enter(HOST, BREAKER).verdict


def test_failures_in_a_row_open_the_circuit(handle: Handle, gate: Gate) -> None:
    fail(gate, 2)
    gate.record(HOST, BREAKER, True, gate.enter(HOST, BREAKER))
    fail(gate, 2)
    assert verdict(gate) is Verdict.GO
    fail(gate)
    refused = gate.enter(HOST, BREAKER)
    assert (refused.verdict, refused.wait_s) == (Verdict.OPEN, 60.0)
    handle.advance(59.9)
    assert verdict(gate) is Verdict.OPEN


def test_a_share_of_failures_opens_the_circuit_too(handle: Handle, gate: Gate) -> None:
    policy = BreakerPolicy(failures=1000, min_calls=10, ratio=0.5, window_s=30)
    for ok in [True, False] * 4 + [True]:
        gate.record(HOST, policy, ok, gate.enter(HOST, policy))
    assert gate.enter(HOST, policy).verdict is Verdict.GO
    fail(gate, 1, policy)
    assert gate.enter(HOST, policy).verdict is Verdict.OPEN


def test_the_share_is_counted_across_the_edge_of_a_window(handle: Handle, gate: Gate) -> None:
    policy = BreakerPolicy(failures=1000, min_calls=4, ratio=0.5, window_s=30)
    handle.advance(30 - START_S % 30 - 1)  # one second before the edge
    fail(gate, 3, policy)
    handle.advance(2)
    fail(gate, 1, policy)
    assert gate.enter(HOST, policy).verdict is Verdict.OPEN


def test_failures_of_long_ago_do_not_count_towards_the_share(handle: Handle, gate: Gate) -> None:
    policy = BreakerPolicy(failures=1000, min_calls=4, ratio=0.5, window_s=30)
    fail(gate, 3, policy)
    handle.advance(61)
    fail(gate, 1, policy)
    assert gate.enter(HOST, policy).verdict is Verdict.GO


def test_other_hosts_are_not_affected(gate: Gate) -> None:
    fail(gate, 3)
    assert gate.enter("https://other.example:443", BREAKER).verdict is Verdict.GO


def test_429_and_404_neither_trip_nor_heal(gate: Gate) -> None:
    fail(gate, 2)
    for _ in range(20):
        gate.record(HOST, BREAKER, None, gate.enter(HOST, BREAKER))
    assert gate.snapshot(HOST, GROUP, RATE).failures_in_a_row == 2
    fail(gate)
    assert verdict(gate) is Verdict.OPEN


def test_half_open_lets_one_probe_through_whose_success_closes(handle: Handle, gate: Gate) -> None:
    fail(gate, 3)
    handle.advance(60)
    probe = gate.enter(HOST, BREAKER)
    assert probe.verdict is Verdict.PROBE
    other = gate.enter(HOST, BREAKER)
    assert (other.verdict, other.wait_s) == (Verdict.OPEN, 30.0)
    gate.record(HOST, BREAKER, True, probe)
    assert verdict(gate) is Verdict.GO
    assert gate.snapshot(HOST, GROUP, RATE).times_opened == 0


def test_a_prober_that_dies_gives_way_when_its_lease_ends(handle: Handle, gate: Gate) -> None:
    fail(gate, 3)
    handle.advance(60)
    dead = gate.enter(HOST, BREAKER)
    handle.advance(29.9)
    assert verdict(gate) is Verdict.OPEN
    handle.advance(0.1)
    probe = gate.enter(HOST, BREAKER)
    assert probe.verdict is Verdict.PROBE
    gate.record(HOST, BREAKER, False, dead)  # wakes up after all: it no longer decides
    assert gate.snapshot(HOST, GROUP, RATE).circuit is CircuitState.PROBING
    gate.record(HOST, BREAKER, True, probe)
    assert verdict(gate) is Verdict.GO


def test_a_probe_that_says_nothing_hands_its_turn_on(handle: Handle, gate: Gate) -> None:
    fail(gate, 3)
    handle.advance(60)
    gate.record(HOST, BREAKER, None, gate.enter(HOST, BREAKER))
    assert verdict(gate) is Verdict.PROBE


def test_a_probe_without_a_slot_keeps_nobody_waiting(handle: Handle, gate: Gate) -> None:
    fail(gate, 3)
    handle.advance(60)
    gate.reserve(GROUP, RATE, 1, 0)
    assert gate.enter(HOST, BREAKER, NO_WAIT).verdict is Verdict.WAIT
    assert verdict(gate) is Verdict.PROBE


def test_a_probe_that_waits_for_its_slot_has_its_whole_lease_after_it(
    handle: Handle, gate: Gate
) -> None:
    fail(gate, 3)
    handle.advance(60)
    gate.reserve(GROUP, RATE, 1, 0)
    probe = gate.enter(HOST, BREAKER, Budget(GROUP, RATE, max_wait_s=5))
    assert (probe.verdict, probe.wait_s) == (Verdict.PROBE, 1.0)
    assert gate.enter(HOST, BREAKER).wait_s == 31.0


def test_the_open_time_doubles_up_to_its_cap_and_starts_over_after_closing(
    handle: Handle, gate: Gate
) -> None:
    fail(gate, 3)
    for expected in (60.0, 120.0, 200.0, 200.0):
        refused = gate.enter(HOST, BREAKER)
        assert (refused.verdict, refused.wait_s) == (Verdict.OPEN, expected)
        handle.advance(expected)
        gate.record(HOST, BREAKER, False, gate.enter(HOST, BREAKER))
    handle.advance(200)
    gate.record(HOST, BREAKER, True, gate.enter(HOST, BREAKER))
    fail(gate, 3)
    assert gate.enter(HOST, BREAKER).wait_s == 60.0


def test_the_open_time_is_up_to_a_fifth_longer_by_chance(handle: Handle, gate: Gate) -> None:
    cast("Local | Shared", handle).luck = 0.5
    fail(gate, 3)
    assert gate.enter(HOST, BREAKER).wait_s == 66.0


def test_late_answers_from_before_neither_lengthen_nor_end_the_open_time(gate: Gate) -> None:
    late = [gate.enter(HOST, BREAKER) for _ in range(5)]
    fail(gate, 3)
    for passage in late:
        gate.record(HOST, BREAKER, False, passage)
    assert gate.enter(HOST, BREAKER).wait_s == 60.0
    gate.record(HOST, BREAKER, True, late[0])
    assert verdict(gate) is Verdict.OPEN


def test_an_open_circuit_burns_no_quota(gate: Gate) -> None:
    fail(gate, 3)
    assert gate.enter(HOST, BREAKER, NO_WAIT).verdict is Verdict.OPEN
    assert gate.reserve(GROUP, RATE, 1, 0).granted == 1


def test_the_snapshot_tells_people_and_changes_nothing(handle: Handle, gate: Gate) -> None:
    def circuit() -> tuple[CircuitState, float, int | None]:
        now = gate.snapshot(HOST, GROUP, RATE)
        return now.circuit, now.wait_s, now.admits

    assert circuit() == (CircuitState.CLOSED, 0.0, None)
    fail(gate, 3)
    assert circuit() == (CircuitState.OPEN, 60.0, 0)
    handle.advance(60)
    assert circuit() == circuit() == (CircuitState.HALF_OPEN, 0.0, 1)
    gate.enter(HOST, BREAKER)
    assert circuit() == (CircuitState.PROBING, 30.0, 0)
    gate.reserve(GROUP, RATE, 1, 0)
    assert gate.snapshot(HOST, GROUP, RATE).budget.next_slot_in_s == 1.0


def test_retries_stay_below_a_tenth_of_all_requests(gate: Gate) -> None:
    retry = RetryPolicy(share=0.1, saved=3)
    first = gate.enter(HOST, BREAKER, None, retry, again=True)
    assert first.verdict is Verdict.NO_RETRY
    granted = 0
    for _ in range(300):
        gate.enter(HOST, BREAKER, None, retry)
        granted += gate.enter(HOST, BREAKER, None, retry, again=True).open
    assert 27 <= granted <= 30
    for _ in range(1000):
        gate.enter(HOST, BREAKER, None, retry)
    saved = [gate.enter(HOST, BREAKER, None, retry, again=True).open for _ in range(10)]
    assert sum(saved) == 3


# --- a few bad channels of a host that answers others ---------------------------------------------


def again(gate: Gate, ago_s: float, times: int = 1) -> None:
    """Failures of sources that had failed `ago_s` before already."""
    for _ in range(times):
        passage = gate.enter(HOST, BREAKER)
        gate.record_batch(HOST, BREAKER, [False], passage, {0: ago_s})


def answer(gate: Gate) -> None:
    gate.record(HOST, BREAKER, True, gate.enter(HOST, BREAKER))


def test_sources_that_go_on_failing_beside_others_leave_the_circuit_closed(
    handle: Handle, gate: Gate
) -> None:
    for _ in range(20):
        answer(gate)
        handle.advance(5)
        again(gate, ago_s=10, times=6)  # they failed before that answer too
        assert verdict(gate) is Verdict.GO
        handle.advance(5)
    assert gate.snapshot(HOST, GROUP, RATE).failures_in_a_row == 0


def test_when_nobody_was_answered_since_they_failed_it_is_the_host(
    handle: Handle, gate: Gate
) -> None:
    answer(gate)
    handle.advance(5)
    fail(gate)  # the one channel of a small site
    for _ in range(2):
        assert verdict(gate) is Verdict.GO
        handle.advance(15)
        again(gate, ago_s=15)
    assert verdict(gate) is Verdict.OPEN


def test_a_row_of_new_failures_is_an_outage_whoever_failed_before(
    handle: Handle, gate: Gate
) -> None:
    answer(gate)
    handle.advance(1)
    again(gate, ago_s=60, times=5)
    fail(gate, 3)
    assert verdict(gate) is Verdict.OPEN


def test_they_count_in_the_share_of_failures(handle: Handle, gate: Gate) -> None:
    policy = BreakerPolicy(failures=3, min_calls=10, ratio=0.5)
    for ok in [True] * 5 + [False] * 5:
        passage = gate.enter(HOST, policy)
        assert passage.open
        gate.record_batch(HOST, policy, [ok], passage, {} if ok else {0: 600.0})
        handle.advance(0.1)
    assert gate.enter(HOST, policy).verdict is Verdict.OPEN


def test_a_probe_of_theirs_decides_like_any_other(handle: Handle, gate: Gate) -> None:
    fail(gate, 3)
    handle.advance(60)
    again(gate, ago_s=60)
    assert gate.enter(HOST, BREAKER).wait_s == 120.0
