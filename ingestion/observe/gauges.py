"""Budget, breaker and instants as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingestion.observe import phrases
from ingestion.observe.snapshot import Account
from ingestion.resilience.gate.words import Level


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
    """What the breaker does, and why."""

    words: str
    tone: str


_TONES = {Level.FULL: "", Level.SLOWED: "warn", Level.STOPPED: "bad"}
_UNKNOWN = "Not known while Redis does not answer."
_WINDOWS = {60: "minute", 3600: "hour", 86_400: "day"}


def budget(account: Account) -> Budget:
    """The gauge of an account's budget."""
    used = min(account.in_window / account.limit, 1.0)
    window = _WINDOWS.get(account.window_s) or phrases.span(account.window_s)
    said = f"{account.in_window:,} of {account.limit:,} requests in the last {window}"
    gate, explained = account.gate, account.explained
    if gate is None or explained is None:
        return Budget(said, _UNKNOWN, 100 * used, None, "bad")
    why = explained.budget
    # A pause is the provider's wish, no failure.
    tone = "warn" if why.level is Level.STOPPED else _TONES[why.level]
    speed = round(100 * gate.budget.rate, 1) if gate.budget.rate < 1 else None
    return Budget(said, why.text, round(100 * used, 1), speed, tone)


def breaker(account: Account) -> Breaker:
    """What the breaker of an account's provider does now."""
    if account.explained is None:
        return Breaker(_UNKNOWN, "bad")
    circuit = account.explained.circuit
    return Breaker(circuit.text, _TONES[circuit.level] or "good")
