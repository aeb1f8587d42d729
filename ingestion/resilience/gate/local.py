"""The gate in memory, for tests and for a single process: `budget` and `circuit` under a lock."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ingestion.resilience.gate.base import Budget, Passage, Reservation, Snapshot, Verdict
from ingestion.resilience.gate.budget import MICROS, AccountBudget, asked_for, micros, pause_for
from ingestion.resilience.gate.circuit import Circuit, failed_before
from ingestion.resilience.gate.snapshots import describe, numbers_of
from ingestion.resilience.policy import BreakerPolicy, RatePolicy, RetryPolicy


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
        self._budgets: defaultdict[str, AccountBudget] = defaultdict(AccountBudget)
        self._circuits: defaultdict[str, Circuit] = defaultdict(Circuit)

    def _now(self) -> int:
        return round(self._clock() * MICROS)

    def _budget(self, group: str, policy: RatePolicy) -> AccountBudget:
        budget = self._budgets[group]
        budget.follow(policy)
        return budget

    def now(self) -> float:
        """See `Gate.now`."""
        return self._now() / MICROS

    def reserve(self, group: str, policy: RatePolicy, n: int, max_wait_s: float) -> Reservation:
        """See `Gate.reserve`."""
        with self._lock:
            budget = self._budget(group, policy)
            granted, wait, interval = budget.take(self._now(), n, micros(max_wait_s))
            return Reservation(granted, wait / MICROS, interval / MICROS, budget.last_slot)

    def reserve_many(
        self, wanted: Sequence[tuple[str, RatePolicy, int]], max_wait_s: float
    ) -> list[Reservation]:
        """See `Gate.reserve_many`."""
        return [self.reserve(group, policy, n, max_wait_s) for group, policy, n in wanted]

    def refund(self, group: str, reservation: Reservation, unused: int) -> bool:
        """See `Gate.refund`."""
        unused = min(unused, reservation.granted)
        if unused <= 0:
            return False
        interval = round(reservation.interval_s * MICROS)
        with self._lock:
            return self._budgets[group].refund(reservation.last, unused, interval)

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
            if again:
                circuit.credit -= 1
            else:
                circuit.earn(retry, admitted)
            if probing:
                circuit.probe(now + wait + micros(policy.probe_lease_s))
            verdict = Verdict.PROBE if probing else Verdict.GO
            return Passage(verdict, wait / MICROS, circuit.token, admitted, interval / MICROS)

    def _spend(self, budget: Budget | None, n: int, now: int) -> tuple[int, int, int]:
        """How many requests the budget lets start, in how many microseconds, how far apart."""
        if budget is None:
            return n, 0, 0
        account = self._budget(budget.group, budget.policy)
        if budget.reserved:
            wait = max(0, account.paused_until - now)
            return (n if wait == 0 else 0), wait, 0
        return account.take(now, n, micros(budget.max_wait_s))

    def record(self, host: str, policy: BreakerPolicy, ok: bool | None, passage: Passage) -> None:
        """See `Gate.record`."""
        self.record_batch(host, policy, [ok], passage)

    def record_batch(
        self,
        host: str,
        policy: BreakerPolicy,
        outcomes: Sequence[bool | None],
        passage: Passage,
        failed_ago_s: Mapping[int, float] = MappingProxyType({}),
    ) -> None:
        """See `Gate.record_batch`."""
        if not passage.open:
            return
        chance = self._chance()
        with self._lock:
            now = self._now()
            circuit = self._circuits[host]
            for place, ok in enumerate(outcomes):
                if passage.token != circuit.token:
                    return
                before = failed_before(now, failed_ago_s.get(place))
                circuit.learn(policy, now, ok, chance, before)

    def throttled(self, group: str, policy: RatePolicy, retry_after_s: float | None) -> None:
        """See `Gate.throttled`."""
        seconds = policy.pause_s if retry_after_s is None else retry_after_s
        self._pause(group, policy, seconds, asked_for(retry_after_s), slower=True)

    def pause(self, group: str, policy: RatePolicy, seconds: float) -> None:
        """See `Gate.pause`."""
        self._pause(group, policy, seconds, -1, slower=False)

    def _pause(
        self, group: str, policy: RatePolicy, seconds: float, asked: int, *, slower: bool
    ) -> None:
        with self._lock:
            budget = self._budget(group, policy)
            budget.pause(self._now(), pause_for(policy, seconds), asked, slower=slower)

    def resume(self, group: str, policy: RatePolicy) -> bool:
        """See `Gate.resume`."""
        with self._lock:
            return self._budget(group, policy).resume(self._now())

    def offer(self, host: str, seconds: float) -> bool:
        """See `Gate.offer`."""
        with self._lock:
            return self._circuits[host].offer(self._now(), micros(seconds))

    def snapshot(self, host: str, group: str, policy: RatePolicy) -> Snapshot:
        """See `Gate.snapshot`."""
        with self._lock:
            budget = self._budget(group, policy)
            return describe(numbers_of(self._now(), self._circuits[host], budget))

    def snapshots(self, of: Sequence[tuple[str, str, RatePolicy]]) -> list[Snapshot]:
        """See `Gate.snapshots`."""
        return [self.snapshot(host, group, policy) for host, group, policy in of]
