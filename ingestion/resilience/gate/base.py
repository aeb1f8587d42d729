"""The words of the gate and its protocol. Durations in seconds, from the call on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Protocol

from ingestion.resilience.gate.budget import MICROS, PausedBy
from ingestion.resilience.policy import BreakerPolicy, RatePolicy, RetryPolicy


class GateUnavailable(Exception):
    """The gate cannot be asked (Redis is gone): nothing may start."""


class Verdict(IntEnum):
    """May a request start? The numbers are what the Lua script answers."""

    GO = 0
    PROBE = 1  # go, and your answer alone decides whether the host is well again
    OPEN = 2  # the host is left in peace
    WAIT = 3  # the budget is paused, or has no slot soon enough
    NO_RETRY = 4  # retries have used up their share


@dataclass(frozen=True, slots=True)
class Reservation:
    """`granted` slots; slot k (from 0) may start `offset_s(k)` seconds after the reservation.

    None granted: `wait_s` is how long until the next slot is free.
    """

    granted: int
    wait_s: float
    interval_s: float
    last: int  # server time in microseconds of the account's last booked slot

    def offset_s(self, slot: int) -> float:
        """Seconds after the reservation at which a granted slot may start."""
        if not 0 <= slot < self.granted:
            raise IndexError(f"slot {slot} of {self.granted}")
        return self.wait_s + slot * self.interval_s

    def starts_at(self, slot: int) -> float:
        """When a granted slot may start, in the gate's own time (`Gate.now`)."""
        if not 0 <= slot < self.granted:
            raise IndexError(f"slot {slot} of {self.granted}")
        return self.last / MICROS - (self.granted - 1 - slot) * self.interval_s


@dataclass(frozen=True, slots=True)
class Budget:
    """What a request takes from its account's budget.

    `reserved`: its slot was reserved before; only a pause (after a 429) still stops it. Otherwise
    it takes a slot that starts within `max_wait_s`.
    """

    group: str
    policy: RatePolicy
    max_wait_s: float = 0.0
    reserved: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """The answer to a request, or a batch of them, that wants to start.

    GO or PROBE: `admitted` of them may, the first in `wait_s` and each next `interval_s` later
    (both 0 when their slots were reserved before); hand the passage to `record`. A probe is alone.
    Otherwise none may, and `wait_s` is how long until it is worth asking again.
    """

    verdict: Verdict
    wait_s: float
    token: int
    admitted: int = 1
    interval_s: float = 0.0

    @property
    def open(self) -> bool:
        """Whether anything may start."""
        return self.verdict in (Verdict.GO, Verdict.PROBE)

    def offset_s(self, place: int) -> float:
        """Seconds after the passage at which an admitted request (from 0) may start."""
        if not 0 <= place < self.admitted:
            raise IndexError(f"request {place} of {self.admitted} admitted")
        return self.wait_s + place * self.interval_s


class CircuitState(StrEnum):
    """What the breaker of a host does at the moment."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    PROBING = "probing"


@dataclass(frozen=True, slots=True)
class BudgetState:
    """An account's budget now, and why it stands where it stands. Seconds from or before now.

    `rate` is the share of the full rate, `interval_s` what lies between two slots at it. The full
    rate is back in `full_in_s` (0: it is). `refusals` were counted since it was last full; the
    newest came `refused_ago_s` ago and asked for `retry_after_s` (None: it named no time); the rate
    was last halved `slowed_ago_s` ago. None: that never happened, as far as is remembered.
    """

    next_slot_in_s: float
    paused_for_s: float
    rate: float
    interval_s: float = 0.0
    paused_by: PausedBy = PausedBy.NOTHING
    full_in_s: float = 0.0
    refusals: int = 0
    refused_ago_s: float | None = None
    slowed_ago_s: float | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """What opened a circuit that is not closed again: failures in a row, or failed of all calls."""

    ago_s: float
    in_a_row: int
    failed: int
    calls: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The gate as it stands, for the dispatcher's look ahead and for people.

    `wait_s`: how long until the breaker lets something through, 0 when it does now. `offered`: the
    probe is handed out and on its way. `trip` is None while the circuit is closed.
    """

    circuit: CircuitState
    wait_s: float
    failures_in_a_row: int
    times_opened: int
    budget: BudgetState
    offered: bool = False
    trip: Trip | None = None

    @property
    def admits(self) -> int | None:
        """How many requests the breaker would let through now; None: any number."""
        if self.circuit is CircuitState.CLOSED:
            return None
        return 1 if self.circuit is CircuitState.HALF_OPEN and not self.offered else 0

    def slots_within(self, seconds: float) -> int:
        """How many slots start within `seconds`; none while the budget is paused for longer."""
        room = seconds - self.budget.next_slot_in_s
        return int(room / self.budget.interval_s) + 1 if room >= 0 else 0


