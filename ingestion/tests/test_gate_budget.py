"""The budget, on both gates: how fast an account may be asked, and after a 429."""

from __future__ import annotations

import pytest

from ingestion.resilience.gate import Budget, Gate, PausedBy, Verdict
from ingestion.tests.gates import BREAKER, GROUP, HOST, RATE, Handle

NO_WAIT = Budget(GROUP, RATE)


def test_slots_are_evenly_spaced_and_start_with_one(gate: Gate) -> None:
    booked = gate.reserve(GROUP, RATE, 5, 3.5)
    assert (booked.granted, booked.wait_s, booked.interval_s) == (4, 0.0, 1.0)
    assert [booked.offset_s(slot) for slot in range(4)] == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(IndexError):
        booked.offset_s(4)


def test_slots_are_told_in_the_gates_own_time(handle: Handle, gate: Gate) -> None:
    gate.reserve(GROUP, RATE, 1, 0)
    handle.advance(0.25)
    now = gate.now()
    booked = gate.reserve(GROUP, RATE, 3, 10)
    starts = [booked.starts_at(slot) - now for slot in range(3)]
    assert starts == pytest.approx([0.75, 1.75, 2.75], abs=1e-6)
    with pytest.raises(IndexError):
        booked.starts_at(3)


def test_without_a_free_slot_the_wait_is_told_and_nothing_is_booked(
    handle: Handle, gate: Gate
) -> None:
    gate.reserve(GROUP, RATE, 1, 0)
    for _ in range(3):
        refused = gate.reserve(GROUP, RATE, 1, 0.5)
        assert (refused.granted, refused.wait_s) == (0, 1.0)
    handle.advance(1)
    assert gate.reserve(GROUP, RATE, 1, 0).granted == 1


def test_unused_time_is_not_saved_up(handle: Handle, gate: Gate) -> None:
    gate.reserve(GROUP, RATE, 1, 0)
    handle.advance(3600)
    assert gate.reserve(GROUP, RATE, 100, 0).granted == 1


def test_accounts_do_not_share_a_budget(gate: Gate) -> None:
    gate.reserve(GROUP, RATE, 1, 0)
    assert gate.reserve("connection:2", RATE, 1, 0).granted == 1


def test_slots_that_were_not_used_can_be_given_back_by_the_last_who_booked(gate: Gate) -> None:
    first = gate.reserve(GROUP, RATE, 4, 10)
    assert gate.refund(GROUP, first, 3)
    second = gate.reserve(GROUP, RATE, 1, 10)
    assert second.wait_s == 1.0
    assert not gate.refund(GROUP, first, 1)  # its slots lie before someone else's
    assert gate.reserve(GROUP, RATE, 1, 10).wait_s == 2.0


def test_an_admins_request_takes_its_own_slot(handle: Handle, gate: Gate) -> None:
    assert gate.enter(HOST, BREAKER, NO_WAIT).verdict is Verdict.GO
    refused = gate.enter(HOST, BREAKER, NO_WAIT)
    assert (refused.verdict, refused.wait_s) == (Verdict.WAIT, 1.0)
    patient = gate.enter(HOST, BREAKER, Budget(GROUP, RATE, max_wait_s=2))
    assert (patient.verdict, patient.wait_s) == (Verdict.GO, 1.0)


def test_a_429_pauses_the_account_also_for_booked_slots(handle: Handle, gate: Gate) -> None:
    booked = Budget(GROUP, RATE, reserved=True)
    gate.reserve(GROUP, RATE, 3, 10)
    assert gate.enter(HOST, BREAKER, booked).verdict is Verdict.GO
    gate.throttled(GROUP, RATE, 20)
    stopped = gate.enter(HOST, BREAKER, booked)
    assert (stopped.verdict, stopped.wait_s) == (Verdict.WAIT, 20.0)
    assert gate.reserve(GROUP, RATE, 1, 5).granted == 0
    handle.advance(20)
    assert gate.enter(HOST, BREAKER, booked).verdict is Verdict.GO


def test_a_429_without_retry_after_pauses_for_the_policys_time(gate: Gate) -> None:
    gate.throttled(GROUP, RATE, None)
    assert gate.snapshot(HOST, GROUP, RATE).budget.paused_for_s == 60


def test_an_absurd_retry_after_is_capped(gate: Gate) -> None:
    gate.throttled(GROUP, RATE, 1e9)
    assert gate.snapshot(HOST, GROUP, RATE).budget.paused_for_s == 6 * 3600


def test_the_rate_halves_once_per_pause_and_recovers_additively(handle: Handle, gate: Gate) -> None:
    for _ in range(10):  # ten requests under way, all refused
        gate.throttled(GROUP, RATE, 10)
    handle.advance(10)
    booked = gate.reserve(GROUP, RATE, 2, 5)
    assert (booked.granted, booked.interval_s) == (2, 2.0)
    handle.advance(5 * RATE.window_s)
    assert gate.snapshot(HOST, GROUP, RATE).budget.rate == pytest.approx(0.75)
    handle.advance(5 * RATE.window_s)
    assert gate.snapshot(HOST, GROUP, RATE).budget.rate == 1.0
    assert gate.reserve(GROUP, RATE, 2, 5).interval_s == 1.0


def test_the_rate_never_falls_below_its_floor(handle: Handle, gate: Gate) -> None:
    for _ in range(20):
        gate.throttled(GROUP, RATE, 1)
        handle.advance(1)
    assert gate.snapshot(HOST, GROUP, RATE).budget.rate == pytest.approx(RATE.slowest)


def test_an_exhausted_licence_pauses_without_slowing_down(handle: Handle, gate: Gate) -> None:
    gate.pause(GROUP, RATE, 3600)
    assert gate.reserve(GROUP, RATE, 1, 60).granted == 0
    handle.advance(3600)
    assert gate.snapshot(HOST, GROUP, RATE).budget.rate == 1.0


def test_a_person_ends_a_pause_and_the_next_request_starts_at_once(
    handle: Handle, gate: Gate
) -> None:
    gate.pause(GROUP, RATE, 3600)
    handle.advance(10)
    assert gate.resume(GROUP, RATE)
    assert gate.reserve(GROUP, RATE, 1, 0).granted == 1
    budget = gate.snapshot(HOST, GROUP, RATE).budget
    assert (budget.paused_for_s, budget.paused_by, budget.rate) == (0.0, PausedBy.NOTHING, 1.0)
    assert not gate.resume(GROUP, RATE)  # nothing left to end


def test_a_pause_that_a_person_ends_leaves_the_rate_halved_and_recovering(
    handle: Handle, gate: Gate
) -> None:
    gate.throttled(GROUP, RATE, 600)
    handle.advance(10)
    assert gate.resume(GROUP, RATE)
    assert gate.reserve(GROUP, RATE, 1, 0).interval_s == 2.0
    handle.advance(5 * RATE.window_s)
    budget = gate.snapshot(HOST, GROUP, RATE).budget
    assert budget.rate == pytest.approx(0.75)
    assert budget.refusals == 1


def test_a_provider_that_refuses_again_after_that_is_heeded_again(
    handle: Handle, gate: Gate
) -> None:
    gate.throttled(GROUP, RATE, 600)
    gate.resume(GROUP, RATE)
    gate.throttled(GROUP, RATE, 300)
    budget = gate.snapshot(HOST, GROUP, RATE).budget
    assert (budget.paused_for_s, budget.rate, budget.refusals) == (300.0, 0.25, 2)
