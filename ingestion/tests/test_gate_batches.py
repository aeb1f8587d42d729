"""A batch of requests passes both gates in one step and is recorded in one, as many singles."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.resilience.gate import Budget, CircuitState, Gate, Passage, RedisGate, Verdict
from ingestion.resilience.policy import RetryPolicy
from ingestion.tests.gates import BREAKER, GROUP, HOST, RATE, Handle, Local, Shared

BOOKED = Budget(GROUP, RATE, reserved=True)


def trip(gate: Gate) -> None:
    gate.record_batch(HOST, BREAKER, [False] * 3, gate.enter_batch(HOST, BREAKER, 3))


def told(passage: Passage) -> tuple[Verdict, int]:
    return passage.verdict, passage.admitted


def test_while_closed_a_batch_with_booked_slots_goes_as_a_whole(gate: Gate) -> None:
    passage = gate.enter_batch(HOST, BREAKER, 100, BOOKED)
    assert told(passage) == (Verdict.GO, 100)
    assert passage.open
    assert passage.offset_s(99) == 0.0
    assert told(gate.enter_batch(HOST, BREAKER, 7)) == (Verdict.GO, 7)  # without any budget


def test_at_half_open_a_batch_sends_exactly_one_probe(handle: Handle, gate: Gate) -> None:
    trip(gate)
    assert told(gate.enter_batch(HOST, BREAKER, 100, BOOKED)) == (Verdict.OPEN, 0)
    handle.advance(60)
    probe = gate.enter_batch(HOST, BREAKER, 100, BOOKED)
    assert told(probe) == (Verdict.PROBE, 1)
    other = gate.enter_batch(HOST, BREAKER, 100, BOOKED)
    assert (told(other), other.wait_s) == ((Verdict.OPEN, 0), 30.0)
    gate.record_batch(HOST, BREAKER, [True], probe)
    assert told(gate.enter_batch(HOST, BREAKER, 100, BOOKED)) == (Verdict.GO, 100)


def test_a_pause_stops_a_batch_whose_slots_were_booked(handle: Handle, gate: Gate) -> None:
    gate.throttled(GROUP, RATE, 20)
    stopped = gate.enter_batch(HOST, BREAKER, 50, BOOKED)
    assert (told(stopped), stopped.wait_s) == ((Verdict.WAIT, 0), 20.0)
    assert not stopped.open
    handle.advance(20)
    assert told(gate.enter_batch(HOST, BREAKER, 50, BOOKED)) == (Verdict.GO, 50)


def test_a_batch_without_booked_slots_takes_those_it_can_wait_for(gate: Gate) -> None:
    passage = gate.enter_batch(HOST, BREAKER, 10, Budget(GROUP, RATE, max_wait_s=3.5))
    assert told(passage) == (Verdict.GO, 4)
    assert [passage.offset_s(place) for place in range(4)] == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(IndexError):
        passage.offset_s(4)


def test_a_batch_opens_the_circuit_where_its_failures_in_a_row_do(gate: Gate) -> None:
    mixed = [False, False, True, None, False, False]
    gate.record_batch(HOST, BREAKER, mixed, gate.enter_batch(HOST, BREAKER, 6))
    assert gate.snapshot(HOST, GROUP, RATE).failures_in_a_row == 2
    gate.record_batch(HOST, BREAKER, [False, True], gate.enter_batch(HOST, BREAKER, 2))
    # The success came after the circuit had opened: a late answer, it heals nothing.
    assert gate.snapshot(HOST, GROUP, RATE).circuit is CircuitState.OPEN


def test_a_batch_without_outcomes_changes_nothing(gate: Gate) -> None:
    gate.record_batch(HOST, BREAKER, [], gate.enter_batch(HOST, BREAKER, 5))
    gate.record_batch(HOST, BREAKER, [None] * 5, gate.enter_batch(HOST, BREAKER, 5))
    assert gate.snapshot(HOST, GROUP, RATE).circuit is CircuitState.CLOSED


def test_each_request_of_a_batch_earns_its_share_of_a_retry(gate: Gate) -> None:
    retry = RetryPolicy(share=0.25, saved=10)
    gate.enter_batch(HOST, BREAKER, 20, None, retry)
    granted = [gate.enter(HOST, BREAKER, None, retry, again=True).open for _ in range(8)]
    assert granted == [True] * 5 + [False] * 3


OUTCOMES = st.lists(st.sampled_from([True, False, None]), max_size=30)


@given(
    before=OUTCOMES,
    outcomes=OUTCOMES,
    passes=st.sampled_from([0, 59, 61]),
    failures=st.integers(1, 5),
)
def test_a_batch_is_recorded_as_that_many_singles(
    before: list[bool | None], outcomes: list[bool | None], passes: int, failures: int
) -> None:
    policy = replace(BREAKER, failures=failures, min_calls=4, jitter=0.2)
    one, many = Local(luck=0.3), Local(luck=0.3)
    for handle in (one, many):
        first = handle.gate.enter(HOST, policy)
        for ok in before:
            handle.gate.record(HOST, policy, ok, first)
        handle.advance(passes)
    passage = one.gate.enter(HOST, policy)
    assert many.gate.enter(HOST, policy) == passage
    for ok in outcomes:
        one.gate.record(HOST, policy, ok, passage)
    many.gate.record_batch(HOST, policy, outcomes, passage)
    assert one.gate.snapshot(HOST, GROUP, RATE) == many.gate.snapshot(HOST, GROUP, RATE)
    assert one.gate.enter(HOST, policy) == many.gate.enter(HOST, policy)


@pytest.mark.redis
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 8), OUTCOMES, st.floats(0, 90), st.booleans(), st.booleans()),
        max_size=12,
    )
)
def test_both_gates_pass_batches_alike(
    redis_client: redis.Redis,
    steps: list[tuple[int, list[bool | None], float, bool, bool]],
) -> None:
    redis_client.flushall()
    seen = []
    for handle in (Shared(redis_client, luck=0.4), Local(luck=0.4)):
        answers: list[object] = []
        for n, outcomes, passes, booked, refused in steps:
            handle.advance(passes)
            passage = handle.gate.enter_batch(
                HOST, BREAKER, n, Budget(GROUP, RATE, passes / 9, reserved=booked)
            )
            handle.gate.record_batch(HOST, BREAKER, outcomes, passage)
            if refused:
                handle.gate.throttled(GROUP, RATE, n)
            answers += [passage, handle.gate.snapshot(HOST, GROUP, RATE)]
        seen.append(answers)
    assert seen[0] == seen[1]


@pytest.mark.redis
def test_a_whole_batch_costs_one_round_trip_each_way(redis_client: redis.Redis) -> None:
    gate = RedisGate(redis_client)
    gate.snapshot(HOST, GROUP, RATE)  # loads the script

    def asked() -> int:
        return int(redis_client.info("commandstats")["cmdstat_evalsha"]["calls"])

    before = asked()
    passage = gate.enter_batch(HOST, BREAKER, 100, BOOKED)
    gate.record_batch(HOST, BREAKER, [True] * 100, passage)
    assert asked() - before == 2
