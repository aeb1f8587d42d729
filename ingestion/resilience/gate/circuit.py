"""The arithmetic of one host's breaker: that of `gate.lua`, in the same order.

Times are whole microseconds. Change an expression only together with the script's.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.resilience.gate.budget import micros
from ingestion.resilience.policy import BreakerPolicy, RetryPolicy

# Later than any time: a source that had not failed before.
NEVER = 2**62


def failed_before(now: int, ago_s: float | None) -> int:
    """When a source had failed before, from how long ago that is."""
    return NEVER if ago_s is None else now - micros(ago_s)


@dataclass(slots=True)
class Circuit:
    """One host. Closed while `opened_until` is 0; after it, half-open."""

    token: int = 0
    opened_until: int = 0
    lease_until: int = 0
    offered_until: int = 0
    trips: int = 0
    streak: int = 0
    window: int = 0  # number of the current counting window
    good: int = 0
    bad: int = 0
    good_before: int = 0
    bad_before: int = 0
    good_at: int = 0  # when it last answered anybody
    credit: float = 0.0  # retries earned
    opened_at: int = 0  # when it was last closed and opened; 0 while closed
    trip_streak: int = 0
    trip_failed: int = 0
    trip_calls: int = 0

    def shut_for(self, now: int) -> int:
        """Microseconds until something may go through; 0 when it may now."""
        return max(0, self.opened_until - now, self.lease_until - now)

    def earn(self, retry: RetryPolicy, admitted: int) -> None:
        """Requests that start earn their share of a retry."""
        earned = min(retry.saved, self.credit + retry.share * admitted)
        self.credit = max(self.credit, earned)

    def probe(self, until: int) -> None:
        """One request goes ahead, as a lease."""
        self.token += 1
        self.lease_until, self.offered_until = until, 0

    def offer(self, now: int, lasts: int) -> bool:
        """Whether the one probe may be handed out; then nobody else hears yes for a while."""
        shut = max(self.opened_until, self.lease_until, self.offered_until) > now
        if self.opened_until == 0 or shut:
            return False
        self.offered_until = now + lasts
        return True

    def learn(
        self, policy: BreakerPolicy, now: int, ok: bool | None, chance: float, before: int = NEVER
    ) -> None:
        """Take one answer into account: close, open, or hand a probe's turn on.

        `before`: when the same source had failed already.
        """
        probing = self.opened_until > 0
        if ok:
            self.good_at = now
        if ok is None:
            if probing:
                self.token += 1
                self.lease_until = 0
        elif probing and ok:
            self._change(opened_until=0, trips=0)
            self.opened_at = 0
        elif probing or self._count(policy, now, before, ok=ok):
            if not probing:
                self._remember_why(now)
            self._open(policy, now, chance)

    def _count(self, policy: BreakerPolicy, now: int, before: int, *, ok: bool) -> bool:
        """Count an answer while closed; whether it is time to open."""
        window = now // micros(policy.window_s)
        if window != self.window:
            kept = window == self.window + 1
            self.good_before, self.bad_before = (self.good, self.bad) if kept else (0, 0)
            self.window, self.good, self.bad = window, 0, 0
        if ok:
            self.good, self.streak = self.good + 1, 0
            return False
        self.bad += 1
        if self.good_at <= before:
            self.streak += 1
        failed = self.bad + self.bad_before
        calls = failed + self.good + self.good_before
        return self.streak >= policy.failures or (
            calls >= policy.min_calls and failed >= policy.ratio * calls
        )

    def _remember_why(self, now: int) -> None:
        """What made the circuit open stays known while further probes fail."""
        self.opened_at, self.trip_streak = now, self.streak
        self.trip_failed = self.bad + self.bad_before
        self.trip_calls = self.trip_failed + self.good + self.good_before

    def _open(self, policy: BreakerPolicy, now: int, chance: float) -> None:
        pause = min(policy.longest_open_s, policy.open_s * 2.0 ** min(self.trips, 30))
        until = now + micros(pause * (1 + policy.jitter * chance))
        self._change(opened_until=until, trips=self.trips + 1)

    def _change(self, opened_until: int, trips: int) -> None:
        self.token += 1
        self.opened_until, self.trips = opened_until, trips
        self.lease_until = self.offered_until = self.streak = 0
        self.good = self.bad = self.good_before = self.bad_before = 0
