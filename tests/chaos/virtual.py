"""A day in a minute: the real dispatcher, gate script, worker, HTTP and database, on a moved clock.

Their clock and the provider's go from event to event together.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import redis

from ingestion.claims import Claim
from ingestion.dispatch import Queues, dispatch
from ingestion.polling import Equipment
from ingestion.resilience.retry import Time
from ingestion.resilience.transport import CurlTransport
from ingestion.tests.gates import START_S, Shared
from ingestion.work import Worker
from tests.chaos.judge import Judge

START = datetime.fromtimestamp(START_S, UTC)
TICK = timedelta(seconds=1)
Work = Callable[[Sequence[Claim]], object]


@dataclass
class Virtual:
    """One dispatcher that ticks every second and a worker that is always free in time."""

    judge: Judge
    client: redis.Redis
    at: datetime = START
    polls: int = 0
    gate: Shared = field(init=False)
    worker: Worker = field(init=False)
    _due: list[tuple[float, int, Claim, Work]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.gate = Shared(self.client)
        time = Time(lambda: self.at.timestamp(), self._sleep, random.random)
        equipment = Equipment(self.gate.gate, CurlTransport(allowed=["127.0.0.0/8"]), time)
        self.worker = Worker(equipment, lambda: self.at)
        self._next_tick = self.at
        self._show_clock()

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.at + timedelta(seconds=seconds)
        while self.at < end:
            slot = self._due[0][0] if self._due else float("inf")
            if slot <= self._next_tick.timestamp():
                self._move_to(datetime.fromtimestamp(slot, UTC))
                _, _, claim, work = heapq.heappop(self._due)
                self.polls += 1
                work([claim])
            else:
                self._move_to(self._next_tick)
                self._next_tick = self.at + TICK
                queues = Queues(self._later(self.worker.poll), self._later(self.worker.fill))
                dispatch(lambda: self.at, self.gate.gate, queues)

    def run_until(self, done: Callable[[], bool], most_s: float) -> None:
        """Let time pass, a few seconds at a time, until something is so."""
        end = self.at + timedelta(seconds=most_s)
        while not done():
            assert self.at < end, f"it never happened within {most_s:.0f} s"
            self.run(5)

    def _later(self, work: Work) -> Callable[[Sequence[Claim]], None]:
        """Each claim is carried out when its slot comes, as by a worker that is free then."""

        def queue(claims: Sequence[Claim]) -> None:
            for claim in claims:
                heapq.heappush(self._due, (claim.not_before, next(self._order), claim, work))

        return queue

    def _sleep(self, seconds: float) -> None:
        self._move_to(self.at + timedelta(seconds=seconds))

    def _move_to(self, at: datetime) -> None:
        if at > self.at:
            self.gate.advance((at - self.at).total_seconds())
            self.at = at
            self._show_clock()

    def _show_clock(self) -> None:
        self.judge.control("clock", "POST", {"at": self.at.timestamp(), "freeze": True})
