"""Exchanges of one call on their way: waiting, ready, in the air, landed, done.

Whatever may start passes the gate in groups, and results are handed on in groups, as they land: a
slow answer keeps no other one waiting, and neither does a retry, which waits like everything else.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Generic

from ingestion.resilience.classify import (
    EFFECTS,
    LICENCE_PAUSE_S,
    Breaker,
    Kind,
    Pause,
    SourceError,
    kind_of_error,
    retry_after_s,
)
from ingestion.resilience.exchange import NOT_YET, SLOT_LASTS_S, A, Done, Exchange, Flight, Result
from ingestion.resilience.gate import Budget, CircuitState, Gate, Passage, Verdict
from ingestion.resilience.policy import Route
from ingestion.resilience.retry import Attempts, Time
from ingestion.resilience.transport import (
    HttpResponse,
    Landed,
    Sending,
    Transport,
    TransportError,
)

PORTION = 50
"""So many requests pass the gate in one step."""
GROUP = 100
"""So many results are handed on together, or those of `GROUP_S`, or whatever there is when nothing
lands for a moment: a slow answer does not keep the others from being stored."""
GROUP_S = 0.25
# Times are converted between clocks; what is nearer than this is now.
CLOCK_GRAIN_S = 0.001

_REFUSALS = {
    Verdict.OPEN: Kind.CIRCUIT_OPEN,
    Verdict.WAIT: Kind.BUDGET,
    Verdict.NO_RETRY: Kind.BUDGET,
}
_LEARNS = {Breaker.SUCCESS: True, Breaker.FAILURE: False, Breaker.NOTHING: None}


def _at(one: Flight[A]) -> float:
    return one.at


class Volley(Generic[A]):
    """The exchanges of one call, and where each of them is."""

    def __init__(
        self,
        gate: Gate,
        time: Time,
        now: Callable[[], datetime],
        exchanges: Sequence[Exchange[A]],
        until: float,
    ) -> None:
        self._gate, self._time, self._now, self._until = gate, time, now, until
        start = time.clock()
        self._waiting = sorted(
            (
                Flight(
                    one,
                    key,
                    start if one.slot is None else one.slot,
                    failed_at=None if one.failed_ago_s is None else start - one.failed_ago_s,
                )
                for key, one in enumerate(exchanges)
            ),
            key=_at,
        )
        self._ready: list[Flight[A]] = []
        self._aloft: dict[int, Flight[A]] = {}
        self._landed: list[tuple[Flight[A], Result[A]]] = []
        self._done: list[Done[A]] = []
        self._probing: set[str] = set()

    def results(self, transport: Transport) -> Iterator[Sequence[Done[A]]]:
        """Results as they land, in groups."""
        since = math.inf  # when the first one of the group landed
        for landed in transport.send(self._sendings()):
            if landed is not None:
                self._read(landed)
                since = min(since, self._time.clock())
                if len(self._landed) < GROUP and self._time.clock() - since < GROUP_S:
                    continue
            self._record()
            yield from self._take()
            since = math.inf
        self._record()
        yield from self._take()

    def _take(self) -> Iterator[Sequence[Done[A]]]:
        done, self._done = self._done, []
        if done:
            yield done

    def _sendings(self) -> Iterator[Sending | None]:
        """What may be sent, as the transport asks for it; None while nothing may."""
        while self._pending():
            sending = self._next()
            if sending is not None or self._pending():
                yield sending

    def _pending(self) -> bool:
        return bool(self._waiting or self._ready or self._aloft or self._landed)

    def _next(self) -> Sending | None:
        self._idle()
        first = next((one for one in self._waiting if one.route.host not in self._probing), None)
        if not self._due(self._ready) and first is not None and self._due([first]):
            self._admit(first)
        if not self._due(self._ready):
            return None
        one = self._ready.pop(0)
        now = self._time.clock()
        if one.before is None:
            one.deadline = now + one.route.retry.deadline_s
        remaining = one.deadline - now
        if one.before is not None and remaining <= 0:
            self._gate.record(one.route.host, one.route.breaker, None, one.passage)
            self._done.append((one.exchange, one.before))
            return None
        self._aloft[one.key] = one
        return Sending(one.key, one.exchange.request, one.route.timeouts.within(remaining))

    def _due(self, line: Sequence[Flight[A]]) -> bool:
        return bool(line) and line[0].at <= self._time.clock() + CLOCK_GRAIN_S

    def _idle(self) -> None:
        """Nothing may start before the first one's time; of what landed, some may be tried again"""
        heads = [line[0].at for line in (self._ready, self._waiting) if line]
        if heads:
            ahead = min(heads) - self._time.clock()
            if ahead > CLOCK_GRAIN_S:
                self._time.idle(ahead)
        elif not self._aloft:
            self._record()

    # the gate ---------------------------------------------------------------------------------

    def _admit(self, first: Flight[A]) -> None:
        """Let it and the next ones of its account through the gate, in one step."""
        self._give_up_late_ones()
        if first not in self._waiting:
            return
        self._record()  # what has landed may shut the gate
        now = self._time.clock()
        portion = self._like(first, now)
        passage = self._enter(portion, now)
        if not passage.open:
            for one in portion:
                self._refuse(one, passage)
            return
        if passage.verdict is Verdict.PROBE:
            self._probing.add(first.route.host)
        for place, one in enumerate(portion[: passage.admitted]):
            one.booked = not one.reserved(now)
            one.passage = passage
            one.at = max(one.at, now + passage.offset_s(place))
            self._ready.append(one)
        self._waiting = [one for one in self._waiting if one.passage is not passage]
        self._ready.sort(key=_at)

    def _like(self, first: Flight[A], now: float) -> list[Flight[A]]:
        """Those that may pass in one step with `first`: same account, and due within a slot."""
        if first.before is not None:
            return [first]
        kind = (first.route, first.reserved(now), first.exchange.patience_s)
        return [
            one
            for one in self._waiting
            if one.before is None
            and one.at <= now + SLOT_LASTS_S
            and (one.route, one.reserved(now), one.exchange.patience_s) == kind
        ][:PORTION]

    def _enter(self, portion: Sequence[Flight[A]], now: float) -> Passage:
        one = portion[0]
        route = one.route
        if one.before is not None:
            # A retry pays its own slot.
            budget = Budget(route.group, route.rate, route.retry.wait_max_s)
            return self._gate.enter(route.host, route.breaker, budget, route.retry, again=True)
        budget = Budget(
            route.group, route.rate, one.exchange.patience_s, reserved=one.reserved(now)
        )
        return self._gate.enter_batch(route.host, route.breaker, len(portion), budget, route.retry)

    def _refuse(self, one: Flight[A], passage: Passage) -> None:
        """Nothing was sent. If it was a retry, what happened before stands."""
        self._waiting.remove(one)
        kind = _REFUSALS[passage.verdict]
        refused: Result[A] = Result(
            kind,
            EFFECTS[kind].says,
            wait_s=passage.wait_s,
            circuit_open=kind is Kind.CIRCUIT_OPEN,
        )
        self._done.append((one.exchange, one.before or refused))

    def _give_up_late_ones(self) -> None:
        if self._time.clock() > self._until:
            self._waiting = [one for one in self._waiting if one.before is not None]

    # what came of it --------------------------------------------------------------------------

    def _read(self, landed: Landed) -> None:
        """What a request came to; every ending that a provider can cause becomes a kind."""
        one = self._aloft.pop(landed.key)
        attempts, elapsed_s = 1, landed.elapsed_s
        if one.before is not None:
            attempts += one.before.attempts
            elapsed_s += one.before.elapsed_s
        self._landed.append((one, self._result(one, landed.ending, attempts, elapsed_s)))

    def _result(
        self,
        one: Flight[A],
        ending: HttpResponse | TransportError,
        attempts: int,
        elapsed_s: float,
    ) -> Result[A]:
        wait_s, answer, defect = None, None, None
        response = ending if isinstance(ending, HttpResponse) else None
        try:
            if isinstance(ending, TransportError):
                raise SourceError(kind_of_error(ending))
            answer = one.exchange.decode(ending)
            kind = Kind.EMPTY if answer.empty else Kind.OK
            message = EFFECTS[kind].says
        except SourceError as error:
            kind, message, wait_s = error.kind, error.message, error.retry_after_s
            if wait_s is None and response is not None:
                wait_s = retry_after_s(response, self._now())
        except Exception as error:
            kind, message, defect = Kind.OURS, EFFECTS[Kind.OURS].says, error
        return Result(kind, message, answer, response, wait_s, attempts, elapsed_s, defect=defect)

    def _record(self) -> None:
        """Tell the gate what landed since, then hand it on, or try again what may be cured."""
        landed, self._landed = self._landed, []
        shut = self._close_passages(landed)
        troubled = False
        for one, result in landed:
            self._probing.discard(one.route.host)
            self._tell_budget(one.route, result)
            effects = result.effects
            troubled |= effects.breaker is Breaker.FAILURE or effects.pause is not Pause.NONE
            if one.route.host in shut and effects.breaker is Breaker.FAILURE:
                result = replace(result, circuit_open=True)
            if not self._again(one, result):
                self._done.append((one.exchange, result))
        if troubled:
            self._stand_back()

    def _close_passages(self, landed: Sequence[tuple[Flight[A], Result[A]]]) -> set[str]:
        """Record each passage's results in one step; the hosts that are left in peace now."""
        passages: dict[int, list[tuple[Flight[A], Result[A]]]] = {}
        for one, result in landed:
            passages.setdefault(id(one.passage), []).append((one, result))
        failed: dict[str, Route] = {}
        for results in passages.values():
            one = results[0][0]
            route = one.route
            outcomes = [_LEARNS[result.effects.breaker] for _, result in results]
            ago = self._failed_ago_s(results)
            self._gate.record_batch(route.host, route.breaker, outcomes, one.passage, ago)
            if False in outcomes:
                failed[route.host] = route
        return {host for host, route in failed.items() if not self._closed(route)}

    def _failed_ago_s(self, results: Sequence[tuple[Flight[A], Result[A]]]) -> dict[int, float]:
        """By place, how long ago the source of a failed request had failed already."""
        now = self._time.clock()
        return {
            place: now - one.failed_at
            for place, (one, result) in enumerate(results)
            if one.failed_at is not None and result.effects.breaker is Breaker.FAILURE
        }

    def _closed(self, route: Route) -> bool:
        look = self._gate.snapshot(route.host, route.group, route.rate)
        return look.circuit is CircuitState.CLOSED

    def _tell_budget(self, route: Route, result: Result[A]) -> None:
        pause = result.effects.pause
        if pause is Pause.SLOWER:
            self._gate.throttled(route.group, route.rate, result.wait_s)
        elif pause is Pause.STOP:
            seconds = LICENCE_PAUSE_S if result.wait_s is None else result.wait_s
            self._gate.pause(route.group, route.rate, seconds)

    def _again(self, one: Flight[A], result: Result[A]) -> bool:
        """Whether another attempt was put in line: not when the provider named a time.

        Nor when it was just shut off: nobody would be let through, and what it did, which people
        are to be told, would be known only after all that is refused for it.
        """
        if not _worth_retrying(result) or result.circuit_open or result.defect is not None:
            return False
        if one.attempts is None:
            one.attempts = Attempts(_worth_retrying, one.route.retry, one.deadline, self._time)
        pause = one.attempts.pause_after(result)
        if pause is None:
            return False
        one.before, one.passage, one.failed_at = result, NOT_YET, self._time.clock()
        one.at = self._time.clock() + pause
        insort(self._waiting, one, key=_at)
        return True

    def _stand_back(self) -> None:
        """Those that passed the gate before it heard of trouble pass it once more."""
        for one in self._ready:
            if not one.booked:
                one.passage = NOT_YET
                insort(self._waiting, one, key=_at)
        self._ready = [one for one in self._ready if one.booked]


def _worth_retrying(result: Result[A]) -> bool:
    return result.effects.retry and result.wait_s is None
