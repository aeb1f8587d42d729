"""Budget, breaker and instants as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestion.observe import phrases
from ingestion.observe.snapshot import Account
from ingestion.resilience.gate import CircuitState, Snapshot
from ingestion.resilience.policy import RatePolicy


@dataclass(frozen=True, slots=True)
class When:
    """An instant for the page, whose script keeps the words true."""

    iso: str
    title: str
    words: str
    lasting: str

    @classmethod
    def of(cls, at: datetime | None, now: datetime) -> When | None:
        """How long ago it was, or in how long it is."""
        if at is None:
            return None
        seconds = (now - at).total_seconds()
        said = f"{phrases.span(seconds)} ago" if seconds >= 0 else f"in {phrases.span(-seconds)}"
        title = f"{at:%Y-%m-%d %H:%M:%S} UTC"
        return cls(at.isoformat(), title, said, phrases.span(seconds))


@dataclass(frozen=True, slots=True)
class Budget:
    """The gauge: how much of the window's quota is used, and why the speed is as it is."""

    words: str
    why: str
    used_percent: float
    speed_percent: float | None
    tone: str


@dataclass(frozen=True, slots=True)
class Breaker:
    """The breaker: its state, and when the next probe goes (None: not waiting for one)."""

    words: str
    tone: str
    probe: When | None


_WINDOWS = {60: "minute", 3600: "hour", 86_400: "day"}


def budget(account: Account) -> Budget:
    """The gauge of an account's budget."""
    used = min(account.in_window / account.limit, 1.0)
    window = _WINDOWS.get(account.window_s) or phrases.span(account.window_s)
    said = f"{account.in_window:,} of {account.limit:,} requests in the last {window}"
    gate = account.gate
    if gate is None:
        return Budget(said, "Not known while Redis does not answer.", 100 * used, None, "bad")
    rate = RatePolicy(account.limit, float(account.window_s))
    why = phrases.budget(gate, rate.recovery, rate.window_s)
    slow = gate.budget.rate < 1 or gate.budget.paused_for_s > 0
    speed = round(100 * gate.budget.rate, 1) if gate.budget.rate < 1 else None
    return Budget(said, why, round(100 * used, 1), speed, "warn" if slow else "")


def breaker(gate: Snapshot | None, now: datetime) -> Breaker:
    """What the breaker does now."""
    if gate is None:
        return Breaker("Not known while Redis does not answer.", "bad", None)
    probe = When.of(now + timedelta(seconds=gate.wait_s), now)
    opened = phrases.plural(gate.times_opened, "time")
    if gate.circuit is CircuitState.OPEN:
        return Breaker(f"Open: left in peace, {opened} in a row. Next probe", "bad", probe)
    if gate.circuit is CircuitState.PROBING:
        return Breaker("Probing: one request is on its way and decides", "warn", None)
    if gate.circuit is CircuitState.HALF_OPEN:
        return Breaker("Half open: the next request is the probe", "warn", None)
    if gate.failures_in_a_row:
        failed = phrases.plural(gate.failures_in_a_row, "failure")
        return Breaker(f"Closed, after {failed} in a row", "warn", None)
    return Breaker("Closed: requests go through", "good", None)
