"""Asking one source for one window of entries: configuration, adapter and client, put together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import structlog

from devices.models import Source
from devices.secrets import SecretUnreadable
from ingestion.resilience.classify import Breaker, Kind, Outcome
from ingestion.resilience.client import Client, Result
from ingestion.resilience.freshcache import FreshCache
from ingestion.resilience.gate import CircuitState, Gate
from ingestion.resilience.policy import Route
from ingestion.resilience.transport import HttpResponse, Transport
from ingestion.rules import adapter_config, route_of
from ingestion.sources import ADAPTERS
from ingestion.sources.base import Fetched, SourceError, Window

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Equipment:
    """What a process asks providers with."""

    gate: Gate
    transport: Transport
    facts: FreshCache | None = None
    """What sources said about themselves lately, for people; None: each question is asked anew."""

    @cached_property
    def client(self) -> Client:
        """The client over this gate and transport."""
        return Client(self.gate, self.transport)


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking. `fetched` is None when there were no rows to read.

    `circuit_open`: the provider failed so often that it is left in peace now. `wait_s`: how long
    to leave the source alone at least, when gate or provider said so.
    """

    kind: Kind
    outcome: Outcome
    message: str
    fetched: Fetched | None = None
    status: int | None = None
    duration_ms: float = 0.0
    wait_s: float | None = None
    circuit_open: bool = False


def ask(
    source: Source,
    window: Window,
    equipment: Equipment,
    *,
    reserved: bool = True,
    max_wait_s: float = 0.0,
) -> Asked:
    """Ask `source` for `window`, through breaker and budget. Never raises for a provider's faults.

    `reserved`: the dispatcher booked the slot; a person's request books its own and waits at most
    `max_wait_s` for it. Raises GateUnavailable when Redis is away.
    """
    route = route_of(source.connection)
    adapter = ADAPTERS[source.kind]
    try:
        request = adapter.request(adapter_config(source), window)
    except SecretUnreadable as error:
        return Asked(Kind.OURS, Outcome.OUR_ERROR, str(error))
    except SourceError as error:
        return Asked(error.kind, Outcome.OUR_ERROR, error.message)

    def decode(response: HttpResponse) -> Fetched:
        return adapter.decode(response, window)

    result = equipment.client.perform(
        request, route, decode, reserved=reserved, max_wait_s=max_wait_s
    )
    return _asked(result, adapter.describe(result.kind), equipment.gate, route)


def _asked(result: Result[Fetched], says: str, gate: Gate, route: Route) -> Asked:
    return Asked(
        kind=result.kind,
        outcome=result.outcome,
        # The adapter's own finding is the more exact one; else its words for the kind.
        message=result.message if result.response is not None else says,
        fetched=result.answer,
        status=result.status,
        duration_ms=result.elapsed_s * 1000,
        wait_s=result.wait_s,
        circuit_open=_circuit_open(result, gate, route),
    )


def _circuit_open(result: Result[Fetched], gate: Gate, route: Route) -> bool:
    """Whether the breaker is open after this result; asked only when it may be."""
    if result.kind is Kind.CIRCUIT_OPEN:
        return True
    if result.effects.breaker is not Breaker.FAILURE:
        return False
    return gate.snapshot(route.host, route.group, route.rate).circuit is not CircuitState.CLOSED


def oldest_time(fetched: Fetched) -> datetime | None:
    """Time of the oldest row whose time could be read, refused or not."""
    times = [entry.at for entry in fetched.entries]
    times += [refusal.at for refusal in fetched.refusals if refusal.at is not None]
    return min(times, default=None)
