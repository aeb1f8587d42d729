"""Where an account stands at the gate, for its own page: in words, and what a person may change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from devices.models import Connection
from ingestion.resilience.gate import Gate, GateUnavailable
from ingestion.resilience.gate.words import Explanation, Level, Line, explain
from ingestion.rules import route_of

NO_REDIS = (
    "Redis cannot be reached, so where the limiter stands is not known, and nothing is asked. "
    "Start Redis, or correct REDIS_URL; what is set here takes effect as soon as it is back."
)


@dataclass(frozen=True, slots=True)
class Standing:
    """The account now. `paused`: the provider wished so; a person may end it.

    `explained` is None while the gate cannot be asked; `lines` say so.
    """

    level: Level
    summary: str
    explained: Explanation | None = None
    paused: bool = False

    @property
    def lines(self) -> tuple[tuple[str, Line], ...]:
        """What is said, with a name for each."""
        if self.explained is None:
            return (("Limiter", Line(Level.STOPPED, NO_REDIS)),)
        return (("Limiter", self.explained.budget), ("Provider", self.explained.circuit))


def standing(account: Connection, gate: Gate, now: datetime) -> Standing:
    """How fast the account is asked, whether its provider answers, and why. Never raises."""
    route = route_of(account)
    try:
        look = gate.snapshot(route.host, route.group, route.rate)
    except GateUnavailable:
        return Standing(Level.STOPPED, "Not known")
    said = explain(look, route.rate, route.breaker, now)
    paused = look.budget.paused_for_s > 0
    if not account.enabled:
        return Standing(Level.SLOWED, "Switched off", said, paused)
    return Standing(*_summary(said, paused=paused), said, paused)


def _summary(said: Explanation, *, paused: bool) -> tuple[Level, str]:
    if said.circuit.level is Level.STOPPED:
        return Level.STOPPED, "Provider down"
    if paused:
        return Level.STOPPED, "Paused"
    if said.budget.level is Level.SLOWED:
        return Level.SLOWED, "Slowed down"
    if said.circuit.level is Level.SLOWED:
        return Level.SLOWED, "Requests fail"
    return Level.FULL, "Full speed"


def paused(accounts: Iterable[Connection], gate: Gate) -> list[Connection]:
    """Those that the provider wants left alone for a while; none when that is not known."""
    of = sorted(accounts, key=str)
    routes = [route_of(one) for one in of]
    try:
        looks = gate.snapshots([(one.host, one.group, one.rate) for one in routes])
    except GateUnavailable:
        return []
    return [one for one, look in zip(of, looks, strict=True) if look.budget.paused_for_s > 0]


def follow(account: Connection, gate: Gate) -> None:
    """Let the account's settings govern from now on, in every process.

    Raises GateUnavailable; then they govern as soon as anybody asks through the gate again.
    """
    route = route_of(account)
    gate.snapshot(route.host, route.group, route.rate)


def resume(account: Connection, gate: Gate) -> bool:
    """End the account's pause; whether there was one. Raises GateUnavailable."""
    route = route_of(account)
    return gate.resume(route.group, route.rate)
