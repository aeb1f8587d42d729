"""Requests from start to end: deadline( at most one retry( gate, send, classify, record ) ).

Composition only; every decision is made elsewhere: `gate` (may they start), `transport` (send),
the adapter (read the answer), `classify` (what follows). One request or a hundred: the same way,
which `volley` walks.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from ingestion.resilience.exchange import A, Done, Exchange, Result
from ingestion.resilience.gate import Gate
from ingestion.resilience.retry import Time
from ingestion.resilience.transport import Transport
from ingestion.resilience.volley import Volley

REAL_TIME = Time(time.monotonic, lambda _: None, random.random)


class Client:
    """Asks providers through the gate. One per process; safe to use from several threads."""

    def __init__(
        self,
        gate: Gate,
        transport: Transport,
        time: Time = REAL_TIME,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._gate = gate
        self._transport = transport
        self._time = time
        self._now = now

    def perform(self, exchange: Exchange[A]) -> Result[A]:
        """Make one exchange; never raises for what a provider does.

        Raises GateUnavailable, and whatever a defective `decode` raises.
        """
        ((_, result),) = [done for group in self.perform_all([exchange]) for done in group]
        if result.defect is not None:
            raise result.defect
        return result

    def perform_all(
        self, exchanges: Sequence[Exchange[A]], until: float = math.inf
    ) -> Iterator[Sequence[Done[A]]]:
        """Make many exchanges at once; gives results in groups, as they land.

        A slow answer keeps no other one waiting. What was not begun `until` (the clock) is not
        given. Raises GateUnavailable: what was in the air is then given up.
        """
        volley = Volley(self._gate, self._time, self._now, exchanges, until)
        return volley.results(self._transport)
