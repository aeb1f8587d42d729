"""How an account is doing: healthy, degraded (and by what) or idle. Pure.

The rules are those of `docs/ingestion-status.md`; the numbers judged are the numbers shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ingestion.observe.counts import NOTHING, Counts
from ingestion.observe.phrases import percent, plural, span
from ingestion.resilience.gate import CircuitState, PausedBy, Snapshot

SILENT_AFTER = timedelta(minutes=30)
"""Degraded after so long without a success; later where nothing is asked that often."""
FAILURES_IN_A_ROW = 3
"""Degraded by more of them."""
LEAST_SUCCESS = 0.8
ENOUGH_FETCHES = 10
"""Degraded below that success rate, over more fetches than these."""


class Status(StrEnum):
    """What an account's state comes to."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    IDLE = "idle"


class Code(StrEnum):
    """What may be wrong. A closed set."""

    CIRCUIT_OPEN = "circuit_open"
    PAUSED = "paused"
    NO_SUCCESS = "no_success"
    FAILURES = "consecutive_failures"
    SUCCESS_RATE = "success_rate"
    CREDENTIALS = "credentials_unreadable"
    GATE = "gate_unavailable"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, in words, and since when (None where nobody knows)."""

    code: Code
    text: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What an account is judged by.

    `asked_sources`: sources that are switched on, as are their devices. `shortest_s`: the shortest
    of their intervals in seconds. `day`: requests of the last 24 hours. `first_asked_at`: the
    first of them. `failing_since`: the first failure after the last success. `outage_since`: when
    the open alert «provider down» began, `outage_words`: what it says; `outage_ended_at`: when the
    newest past one ended.
    `gate`: None while Redis does not answer.
    """

    enabled: bool
    asked_sources: int
    shortest_s: float | None
    day: Counts = NOTHING
    consecutive_failures: int = 0
    failing_since: datetime | None = None
    first_asked_at: datetime | None = None
    last_success_at: datetime | None = None
    first_success_at: datetime | None = None
    outage_since: datetime | None = None
    outage_words: str = ""
    outage_ended_at: datetime | None = None
    key_readable: bool = True
    gate: Snapshot | None = None

    @property
    def asked(self) -> bool:
        """Whether anything is asked of this account, and anything ever was."""
        ever = self.first_asked_at or self.last_success_at or self.consecutive_failures
        return self.enabled and self.asked_sources > 0 and bool(ever)


@dataclass(frozen=True, slots=True)
class Health:
    """The judgement: the status, why, and since when it is so (None where nobody knows)."""

    status: Status
    issues: tuple[Issue, ...]
    since: datetime | None
    words: str


def judge(facts: Facts, now: datetime) -> Health:
    """How the account is doing now."""
    idle = _idle(facts)
    if idle:
        return Health(Status.IDLE, (), None, idle)
    issues = _issues(facts, now)
    if not issues:
        return Health(Status.HEALTHY, (), up_since(facts), "Everything asked is answered.")
    known = [one.since for one in issues if one.since is not None]
    return Health(Status.DEGRADED, issues, min(known, default=None), issues[0].text)


def _idle(facts: Facts) -> str:
    """Why nothing is asked; empty when something is, or when it cannot be for want of a key."""
    if not facts.enabled:
        return "Switched off: nothing is asked."
    if not facts.asked_sources:
        return "No source that is switched on uses this account: nothing is asked."
    if not facts.asked and facts.key_readable and facts.gate is not None:
        return "Nothing was asked yet."
    return ""


def _issues(facts: Facts, now: datetime) -> tuple[Issue, ...]:
    found = (
        _without_gate(facts),
        _circuit(facts, now),
        _paused(facts, now),
        _credentials(facts),
        _silent(facts, now),
        _in_a_row(facts),
        _rate(facts),
    )
    return tuple(one for one in found if one is not None)


def _without_gate(facts: Facts) -> Issue | None:
    if facts.gate is not None:
        return None
    text = "Redis does not answer: without the request budget nothing is asked. Start Redis."
    return Issue(Code.GATE, text)


def _circuit(facts: Facts, now: datetime) -> Issue | None:
    gate = facts.gate
    if gate is None or gate.circuit is CircuitState.CLOSED:
        return None
    wait = span(gate.wait_s)
    does = {
        CircuitState.OPEN: f"It is left in peace; the next probe goes in {wait}.",
        CircuitState.PROBING: "One probe is on its way; its answer alone decides.",
        CircuitState.HALF_OPEN: "The next request is the probe that decides.",
    }[gate.circuit]
    opened = plural(gate.times_opened, "time")
    what = facts.outage_words or "The provider does not answer."
    text = f"{what} The breaker opened {opened} in a row. {does}"
    return Issue(Code.CIRCUIT_OPEN, text, facts.outage_since or facts.failing_since)


def _paused(facts: Facts, now: datetime) -> Issue | None:
    if facts.gate is None or facts.gate.budget.paused_for_s <= 0:
        return None
    left = facts.gate.budget.paused_for_s
    if facts.gate.budget.paused_by is PausedBy.STOPPED:
        text = (
            f"The provider says that its licence is used up; it is asked again in {span(left)}. "
            "Renew the licence, then end the pause on the account's page."
        )
    else:
        text = (
            f"The provider said that it is asked too often; requests go on in {span(left)}. "
            "Lower the account's budget if this repeats."
        )
    return Issue(Code.PAUSED, text, facts.failing_since)


def _credentials(facts: Facts) -> Issue | None:
    if facts.key_readable:
        return None
    text = (
        "The stored account key cannot be read with this site's encryption key. Restore the key "
        "that belongs to this database, or enter the account key again."
    )
    return Issue(Code.CREDENTIALS, text)


def silent_after(shortest_s: float | None) -> timedelta:
    """How long without a success is too long: 30 minutes, or twice the shortest interval."""
    return max(SILENT_AFTER, timedelta(seconds=2 * (shortest_s or 0.0)))


def _silent(facts: Facts, now: datetime) -> Issue | None:
    since = facts.last_success_at or facts.first_asked_at
    if since is None or now - since <= silent_after(facts.shortest_s):
        return None
    passed = span((now - since).total_seconds())
    last = f"The last success was {passed} ago."
    never = f"Asked for {passed} without any success."
    return Issue(Code.NO_SUCCESS, last if facts.last_success_at else never, since)


def _in_a_row(facts: Facts) -> Issue | None:
    count = facts.consecutive_failures
    if count <= FAILURES_IN_A_ROW:
        return None
    text = f"{plural(count, 'request')} in a row failed."
    return Issue(Code.FAILURES, text, facts.failing_since)


def _rate(facts: Facts) -> Issue | None:
    rate = facts.day.success_rate
    if rate is None or facts.day.requests <= ENOUGH_FETCHES or rate >= LEAST_SUCCESS:
        return None
    text = (
        f"Only {percent(rate)} of the last 24 hours' {plural(facts.day.requests, 'request')} "
        "were answered."
    )
    return Issue(Code.SUCCESS_RATE, text)


def up_since(facts: Facts) -> datetime | None:
    """Since when the provider is up: the end of its last outage, else its first answer known."""
    if facts.outage_since is not None:
        return None
    return facts.outage_ended_at or facts.first_success_at


def uptime_s(facts: Facts, now: datetime) -> float:
    """Seconds that the provider is up without an outage; 0 during one, and before any answer."""
    since = up_since(facts)
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)
