"""What people set about asking a provider: rate, breaker, timeouts, retry. Pure values, seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


def _positive(**numbers: float) -> None:
    for name, number in numbers.items():
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"{name} must be a positive number, not {number!r}")


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """At most `limit` requests in any `window_s` seconds, evenly spaced, slower after a 429.

    Requests leave evenly but arrive with jitter; `jitter_allowance_s` is what keeps a strict
    sliding-window server from counting one too many. A refusal without Retry-After pauses for
    `pause_s`; one with it for that long, at most `pause_max_s`. Each halves the rate, never below
    `slowest` of it; `recovery` of the full rate returns per window.

    `revision` grows with every change that people make: whoever still holds an older policy of the
    same account is governed by the newer one.
    """

    limit: int
    window_s: float
    jitter_allowance_s: float = 1.0
    pause_s: float = 60.0
    pause_max_s: float = 6 * 3600.0
    slowest: float = 0.05
    recovery: float = 0.05
    revision: int = 0

    def __post_init__(self) -> None:
        """Refuse values without meaning."""
        _positive(
            limit=self.limit,
            window_s=self.window_s,
            pause_s=self.pause_s,
            pause_max_s=self.pause_max_s,
            slowest=self.slowest,
            recovery=self.recovery,
        )
        if not 0 <= self.jitter_allowance_s < math.inf or self.slowest > 1:
            raise ValueError("the jitter allowance must not be negative, slowest not above 1")

    @property
    def interval_s(self) -> float:
        """Seconds between two requests at the full rate."""
        return (self.window_s + self.jitter_allowance_s) / self.limit


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to leave a host in peace, for how long, and how it is tried again.

    Opens after `failures` in a row, or when at least `ratio` of `min_calls` or more calls within
    the last one to two `window_s` failed. Stays open for `open_s`, twice as long each further
    time up to `open_max_s`, each up to a fifth longer by chance so that hosts and sites do not
    march in step. Then one probe, whose lease ends after `probe_lease_s` should its process die:
    longer than any request can last.
    """

    failures: int = 5
    open_s: float = 60.0
    open_max_s: float = 120.0
    probe_lease_s: float = 30.0
    window_s: float = 30.0
    min_calls: int = 20
    ratio: float = 0.5
    jitter: float = 0.2

    def __post_init__(self) -> None:
        """Refuse values without meaning."""
        _positive(
            failures=self.failures,
            open_s=self.open_s,
            probe_lease_s=self.probe_lease_s,
            window_s=self.window_s,
            min_calls=self.min_calls,
            ratio=self.ratio,
        )
        if self.ratio > 1 or not 0 <= self.jitter <= 1 or not math.isfinite(self.open_max_s):
            raise ValueError("ratio and jitter are shares between 0 and 1, open_max_s is finite")

    @property
    def longest_open_s(self) -> float:
        """The cap on the open time; a first open time above it stands."""
        return max(self.open_s, self.open_max_s)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one attempt: to connect, between two pieces of the answer, and for all of it."""

    connect_s: float = 3.05
    read_s: float = 8.0
    total_s: float = 12.0

    def __post_init__(self) -> None:
        """Refuse values without meaning."""
        _positive(connect_s=self.connect_s, read_s=self.read_s, total_s=self.total_s)

    def within(self, remaining_s: float) -> Timeouts:
        """The same limits, none beyond what is left until a deadline (more than 0 s)."""
        if remaining_s >= max(self.connect_s, self.read_s, self.total_s):
            return self
        return replace(
            self,
            connect_s=min(self.connect_s, remaining_s),
            read_s=min(self.read_s, remaining_s),
            total_s=min(self.total_s, remaining_s),
        )


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` tries within `deadline_s`, a random wait of up to `wait_max_s` between.

    Every request to a host earns `share` of a retry, up to `saved`; a retry spends a whole one.
    So retries never exceed that share, also when everything fails at once.
    """

    attempts: int = 2
    wait_max_s: float = 2.0
    deadline_s: float = 25.0
    share: float = 0.1
    saved: float = 10.0

    def __post_init__(self) -> None:
        """Refuse values without meaning."""
        _positive(attempts=self.attempts, deadline_s=self.deadline_s)
        if min(self.wait_max_s, self.share, self.saved) < 0:
            raise ValueError("wait, share and saved retries must not be negative")


@dataclass(frozen=True, slots=True)
class Route:
    """All that governs the requests to one account: breaker key, budget key and the policies.

    `host` is scheme, host and port (`transport.host_of`): one breaker per host. `group` names the
    account: one budget per account.
    """

    host: str
    group: str
    rate: RatePolicy
    breaker: BreakerPolicy = BreakerPolicy()
    timeouts: Timeouts = Timeouts()
    retry: RetryPolicy = RetryPolicy()