class Gate(Protocol):
    """The gate. Every method raises GateUnavailable when it cannot answer.

    Of an account's settings the newest govern (`RatePolicy.revision`), whoever brings them.
    """

    def now(self) -> float:
        """The gate's own time in seconds: that of all slots, whatever a machine's clock says."""

    def reserve(self, group: str, policy: RatePolicy, n: int, max_wait_s: float) -> Reservation:
        """Book up to `n` slots that start within `max_wait_s` (finite)."""

    def reserve_many(
        self, wanted: Sequence[tuple[str, RatePolicy, int]], max_wait_s: float
    ) -> list[Reservation]:
        """`reserve` for several accounts (group, policy, slots) in one exchange."""

    def refund(self, group: str, reservation: Reservation, unused: int) -> bool:
        """Give back the last `unused` slots of a reservation; whether they could be given back.

        Only the latest reservation can: behind any other, someone else's slots follow.
        """

    def enter(
        self,
        host: str,
        policy: BreakerPolicy,
        budget: Budget | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (a frozen value)
        *,
        again: bool = False,
    ) -> Passage:
        """May a request start? Breaker first, then budget, in one step; `again` for a retry.

        Every opened passage must be closed by `record`, whatever happened.
        """

    def enter_batch(
        self,
        host: str,
        policy: BreakerPolicy,
        n: int,
        budget: Budget | None = None,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 (a frozen value)
    ) -> Passage:
        """How many of `n` (1 or more) requests to a host may start? One step for all of them.

        Closed: all that the budget has slots for, and with reserved slots all. Half-open: one, the
        probe. Open, or paused: none. Close the passage by one `record_batch`.
        """

    def record(self, host: str, policy: BreakerPolicy, ok: bool | None, passage: Passage) -> None:
        """What came of it: True heals, False counts as a failure, None says nothing.

        A probe that says nothing (a 429, a 404) hands its turn to the next request.
        """

    def record_batch(
        self,
        host: str,
        policy: BreakerPolicy,
        outcomes: Sequence[bool | None],
        passage: Passage,
        failed_ago_s: Mapping[int, float] = MappingProxyType({}),
    ) -> None:
        """What came of the requests of one passage, in their order; as many single records.

        `failed_ago_s`: by place, how long ago the same source failed already. If the host answered
        anybody since, its new failure tells of the source, not of the host: it does not lengthen
        the row of failures, and counts in their share only.

        Those after the one that opens the circuit are late answers from an earlier state. A
        passage that let nothing through has nothing to tell.
        """

    def throttled(self, group: str, policy: RatePolicy, retry_after_s: float | None) -> None:
        """The provider said that we ask too often: pause and, once per pause, halve the rate."""

    def pause(self, group: str, policy: RatePolicy, seconds: float) -> None:
        """Ask nothing for a while without slowing down afterwards; `pause_max_s` caps it."""

    def resume(self, group: str, policy: RatePolicy) -> bool:
        """End a pause early, because a person knows better; whether there was one.

        A halved rate stays halved and recovers from now on: only the provider's answers prove more.
        """

    def offer(self, host: str, seconds: float) -> bool:
        """Whether the one probe of a half-open host may be handed to a worker.

        For `seconds`, or until a probe goes, nobody else is told yes: several dispatchers send one.
        """

    def snapshot(self, host: str, group: str, policy: RatePolicy) -> Snapshot:
        """How host and account stand now; changes nothing but which settings are the newest."""

    def snapshots(self, of: Sequence[tuple[str, str, RatePolicy]]) -> list[Snapshot]:
        """`snapshot` of several (host, group, policy) in one exchange."""
