"""Why an account and a host stand where they stand, on both gates, and who is offered the probe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestion.resilience.gate import CircuitState, Gate, PausedBy, Verdict
from ingestion.tests.gates import BREAKER, GROUP, HOST, RATE, Handle

OTHER = "connection:2"


def test_an_account_that_was_never_refused_has_nothing_to_explain(gate: Gate) -> None:
    budget = gate.snapshot(HOST, GROUP, RATE).budget
    assert (budget.rate, budget.full_in_s, budget.refusals) == (1.0, 0.0, 0)
    assert (budget.refused_ago_s, budget.slowed_ago_s, budget.retry_after_s) == (None, None, None)
    assert (budget.paused_by, budget.interval_s) == (PausedBy.NOTHING, 1.0)


def test_a_refusal_is_remembered_with_what_it_asked_for(handle: Handle, gate: Gate) -> None:
    gate.throttled(GROUP, RATE, 30)
    gate.throttled(GROUP, RATE, 20)  # was on its way already
    handle.advance(10)
    budget = gate.snapshot(HOST, GROUP, RATE).budget
    assert (budget.paused_for_s, budget.paused_by) == (20.0, PausedBy.THROTTLED)
    assert (budget.refusals, budget.refused_ago_s, budget.slowed_ago_s) == (2, 10.0, 10.0)
    assert (budget.retry_after_s, budget.rate, budget.interval_s) == (20.0, 0.5, 2.0)
    assert budget.full_in_s == pytest.approx(20 + 10 * RATE.window_s)
    handle.advance(budget.full_in_s + 1)
    budget = gate.snapshot(HOST, GROUP, RATE).budget
    assert (budget.rate, budget.full_in_s, budget.paused_by) == (1.0, 0.0, PausedBy.NOTHING)


def test_refusals_are_counted_since_the_rate_was_last_full(handle: Handle, gate: Gate) -> None:
    gate.throttled(GROUP, RATE, None)
    handle.advance(60)
    gate.throttled(GROUP, RATE, None)
    budget = gate.snapshot(HOST, GROUP, RATE).budget
    assert (budget.refusals, budget.rate, budget.retry_after_s) == (2, 0.25, None)
    handle.advance(budget.full_in_s + 1)
    gate.throttled(GROUP, RATE, 5)
    assert gate.snapshot(HOST, GROUP, RATE).budget.refusals == 1


def test_a_used_up_licence_is_told_from_a_refusal(gate: Gate) -> None:
    gate.throttled(GROUP, RATE, 5)
    gate.pause(GROUP, RATE, 3600)
    assert gate.snapshot(HOST, GROUP, RATE).budget.paused_by is PausedBy.STOPPED


def test_free_slots_are_told_ahead(handle: Handle, gate: Gate) -> None:
    assert gate.snapshot(HOST, GROUP, RATE).slots_within(2.5) == 3
    gate.reserve(GROUP, RATE, 2, 5)
    assert gate.snapshot(HOST, GROUP, RATE).slots_within(1.5) == 0
    assert gate.snapshot(HOST, GROUP, RATE).slots_within(2.0) == 1
    gate.throttled(GROUP, RATE, 60)
    assert gate.snapshot(HOST, GROUP, RATE).slots_within(59.0) == 0


def test_what_opened_the_circuit_stays_known_while_probes_fail(handle: Handle, gate: Gate) -> None:
    assert gate.snapshot(HOST, GROUP, RATE).trip is None
    gate.record_batch(HOST, BREAKER, [True, False, False, False], gate.enter(HOST, BREAKER))
    for passed, wait in ((0.0, 60), (60.0, 120)):
        trip = gate.snapshot(HOST, GROUP, RATE).trip
        assert trip is not None
        assert (trip.ago_s, trip.in_a_row, trip.failed, trip.calls) == (passed, 3, 3, 4)
        handle.advance(wait)
        gate.record(HOST, BREAKER, False, gate.enter(HOST, BREAKER))
    assert gate.snapshot(HOST, GROUP, RATE).times_opened == 3
    handle.advance(200)
    gate.record(HOST, BREAKER, True, gate.enter(HOST, BREAKER))
    assert gate.snapshot(HOST, GROUP, RATE).trip is None


def test_the_probe_is_offered_to_one_dispatcher_only(handle: Handle, gate: Gate) -> None:
    assert not gate.offer(HOST, 20)  # closed: nothing to offer
    gate.record_batch(HOST, BREAKER, [False] * 3, gate.enter(HOST, BREAKER))
    assert not gate.offer(HOST, 20)  # open
    handle.advance(60)
    assert [gate.offer(HOST, 20) for _ in range(4)] == [True, False, False, False]
    snapshot = gate.snapshot(HOST, GROUP, RATE)
    assert (snapshot.circuit, snapshot.offered, snapshot.admits) == (
        CircuitState.HALF_OPEN, True, 0,
    )  # fmt: skip
    # Its message was lost: after a while the next is offered one.
    handle.advance(20)
    assert gate.snapshot(HOST, GROUP, RATE).admits == 1
    assert gate.offer(HOST, 20)
    probe = gate.enter(HOST, BREAKER)
    assert probe.verdict is Verdict.PROBE
    assert not gate.offer(HOST, 20)  # it is under way
    gate.record(HOST, BREAKER, None, probe)  # said nothing about the host: the next may go
    assert gate.offer(HOST, 20)


def test_an_offer_ends_with_the_state_it_was_made_in(handle: Handle, gate: Gate) -> None:
    policy = replace(BREAKER, jitter=0.0)
    gate.record_batch(HOST, policy, [False] * 3, gate.enter(HOST, policy))
    handle.advance(60)
    assert gate.offer(HOST, 1000)
    gate.record(HOST, policy, False, gate.enter(HOST, policy))
    handle.advance(120)
    assert gate.offer(HOST, 20)
