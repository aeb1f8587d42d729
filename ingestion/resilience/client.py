"""One request from start to end: deadline( at most one retry( gate, GET, classify, record ) ).

Composition only; every decision is made elsewhere: `gate` (may it start), `transport` (send),
the adapter (read the answer), `classify` (what follows).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from ingestion.resilience.classify import (
    EFFECTS,
    LICENCE_PAUSE_S,
    Breaker,
    Effects,
    Kind,
    Outcome,
    Pause,
    SourceError,
    kind_of_error,
    retry_after_s,
)
from ingestion.resilience.gate import Budget, Gate, Passage, Verdict
from ingestion.resilience.policy import Route
from ingestion.resilience.retry import Time, retrying
from ingestion.resilience.transport import HttpRequest, HttpResponse, Transport, TransportError


class Answer(Protocol):
    """What an adapter reads from an answer."""

    @property
    def empty(self) -> bool:
        """Whether the source had nothing to say."""


A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, slots=True)
class Result(Generic[A]):
    """What a request came to.

    `answer` is what the adapter read, for OK and EMPTY. `message` is a sentence for people.
    `wait_s`: how long to leave the source alone at least, when gate or provider said so.
    `attempts` counts requests that were really sent.
    """

    kind: Kind
    message: str
    answer: A | None = None
    response: HttpResponse | None = None
    wait_s: float | None = None
    attempts: int = 0
    elapsed_s: float = 0.0

    @property
    def effects(self) -> Effects:
        """What follows: quarantine, credential, permanent …"""
        return EFFECTS[self.kind]

    @property
    def outcome(self) -> Outcome:
        """What to tell people and statistics."""
        return self.effects.outcome

    @property
    def status(self) -> int | None:
        """The HTTP status, when there was an answer."""
        return None if self.response is None else self.response.status


_REFUSALS = {
    Verdict.OPEN: Kind.CIRCUIT_OPEN,
    Verdict.WAIT: Kind.BUDGET,
    Verdict.NO_RETRY: Kind.BUDGET,
}
_LEARNS = {Breaker.SUCCESS: True, Breaker.FAILURE: False, Breaker.NOTHING: None}
_REAL_TIME = Time(time.monotonic, time.sleep, random.random)


class Client:
    """Asks providers through the gate. One per process; safe to use from several threads."""

    def __init__(
        self,
        gate: Gate,
        transport: Transport,
        time: Time = _REAL_TIME,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._gate = gate
        self._transport = transport
        self._time = time
        self._now = now

    def perform(
        self,
        request: HttpRequest,
        route: Route,
        decode: Callable[[HttpResponse], A],
        *,
        reserved: bool = False,
        max_wait_s: float = 0.0,
    ) -> Result[A]:
        """Send a request and read its answer; never raises for what a provider does.

        `decode` reads the answer or raises SourceError. `reserved`: the dispatcher reserved its
        slot; otherwise it takes one that starts within `max_wait_s`, sleeping until then. Raises
        GateUnavailable, and whatever a defective `decode` raises.
        """
        started = self._time.clock()
        deadline = started + route.retry.deadline_s
        first = Budget(route.group, route.rate, max_wait_s, reserved)

        def attempt(previous: Result[A] | None) -> Result[A]:
            if previous is None:
                return self._attempt(request, route, decode, first, deadline)
            # A retry pays its own slot; if it gets none, what happened before stands.
            budget = replace(first, reserved=False, max_wait_s=route.retry.wait_max_s)
            result = self._attempt(request, route, decode, budget, deadline, again=True)
            if result.attempts == 0:
                return previous
            return replace(result, attempts=previous.attempts + result.attempts)

        result = retrying(attempt, _worth_retrying, route.retry, deadline, self._time)
        return replace(result, elapsed_s=self._time.clock() - started)

    def _attempt(
        self,
        request: HttpRequest,
        route: Route,
        decode: Callable[[HttpResponse], A],
        budget: Budget,
        deadline: float,
        *,
        again: bool = False,
    ) -> Result[A]:
        """One passage through the gate, closed whatever happens."""
        passage = self._gate.enter(route.host, route.breaker, budget, route.retry, again=again)
        if not passage.open:
            kind = _REFUSALS[passage.verdict]
            return Result(kind, EFFECTS[kind].says, wait_s=passage.wait_s)
        ok: bool | None = None
        try:
            result = self._exchange(request, route, decode, passage, deadline)
            ok = _LEARNS[result.effects.breaker]
        finally:
            self._gate.record(route.host, route.breaker, ok, passage)
        self._tell_budget(route, result)
        return result

    def _exchange(
        self,
        request: HttpRequest,
        route: Route,
        decode: Callable[[HttpResponse], A],
        passage: Passage,
        deadline: float,
    ) -> Result[A]:
        """Send and read; every ending that a provider can cause becomes a kind."""
        if passage.wait_s > 0:
            self._time.sleep(passage.wait_s)
        remaining = deadline - self._time.clock()
        if remaining <= 0:
            return Result(Kind.BUDGET, EFFECTS[Kind.BUDGET].says)
        try:
            response = self._transport.send(request, route.timeouts.within(remaining))
        except TransportError as error:
            kind = kind_of_error(error)
            return Result(kind, EFFECTS[kind].says, attempts=1)
        asked = retry_after_s(response, self._now())
        try:
            answer = decode(response)
        except SourceError as error:
            wait = asked if error.retry_after_s is None else error.retry_after_s
            return Result(error.kind, error.message, response=response, wait_s=wait, attempts=1)
        kind = Kind.EMPTY if answer.empty else Kind.OK
        return Result(kind, EFFECTS[kind].says, answer, response, attempts=1)

    def _tell_budget(self, route: Route, result: Result[A]) -> None:
        pause = result.effects.pause
        if pause is Pause.SLOWER and result.attempts:
            self._gate.throttled(route.group, route.rate, result.wait_s)
        elif pause is Pause.STOP:
            seconds = LICENCE_PAUSE_S if result.wait_s is None else result.wait_s
            self._gate.pause(route.group, route.rate, seconds)


def _worth_retrying(result: Result[A]) -> bool:
    """Whether another attempt soon may help: not when the provider named a time to come back."""
    return result.effects.retry and result.wait_s is None
