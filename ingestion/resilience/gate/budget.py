"""The arithmetic of one account's budget: that of `gate.lua`, in the same order.

Times are whole microseconds. Change an expression only together with the script's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from ingestion.resilience.policy import RatePolicy

MICROS = 1_000_000


def micros(seconds: float) -> int:
    """Whole microseconds, rounded up."""
    return math.ceil(seconds * MICROS)


def pause_for(policy: RatePolicy, seconds: float) -> int:
    """How long a pause lasts: at least one interval, at most what the policy bears."""
    return micros(min(max(seconds, policy.interval_s), policy.pause_max_s))


def asked_for(retry_after_s: float | None) -> int:
    """A refusal's Retry-After as it is stored."""
    return -1 if retry_after_s is None else micros(min(max(retry_after_s, 0.0), 1e9))


class PausedBy(IntEnum):
    """Why nothing is asked for a while. The numbers are what the script stores."""

    NOTHING = 0
    THROTTLED = 1  # the provider refused: too many requests
    STOPPED = 2  # something else that slowing down would not cure, such as a used-up licence


@dataclass(slots=True)
class AccountBudget:
    """One account: its last booked slot, its pause, how fast it may go, and why no faster.

    The last slot is kept, not the next one: so the next one follows the rate of this moment.
    """

    last_slot: int = 0
    paused_until: int = 0
    paused_by: int = PausedBy.NOTHING
    factor: float = 1.0  # share of the full rate at factor_at
    factor_at: int = 0
    refusals: int = 0  # since the rate was last full
    refused_at: int = 0
    slowed_at: int = 0
    asked: int = -1  # Retry-After of the last refusal; -1: it named none
    revision: int = 0
    interval: int = 0
    window: int = 0
    slowest: float = 0.0
    recovery: float = 0.0

    def follow(self, policy: RatePolicy) -> None:
        """The newest settings govern, whoever asks: a worker may hold those of a minute ago."""
        if policy.revision >= self.revision:
            self.revision = policy.revision
            self.interval = micros(policy.interval_s)
            self.window = micros(policy.window_s)
            self.slowest, self.recovery = policy.slowest, policy.recovery

    def share(self, now: int) -> float:
        """Share of the full rate, recovering additively."""
        windows = max(0, now - self.factor_at) / self.window
        return min(1.0, self.factor + self.recovery * windows)

    def interval_now(self, now: int) -> int:
        """Microseconds between two slots at the rate of this moment."""
        return math.ceil(self.interval / self.share(now))

    def next_slot(self, now: int, interval: int) -> int:
        """When the next slot is free."""
        return max(self.last_slot + interval, self.paused_until, now)

    def full_at(self, now: int) -> int:
        """When the rate is full again; 0 when it is."""
        if self.share(now) == 1:
            return 0
        return self.factor_at + math.ceil((1 - self.factor) / self.recovery * self.window)

    def take(self, now: int, n: int, max_wait: int) -> tuple[int, int, int]:
        """Slots granted, microseconds until the first, and between two."""
        interval = self.interval_now(now)
        first = self.next_slot(now, interval)
        room = now + max_wait - first
        granted = max(0, min(n, room // interval + 1)) if room >= 0 else 0
        if granted > 0:
            self.last_slot = first + (granted - 1) * interval
        return granted, first - now, interval

    def refund(self, last: int, unused: int, interval: int) -> bool:
        """Give back slots that end at `last`; only the latest can be."""
        if self.last_slot != last:
            return False
        self.last_slot -= unused * interval
        return True

    def pause(self, now: int, pause: int, asked: int, *, slower: bool) -> None:
        """Stop for a while; `slower` because the provider refused."""
        self.factor = self.share(now)
        if slower:
            self._refuse(now, asked)
        if now + pause >= self.paused_until:
            self.paused_until = now + pause
            self.paused_by = PausedBy.THROTTLED if slower else PausedBy.STOPPED
        self.factor_at = self.paused_until

    def resume(self, now: int) -> bool:
        """End a pause early; whether there was one."""
        if self.paused_until <= now:
            return False
        self.factor, self.factor_at = self.share(now), now
        self.paused_until, self.paused_by = 0, PausedBy.NOTHING
        return True

    def _refuse(self, now: int, asked: int) -> None:
        """A refusal while the rate is full begins a new story; while paused it only adds to it."""
        share = self.share(now)
        if self.paused_until <= now:
            if share == 1:
                self.refusals = 0
            self.factor = max(self.slowest, share / 2)
            self.slowed_at = now
        self.refusals, self.refused_at, self.asked = self.refusals + 1, now, asked
