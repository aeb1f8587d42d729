"""Asking sources for windows of entries: configuration, adapter and client, put together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial

from devices.models import Source
from devices.secrets import SecretUnreadable
from ingestion.resilience.classify import Kind, Outcome
from ingestion.resilience.client import REAL_TIME, Client
from ingestion.resilience.exchange import Exchange, Result
from ingestion.resilience.freshcache import FreshCache
from ingestion.resilience.gate import Gate
from ingestion.resilience.policy import Route
from ingestion.resilience.retry import Time
from ingestion.resilience.transport import Transport
from ingestion.rules import adapter_config, route_of
from ingestion.sources import ADAPTERS
from ingestion.sources.base import Fetched, SourceError, Window


@dataclass(frozen=True)
class Equipment:
    """What a process asks providers with."""

    gate: Gate
    transport: Transport
    time: Time = REAL_TIME
    facts: FreshCache | None = None
    """What sources said about themselves lately, for people; None: each question is asked anew."""

    @cached_property
    def client(self) -> Client:
        """The client over this gate and transport."""
        return Client(self.gate, self.transport, self.time)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A source to ask for a window; `key` is the asker's own number for it.

    `slot`: when the slot that the dispatcher booked for it begins (seconds of the client's clock).
    Without one, or too late for it, it books another that begins within `patience_s`.
    `failed_ago_s`: how long ago the source failed, if it did the last time.
    """

    key: int
    source: Source
    window: Window
    slot: float | None = None
    patience_s: float = 0.0
    failed_ago_s: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking. `fetched` is None when there were no rows to read.

    `circuit_open`: the provider failed so often that it is left in peace now. `wait_s`: how long
    to leave the source alone at least, when gate or provider said so. `defect`: what our own code
    raised while reading the answer.
    """

    kind: Kind
    outcome: Outcome
    message: str
    fetched: Fetched | None = None
    status: int | None = None
    duration_ms: float = 0.0
    wait_s: float | None = None
    circuit_open: bool = False
    defect: Exception | None = None


def ask(source: Source, window: Window, equipment: Equipment, max_wait_s: float) -> Asked:
    """Ask `source` for `window` now, in a slot of its own that begins within `max_wait_s`.

    Never raises for a provider's faults. Raises GateUnavailable when Redis is away.
    """
    inquiry = Inquiry(0, source, window, patience_s=max_wait_s)
    ((_, asked),) = [one for group in ask_all([inquiry], equipment) for one in group]
    if asked.defect is not None:
        raise asked.defect
    return asked


def ask_all(
    inquiries: Sequence[Inquiry], equipment: Equipment, until: float = math.inf
) -> Iterator[Sequence[tuple[int, Asked]]]:
    """Ask many sources, through breaker and budget; what came of it, by key, as it arrives.

    What could not be begun `until` (the client's clock) is not given. Raises GateUnavailable.
    """
    routes: dict[int, Route] = {}
    refused: list[tuple[int, Asked]] = []
    exchanges: dict[Exchange[Fetched], Inquiry] = {}
    for inquiry in inquiries:
        account = inquiry.source.connection
        if account.pk not in routes:
            routes[account.pk] = route_of(account)
        try:
            exchanges[_exchange(inquiry, routes[account.pk])] = inquiry
        except SecretUnreadable as error:
            refused.append((inquiry.key, Asked(Kind.OURS, Outcome.OUR_ERROR, str(error))))
        except SourceError as error:
            refused.append((inquiry.key, Asked(error.kind, Outcome.OUR_ERROR, error.message)))
    if refused:
        yield refused
    for group in equipment.client.perform_all(list(exchanges), until):
        yield [
            (exchanges[exchange].key, _asked(result, exchanges[exchange].source))
            for exchange, result in group
        ]


def _exchange(inquiry: Inquiry, route: Route) -> Exchange[Fetched]:
    adapter = ADAPTERS[inquiry.source.kind]
    return Exchange(
        request=adapter.request(adapter_config(inquiry.source), inquiry.window),
        route=route,
        decode=partial(adapter.decode, window=inquiry.window),
        slot=inquiry.slot,
        patience_s=inquiry.patience_s,
        failed_ago_s=inquiry.failed_ago_s,
    )


def _asked(result: Result[Fetched], source: Source) -> Asked:
    # The adapter's own finding is the more exact one; else its words for the kind.
    heard = result.response is not None
    return Asked(
        kind=result.kind,
        outcome=result.outcome,
        message=result.message if heard else ADAPTERS[source.kind].describe(result.kind),
        fetched=result.answer,
        status=result.status,
        duration_ms=result.elapsed_s * 1000,
        wait_s=result.wait_s,
        circuit_open=result.circuit_open,
        defect=result.defect,
    )


def oldest_time(fetched: Fetched) -> datetime | None:
    """Time of the oldest row whose time could be read, refused or not."""
    times = [entry.at for entry in fetched.entries]
    times += [refusal.at for refusal in fetched.refusals if refusal.at is not None]
    return min(times, default=None)
