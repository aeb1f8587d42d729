"""The gate in words: why an account and its provider stand where they stand. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ingestion.resilience.gate.base import BudgetState, CircuitState, Snapshot, Trip
from ingestion.resilience.gate.budget import PausedBy
from ingestion.resilience.policy import BreakerPolicy, RatePolicy

_PER = {1: "s", 60: "min", 3600: "h", 86_400: "day"}
_DAY = timedelta(days=1)


class Level(StrEnum):
    """How it stands, for a colour."""

    FULL = "full"
    SLOWED = "slowed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that can be said, and how it stands."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """How fast an account may be asked at the moment, and how its provider does."""

    budget: Line
    circuit: Line


def explain(
    snapshot: Snapshot, rate: RatePolicy, breaker: BreakerPolicy, now: datetime
) -> Explanation:
    """A snapshot taken at `now` in words; times are given in the zone of `now`."""
    return Explanation(
        budget=explain_budget(snapshot.budget, rate, now),
        circuit=explain_circuit(snapshot, breaker, now),
    )


def rate_words(limit: int, window_s: float) -> str:
    """A limit as people say it: «60/min», «100 in 15 s»."""
    per = _PER.get(int(window_s)) if window_s == int(window_s) else None
    return f"{limit}/{per}" if per else f"{limit} in {window_s:g} s"


def explain_budget(budget: BudgetState, rate: RatePolicy, now: datetime) -> Line:
    """How fast the account may be asked, since when and until when, and why."""
    full = rate_words(rate.limit, rate.window_s)
    share = _percent(budget.rate)
    if budget.paused_for_s > 0:
        until = _at(now, budget.paused_for_s)
        then = f" It goes on at {share} of {full}{_full_again(budget, now)}."
        rest = "" if budget.rate == 1 else then
        return Line(Level.STOPPED, f"Paused until {until}: {_why_paused(budget, now)}.{rest}")
    if budget.rate < 1:
        return Line(
            Level.SLOWED,
            f"Running at {share} of {full} since {_refusal(budget, now)}"
            f"{_full_again(budget, now)}.",
        )
    return Line(Level.FULL, f"Running at its full rate of {full}: {_pace(budget.interval_s)}.")


def explain_circuit(snapshot: Snapshot, breaker: BreakerPolicy, now: datetime) -> Line:
    """Whether the provider is asked or left in peace, since when, and what happens next."""
    trip = snapshot.trip
    if trip is None:
        return _closed(snapshot.failures_in_a_row, breaker)
    since = f"since {_at(now, -trip.ago_s)}, when {_why_open(trip, breaker)}"
    tried = snapshot.times_opened - 1
    again = f", and {_times(tried, 'trial request')} failed" if tried else ""
    if snapshot.circuit is CircuitState.OPEN:
        then = f"At {_at(now, snapshot.wait_s)} one request goes ahead as a trial."
    elif snapshot.circuit is CircuitState.PROBING:
        then = "One trial request is under way; its answer decides."
    elif snapshot.offered:
        then = "A trial request was handed to a worker; its answer decides."
    else:
        then = "The next request goes ahead alone, as a trial."
    return Line(Level.STOPPED, f"Left in peace {since}{again}. {then}")


def _closed(failures: int, breaker: BreakerPolicy) -> Line:
    if not failures:
        return Line(Level.FULL, "The provider answers.")
    return Line(
        Level.SLOWED,
        f"The last {_times(failures, 'request')} failed; after {breaker.failures} in a row the "
        "provider is left in peace for a while.",
    )


def _why_open(trip: Trip, breaker: BreakerPolicy) -> str:
    if trip.calls == trip.failed == 1:
        return "a request failed"
    if trip.in_a_row >= breaker.failures or trip.calls == trip.failed:
        return f"{_times(trip.in_a_row, 'request')} in a row failed"
    return f"{trip.failed} of {_times(trip.calls, 'request')} failed"


def _why_paused(budget: BudgetState, now: datetime) -> str:
    if budget.paused_by is PausedBy.STOPPED:
        return "the provider says that its licence is used up"
    return _refusal(budget, now)


def _refusal(budget: BudgetState, now: datetime) -> str:
    if budget.refused_ago_s is None:
        return "an earlier refusal"
    asked = budget.retry_after_s
    named = "no Retry-After" if asked is None else f"Retry-After {asked:.0f} s"
    count = f"; {budget.refusals} refusals so far" if budget.refusals > 1 else ""
    return f"the provider answered 429 at {_at(now, -budget.refused_ago_s)} ({named}{count})"


def _full_again(budget: BudgetState, now: datetime) -> str:
    if budget.full_in_s <= 0:
        return ""
    return f"; back at the full rate by {_at(now, budget.full_in_s)}"


def _pace(interval_s: float) -> str:
    if interval_s < 0.5:
        return f"{1 / interval_s:.3g} requests a second"
    return f"a request every {interval_s:.3g} s"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _times(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _at(now: datetime, seconds: float) -> str:
    """A time of day; with its date when that is not near."""
    at = now + timedelta(seconds=seconds)
    near = abs(at - now) < _DAY / 2
    return f"{at:%H:%M:%S %Z}" if near else f"{at:%Y-%m-%d %H:%M %Z}"
