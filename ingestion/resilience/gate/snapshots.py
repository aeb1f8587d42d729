"""From the gate's stored numbers (microseconds) to what people and the dispatcher see."""

from __future__ import annotations

from typing import NamedTuple

from ingestion.resilience.gate.base import BudgetState, CircuitState, Snapshot, Trip
from ingestion.resilience.gate.budget import MICROS, AccountBudget, PausedBy
from ingestion.resilience.gate.circuit import Circuit


class Numbers(NamedTuple):
    """What the script answers to `snapshot`, in its order."""

    now: float
    opened_until: float
    lease_until: float
    offered_until: float
    streak: float
    trips: float
    opened_at: float
    trip_streak: float
    trip_failed: float
    trip_calls: float
    next_slot: float
    interval: float
    paused_until: float
    paused_by: float
    share: float
    full_at: float
    refusals: float
    refused_at: float
    slowed_at: float
    asked: float


def numbers_of(now: int, circuit: Circuit, budget: AccountBudget) -> Numbers:
    """The same from the gate in memory."""
    interval = budget.interval_now(now)
    return Numbers(
        now,
        circuit.opened_until,
        circuit.lease_until,
        circuit.offered_until,
        circuit.streak,
        circuit.trips,
        circuit.opened_at,
        circuit.trip_streak,
        circuit.trip_failed,
        circuit.trip_calls,
        budget.next_slot(now, interval),
        interval,
        budget.paused_until,
        budget.paused_by,
        budget.share(now),
        budget.full_at(now),
        budget.refusals,
        budget.refused_at,
        budget.slowed_at,
        budget.asked,
    )


def describe(at: Numbers) -> Snapshot:
    """A snapshot; one place for both gates."""
    return Snapshot(
        circuit=_circuit_state(at),
        wait_s=max(0, at.opened_until - at.now, at.lease_until - at.now) / MICROS,
        failures_in_a_row=int(at.streak),
        times_opened=int(at.trips),
        budget=_budget_state(at),
        offered=at.offered_until > at.now,
        trip=_trip(at),
    )


def _circuit_state(at: Numbers) -> CircuitState:
    if at.opened_until == 0:
        return CircuitState.CLOSED
    if at.opened_until > at.now:
        return CircuitState.OPEN
    return CircuitState.PROBING if at.lease_until > at.now else CircuitState.HALF_OPEN


def _trip(at: Numbers) -> Trip | None:
    if at.opened_until == 0:
        return None
    return Trip(
        ago_s=_ago(at, at.opened_at) or 0.0,
        in_a_row=int(at.trip_streak),
        failed=int(at.trip_failed),
        calls=int(at.trip_calls),
    )


def _budget_state(at: Numbers) -> BudgetState:
    paused = max(0, at.paused_until - at.now) / MICROS
    return BudgetState(
        next_slot_in_s=max(0, at.next_slot - at.now) / MICROS,
        paused_for_s=paused,
        rate=at.share,
        interval_s=at.interval / MICROS,
        paused_by=PausedBy(int(at.paused_by)) if paused else PausedBy.NOTHING,
        full_in_s=max(0, at.full_at - at.now) / MICROS,
        refusals=int(at.refusals),
        refused_ago_s=_ago(at, at.refused_at),
        slowed_ago_s=_ago(at, at.slowed_at),
        retry_after_s=None if at.asked < 0 else at.asked / MICROS,
    )


def _ago(at: Numbers, moment: float) -> float | None:
    return max(0, at.now - moment) / MICROS if moment else None
