"""The real dispatcher, worker and pipeline against a real simulator, on a clock moved by hand."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from devices.jobs import work_on_jobs
from devices.models import (
    Community,
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Metric,
    ThingSpeakChannel,
)
from ingestion.dispatch import Dispatched, Queues, dispatch
from ingestion.models import Gap, PollState
from ingestion.polling import Equipment
from ingestion.resilience.gate import Gate, LocalGate
from ingestion.resilience.retry import Time
from ingestion.resilience.transport import CurlTransport, Transport
from ingestion.work import Worker
from simulator.testing import RunningSimulator

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TANK = 710001  # the demonstration's overhead tank: an entry every 11 s
TANK_FIELDS = ("field1", "field2", "field3")


@dataclass
class Stack:
    """Beat, worker and the provider, driven tick by tick."""

    simulator: RunningSimulator
    at: datetime = START
    go_on_s: float = 0.0
    """Time stands while a page is read: a worker that goes on would read all there is at once."""
    gate: LocalGate = field(init=False)
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.gate = LocalGate(clock=lambda: self.at.timestamp(), chance=lambda: 0.5)
        self.worker = self.worker_with(self.gate, CurlTransport(allowed=["127.0.0.0/8"]))
        self.show_clock()

    def worker_with(self, gate: Gate, transport: Transport) -> Worker:
        """A worker that lives on the stack's clock."""
        time = Time(lambda: self.at.timestamp(), self.advance, random.random)
        return Worker(Equipment(gate, transport, time), lambda: self.at, self.go_on_s)

    def show_clock(self) -> None:
        """The simulator lives at the same instant."""
        self.simulator.control("clock", "POST", {"at": self.at.timestamp(), "freeze": True})

    def advance(self, seconds: float) -> None:
        """Let time pass without anybody doing anything."""
        self.at += timedelta(seconds=seconds)
        self.show_clock()

    def tick(self) -> Dispatched:
        """One tick of the clock, and what it handed out carried out."""
        done = dispatch(lambda: self.at, self.gate, Queues(self.worker.poll, self.worker.fill))
        self.advance(1.0)
        return done

    def run(self, seconds: int) -> None:
        """Tick for so long; a worker that waits for its slot lets time pass too."""
        end = self.at + timedelta(seconds=seconds)
        while self.at < end:
            self.tick()

    def work(self) -> int:
        """Carry out the jobs that wait; a second passes with each look at the clock."""

        def clock() -> datetime:
            self.at += timedelta(seconds=1)
            return self.at

        steps = work_on_jobs(clock, timedelta(minutes=10))
        self.show_clock()
        return steps

    def read_everything(self, most: int = 500) -> None:
        """Tick until every source was polled and no gap is open."""
        for _ in range(most):
            self.tick()
            unread = Gap.objects.filter(state__in=["open", "filling"]).exists()
            if not unread and not PollState.objects.filter(last_polled_at=None).exists():
                return
        raise AssertionError(f"not everything was read after {most} ticks")


def connection(simulator: RunningSimulator, **changes: Any) -> Connection:
    """The simulator as an account, asked as often as a test likes."""
    values = {"base_url": simulator.url, "rate_limit": 6000, **changes}
    return Connection.objects.get_or_create(name="ThingSpeak", defaults=values)[0]


def device(name: str = "Tank", community: str = "Hill", **changes: Any) -> Device:
    place, _ = Community.objects.get_or_create(slug=community.lower(), defaults={"name": community})
    slug = changes.pop("type", "overhead-tank")
    # Tests with real commits empty the tables, seeded rows included.
    kind, _ = DeviceType.objects.get_or_create(slug=slug, defaults={"name": slug})
    return Device.objects.create(community=place, type=kind, name=name, **changes)


def channel(
    account: Connection,
    number: int = TANK,
    fields: tuple[str, ...] = TANK_FIELDS,
    of: Device | None = None,
    **changes: Any,
) -> ThingSpeakChannel:
    """A channel of a device, each field mapped to a number of the same name."""
    owner = of or device(f"Device {number}")
    source = ThingSpeakChannel.objects.create(
        device=owner, connection=account, channel_id=number, **changes
    )
    for position, name in enumerate(fields):
        metric = Metric.objects.create(device=owner, name=name, label=name, position=position)
        FieldMapping.objects.create(source=source, field=name, metric=metric)
    return source
