"""Channels on a virtual clock: the real dispatcher, gate and schedule, no network.

Only asking is played: a channel speaks at its cadence, a poll brings what it said since the cursor.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from devices.models import Connection, Device, ThingSpeakChannel
from ingestion.claims import Claim
from ingestion.dispatch import Dispatched, Queues, dispatch
from ingestion.enrolment import enrol
from ingestion.entries import Entry
from ingestion.gaps import LIVE_LIMIT
from ingestion.models import PollState
from ingestion.polling import Asked
from ingestion.resilience.classify import EFFECTS, Breaker, Kind, Outcome
from ingestion.resilience.gate import Budget, LocalGate, Verdict
from ingestion.rhythm import after_poll
from ingestion.rules import route_of
from ingestion.sources.base import Fetched

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TICK_S = 1.0
LATENCY_S = 0.2
"""An answer takes so long."""

REFUSED = {Verdict.OPEN: Kind.CIRCUIT_OPEN, Verdict.WAIT: Kind.BUDGET}
LEARNS = {Breaker.SUCCESS: True, Breaker.FAILURE: False, Breaker.NOTHING: None}


@dataclass
class Channel:
    """What one channel says: an entry every `period_s`, each up to `noise` of it early or late.

    Entries have whole seconds, as at ThingSpeak; some are left out, as they are in life.
    """

    period_s: float
    noise: float
    luck: random.Random
    next_at: float
    missing: float = 0.0
    """Share of the entries that never come."""
    said: list[float] = field(default_factory=list)

    def speak_until(self, now: float) -> None:
        while self.next_at <= now:
            if self.luck.random() >= self.missing:
                self.said.append(float(int(self.next_at)))
            self.next_at += self.period_s * (1 + self.noise * self.luck.uniform(-1, 1))

    def entries_after(self, cursor: float) -> list[float]:
        fresh = [at for at in reversed(self.said[-LIVE_LIMIT * 3 :]) if at > cursor]
        return fresh[::-1]


@dataclass
class Polls:
    """What became of one source."""

    asked_at: list[float] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)
    """Of each reading, when it was stored."""
    lost: int = 0
    """Readings that no live answer could reach back to: left to backfill."""


@dataclass
class VirtualFleet:
    """Channels of one account, its dispatcher and its workers."""

    account: Connection
    seed: int = 1
    missing: float = 0.0
    now: float = START.timestamp()
    channels: dict[int, Channel] = field(default_factory=dict)
    polls: dict[int, Polls] = field(default_factory=lambda: defaultdict(Polls))
    sent: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.luck = random.Random(self.seed)
        self.gate = LocalGate(clock=lambda: self.now, chance=self.luck.random)
        self.states: dict[int, PollState] = {}
        self.waiting: list[tuple[float, int, Claim]] = []
        self.under_way: set[int] = set()

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def add(self, device: Device, period_s: int, noise: float, **source: Any) -> int:
        """Add a channel that speaks as often as it is asked; returns the key of its source."""
        row = ThingSpeakChannel.objects.create(
            device=device,
            connection=self.account,
            channel_id=len(self.channels) + 1,
            interval_s=period_s,
            **source,
        )
        start = self.now + self.luck.uniform(-period_s, 0)
        self.channels[row.pk] = Channel(float(period_s), noise, self.luck, start, self.missing)
        return row.pk

    def enrol(self) -> None:
        """Everybody's poll state, kept here as well, so that no tick has to read it."""
        enrol(self.at)
        rows = PollState.objects.select_related("source__device__type")
        self.states = {state.pk: state for state in rows}

    def run(self, seconds: float, every_s: float = TICK_S) -> None:
        """Tick every so often; what was handed out is asked at its slot."""
        end = self.now + seconds
        while self.now < end:
            tick = self.now
            self.tick()
            self._ask_until(tick + every_s)
            self.now = tick + every_s

    def forget(self) -> None:
        """What was measured so far."""
        self.polls.clear()
        self.sent.clear()

    def tick(self) -> Dispatched:
        return dispatch(lambda: self.at, self.gate, Queues(self._take, lambda claims: None))

    def _take(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            if claim.pk in self.under_way:
                raise RuntimeError(f"source {claim.pk} is polled twice at once")
            self.under_way.add(claim.pk)
            heapq.heappush(self.waiting, (claim.not_before, claim.pk, claim))

    def _ask_until(self, end: float) -> None:
        with transaction.atomic():
            while self.waiting and self.waiting[0][0] < end:
                slot, _, claim = heapq.heappop(self.waiting)
                self.now = max(self.now, slot)
                self._poll(claim)
                self.under_way.discard(claim.pk)

    def _poll(self, claim: Claim) -> None:
        state = self.states[claim.pk]
        kind, fresh = self._ask(state)
        newest = datetime.fromtimestamp(fresh[-1], UTC) if fresh else None
        outcome = EFFECTS[kind].outcome
        fetched = None
        if outcome in (Outcome.OK, Outcome.EMPTY):
            entries = tuple(Entry(datetime.fromtimestamp(at, UTC), 0, {}) for at in fresh)
            fetched = Fetched(entries=entries, refusals=(), facts=None, full=False)
        asked = Asked(kind, outcome, "", fetched)
        done_at = datetime.fromtimestamp(self.now + LATENCY_S, UTC)
        changes = after_poll(state, asked, newest, done_at)
        failed = outcome in (Outcome.UPSTREAM_ERROR, Outcome.SOURCE_ERROR)
        changes["failures"] = 0 if fetched else state.failures + (1 if failed else 0)
        if newest is not None:
            changes["cursor_at"] = newest
        for name, value in changes.items():
            setattr(state, name, value)
        held = PollState.objects.filter(pk=claim.pk, claim_token=claim.token)
        if held.update(**changes) != 1:
            raise RuntimeError(f"source {claim.pk} lost its lease")

    def _ask(self, state: PollState) -> tuple[Kind, list[float]]:
        route = route_of(self.account)
        booked = Budget(route.group, route.rate, reserved=True)
        passage = self.gate.enter(route.host, route.breaker, booked, route.retry)
        if not passage.open:
            return REFUSED[passage.verdict], []
        self.sent.append(self.now)
        polls, channel = self.polls[state.pk], self.channels[state.pk]
        polls.asked_at.append(self.now)
        channel.speak_until(self.now)
        fresh = channel.entries_after(state.cursor_at.timestamp() if state.cursor_at else 0.0)
        stored_at = self.now + LATENCY_S
        polls.lost += max(0, len(fresh) - LIVE_LIMIT)
        fresh = fresh[-LIVE_LIMIT:]
        if state.cursor_at is not None:  # the first answer is history
            polls.ages_s += [stored_at - at for at in fresh]
        self.gate.record(route.host, route.breaker, True, passage)
        return (Kind.OK if fresh else Kind.EMPTY), fresh
