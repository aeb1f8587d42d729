"""The gate in memory, for tests and for a single process: the arithmetic of `gate.lua`.

Times are whole microseconds; every expression is written as in the script, in the same order, so
that both give the same numbers. Change one only together with the other.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingestion.resilience.gate.base import (
    Budget,
    BudgetState,
    CircuitState,
    Passage,
    Reservation,
    Snapshot,
    Verdict,
)
from ingestion.resilience.policy import BreakerPolicy, RatePolicy, RetryPolicy

MICROS = 1_000_000


def micros(seconds: float) -> int:
    """Seconds as whole microseconds, rounded up: never sooner than asked."""
    return math.ceil(seconds * MICROS)


@dataclass(slots=True)
class _Budget:
    """One account: when its next slot is free, until when it pauses, and how fast it may go."""

    next_slot: int = 0
    paused_until: int = 0
    factor: float = 1.0  # share of the full rate at factor_at
    factor_at: int = 0

    def rate(self, policy: RatePolicy, now: int) -> float:
        windows = max(0, now - self.factor_at) / micros(policy.window_s)
        return min(1.0, self.factor + policy.recovery * windows)

    def take(self, policy: RatePolicy, now: int, n: int, max_wait: int) -> tuple[int, int, int]:
        """Slots granted, microseconds until the first, and between two."""
        interval = math.ceil(micros(policy.interval_s) / self.rate(policy, now))
        first = max(self.next_slot, self.paused_until, now)
        room = now + max_wait - first
        granted = min(n, room // interval + 1) if room >= 0 else 0
        if granted > 0:
            self.next_slot = first + granted * interval
        return max(granted, 0), first - now, interval

    def pause(self, policy: RatePolicy, now: int, pause: int, *, slower: bool) -> None:
        self.factor = self.rate(policy, now)
        if slower and self.paused_until <= now:
            self.factor = max(policy.slowest, self.factor / 2)
        self.paused_until = max(self.paused_until, now + pause)
        self.factor_at = self.paused_until


@dataclass(slots=True)
class _Circuit:
    """One host. Closed while `opened_until` is 0; after it, half-open."""

    token: int = 0
    opened_until: int = 0
    lease_until: int = 0
    trips: int = 0
    streak: int = 0
    window: int = 0  # number of the current counting window
    good: int = 0
    bad: int = 0
    good_before: int = 0
    bad_before: int = 0
    credit: float = 0.0  # retries earned

    def shut_for(self, now: int) -> int:
        """Microseconds until something may go through; 0 when it may now."""
        return max(0, self.opened_until - now, self.lease_until - now)

    def count(self, policy: BreakerPolicy, now: int, *, ok: bool) -> bool:
        """Count an answer while closed; whether it is time to open."""
        window = now // micros(policy.window_s)
        if window != self.window:
            kept = window == self.window + 1
            self.good_before, self.bad_before = (self.good, self.bad) if kept else (0, 0)
            self.window, self.good, self.bad = window, 0, 0
        if ok:
            self.good, self.streak = self.good + 1, 0
            return False
        self.bad, self.streak = self.bad + 1, self.streak + 1
        failed = self.bad + self.bad_before
        calls = failed + self.good + self.good_before
        return self.streak >= policy.failures or (
            calls >= policy.min_calls and failed >= policy.ratio * calls
        )

    def learn(self, policy: BreakerPolicy, now: int, ok: bool | None, chance: float) -> None:
        """Take one answer into account: close, open, or hand a probe's turn on."""
        probing = self.opened_until > 0
        if ok is None:
            if probing:
                self.token += 1
                self.lease_until = 0
        elif probing and ok:
            self.close()
        elif probing or self.count(policy, now, ok=ok):
            self.open(policy, now, chance)

    def open(self, policy: BreakerPolicy, now: int, chance: float) -> None:
        pause = min(policy.longest_open_s, policy.open_s * 2.0 ** min(self.trips, 30))
        until = now + micros(pause * (1 + policy.jitter * chance))
        self._change(opened_until=until, trips=self.trips + 1)

    def close(self) -> None:
        self._change(opened_until=0, trips=0)

    def _change(self, opened_until: int, trips: int) -> None:
        self.token += 1
        self.opened_until, self.trips = opened_until, trips
        self.lease_until = self.streak = 0
        self.good = self.bad = self.good_before = self.bad_before = 0


class LocalGate:
    """`Gate` in this process' memory. `clock` gives seconds that never run back."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._budgets: defaultdict[str, _Budget] = defaultdict(_Budget)
        self._circuits: defaultdict[str, _Circuit] = defaultdict(_Circuit)

    def _now(self) -> int:
        return round(self._clock() * MICROS)

    def reserve(self, group: str, policy: RatePolicy, n: int, max_wait_s: float) -> Reservation:
        """See `Gate.reserve`."""
        with self._lock:
            budget = self._budgets[group]
            granted, wait, interval = budget.take(policy, self._now(), n, micros(max_wait_s))
            return Reservation(granted, wait / MICROS, interval / MICROS, budget.next_slot)

    def refund(self, group: str, reservation: Reservation, unused: int) -> bool:
        """See `Gate.refund`."""
        unused = min(unused, reservation.granted)
        with self._lock:
            budget = self._budgets[group]
            if unused <= 0 or budget.next_slot != reservation.end:
                return False
            budget.next_slot -= unused * round(reservation.interval_s * MICROS)
            return True

    def enter(
        self,
        host: str,
        policy: BreakerPolicy,
        budget: Budget | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (a frozen value)
        *,
        again: bool = False,
    ) -> Passage:
        """See `Gate.enter`."""
        return self._enter(host, policy, 1, budget, retry, again=again)

    def enter_batch(
        self,
        host: str,
        policy: BreakerPolicy,
        n: int,
        budget: Budget | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (a frozen value)
    ) -> Passage:
        """See `Gate.enter_batch`."""
        return self._enter(host, policy, n, budget, retry, again=False)

    def _enter(
        self,
        host: str,
        policy: BreakerPolicy,
        n: int,
        budget: Budget | None,
        retry: RetryPolicy,
        *,
        again: bool,
    ) -> Passage:
        with self._lock:
            now = self._now()
            circuit = self._circuits[host]
            if again and circuit.credit < 1:
                return Passage(Verdict.NO_RETRY, 0.0, circuit.token, 0)
            shut = circuit.shut_for(now)
            if shut > 0:
                return Passage(Verdict.OPEN, shut / MICROS, circuit.token, 0)
            probing = circuit.opened_until > 0
            admitted, wait, interval = self._spend(budget, 1 if probing else n, now)
            if admitted == 0:
                return Passage(Verdict.WAIT, wait / MICROS, circuit.token, 0)
            earned = min(retry.saved, circuit.credit + retry.share * admitted)
            circuit.credit = circuit.credit - 1 if again else max(circuit.credit, earned)
            if probing:
                circuit.token += 1
                circuit.lease_until = now + wait + micros(policy.probe_lease_s)
            verdict = Verdict.PROBE if probing else Verdict.GO
            return Passage(verdict, wait / MICROS, circuit.token, admitted, interval / MICROS)

    def _spend(self, budget: Budget | None, n: int, now: int) -> tuple[int, int, int]:
        """How many requests the budget lets start, in how many microseconds, how far apart."""
        if budget is None:
            return n, 0, 0
        account = self._budgets[budget.group]
        if budget.reserved:
            wait = max(0, account.paused_until - now)
            return (n if wait == 0 else 0), wait, 0
        return account.take(budget.policy, now, n, micros(budget.max_wait_s))

    def record(self, host: str, policy: BreakerPolicy, ok: bool | None, passage: Passage) -> None:
        """See `Gate.record`."""
        self.record_batch(host, policy, [ok], passage)

    def record_batch(
        self, host: str, policy: BreakerPolicy, outcomes: Sequence[bool | None], passage: Passage
    ) -> None:
        """See `Gate.record_batch`."""
        chance = self._chance()
        with self._lock:
            now = self._now()
            circuit = self._circuits[host]
            for ok in outcomes:
                if passage.token != circuit.token:
                    return
                circuit.learn(policy, now, ok, chance)

    def throttled(self, group: str, policy: RatePolicy, retry_after_s: float | None) -> None:
        """See `Gate.throttled`."""
        seconds = policy.pause_s if retry_after_s is None else retry_after_s
        self._pause(group, policy, seconds, slower=True)

    def pause(self, group: str, policy: RatePolicy, seconds: float) -> None:
        """See `Gate.pause`."""
        self._pause(group, policy, seconds, slower=False)

    def _pause(self, group: str, policy: RatePolicy, seconds: float, *, slower: bool) -> None:
        pause = micros(min(max(seconds, policy.interval_s), policy.pause_max_s))
        with self._lock:
            self._budgets[group].pause(policy, self._now(), pause, slower=slower)

    def snapshot(self, host: str, group: str, policy: RatePolicy) -> Snapshot:
        """See `Gate.snapshot`."""
        with self._lock:
            now = self._now()
            circuit = self._circuits.get(host) or _Circuit()
            budget = self._budgets.get(group) or _Budget()
            return describe(
                now,
                (circuit.opened_until, circuit.lease_until, circuit.streak, circuit.trips),
                (budget.next_slot, budget.paused_until, budget.rate(policy, now)),
            )


def describe(
    now: int, circuit: tuple[int, int, int, int], budget: tuple[int, int, float]
) -> Snapshot:
    """A snapshot from the stored numbers (microseconds); one place for both gates."""
    opened_until, lease_until, streak, trips = circuit
    next_slot, paused_until, rate = budget
    if opened_until == 0:
        state = CircuitState.CLOSED
    elif opened_until > now:
        state = CircuitState.OPEN
    else:
        state = CircuitState.PROBING if lease_until > now else CircuitState.HALF_OPEN
    return Snapshot(
        circuit=state,
        wait_s=max(0, opened_until - now, lease_until - now) / MICROS,
        failures_in_a_row=streak,
        times_opened=trips,
        budget=BudgetState(
            next_slot_in_s=max(0, next_slot - now, paused_until - now) / MICROS,
            paused_for_s=max(0, paused_until - now) / MICROS,
            rate=rate,
        ),
    )
