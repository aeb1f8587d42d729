"""A complete poll beside a bare aiohttp loop: claim, gate, GET, parse, normalise, store, release.

Processor seconds of the client process (`getrusage`), which is what a core can do: provider and
PostgreSQL are processes of their own. Rounds alternate, medians count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from django.conf import settings
from django.utils import timezone

from benchmarks.bare import bare_s, cpu_s
from benchmarks.provider import HISTORIES, provider
from benchmarks.report import Figure
from devices.models import (
    Community,
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Metric,
    ThingSpeakChannel,
)
from devices.readings.store import get_store
from ingestion.dispatch import Queues, dispatch
from ingestion.equipment import batch_equipment
from ingestion.models import PollLog, PollState
from ingestion.polling import Equipment
from ingestion.resilience.transport import CurlTransport, RequestsTransport, Transport
from ingestion.work import Worker

CHANNELS = 400
FIELDS = 3
ROUNDS = 5
# A budget that never binds: measured is what a poll costs, not how politely we ask.
RATE_LIMIT = 60_000_000
LOOPBACK = ["127.0.0.0/8"]


class NotPolled(Exception):
    """A poll failed, so the figure would be that of something else."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a poll took, in seconds: of the processor, and of the wall clock."""

    cpu_s: float
    wall_s: float


def run() -> Iterator[Figure]:
    """Complete polls per second and core, with each transport."""
    with provider() as url:
        build(url)
        transports: dict[str, Transport] = {
            "libcurl": CurlTransport(LOOPBACK),
            "requests": RequestsTransport(LOOPBACK),
        }
        for _ in range(HISTORIES):
            poll_all(worker_with(transports["libcurl"]))
        get_store().roll_up(timezone.now() - timedelta(days=1))  # as on any site that lives
        bare: list[float] = []
        ours: dict[str, list[Cost]] = {name: [] for name in transports}
        for _ in range(ROUNDS + 1):
            bare.append(bare_s(url, 4 * CHANNELS))
            for name, transport in transports.items():
                ours[name].append(measured(worker_with(transport)))
    limit = 1 / median(bare[1:])
    for name, at_least in (("libcurl", 0.5), ("requests", 0.2)):
        costs = ours[name][1:]
        wall = 1 / median(one.wall_s for one in costs)
        what = (
            f"complete polls by {name}, batches of {settings.POLL_BATCH}, beside a bare aiohttp "
            f"loop (wall: {wall:.0f}/s)"
        )
        rate = 1 / median(one.cpu_s for one in costs)
        yield Figure("poll", what, rate, limit, "polls/s/core", ROUNDS, True, at_least)


def build(url: str) -> None:
    """Devices with a channel and three mapped fields each, of one account."""
    account = Connection.objects.create(
        name="Provider", base_url=url, rate_limit=RATE_LIMIT, rate_window_s=60
    )
    place = Community.objects.create(name="Bench", slug="bench")
    kind = DeviceType.objects.get(slug="overhead-tank")
    for number in range(1, CHANNELS + 1):
        device = Device.objects.create(community=place, type=kind, name=f"Tank {number}")
        source = ThingSpeakChannel.objects.create(
            device=device, connection=account, channel_id=number, history_from=timezone.now()
        )
        for field in range(1, FIELDS + 1):
            metric = Metric.objects.create(device=device, name=f"m{field}", label=f"M{field}")
            FieldMapping.objects.create(source=source, field=f"field{field}", metric=metric)


def worker_with(transport: Transport) -> Worker:
    """A worker with the site's gate and the given transport."""
    return Worker(Equipment(batch_equipment().gate, transport))


def poll_all(worker: Worker) -> None:
    """Have every source polled once, from the claim on."""
    PollState.objects.update(next_poll_at=timezone.now())
    dispatch(timezone.now, worker.equipment.gate, Queues(worker.poll, lambda _: None))


def measured(worker: Worker) -> Cost:
    """What one poll cost when every source was polled once."""
    before = PollLog.objects.filter(outcome="ok", readings=FIELDS).count()
    cpu, wall = cpu_s(), time.perf_counter()
    poll_all(worker)
    cost = Cost((cpu_s() - cpu) / CHANNELS, (time.perf_counter() - wall) / CHANNELS)
    if PollLog.objects.filter(outcome="ok", readings=FIELDS).count() - before != CHANNELS:
        raise NotPolled("Not every poll brought its readings: the figure would say nothing.")
    return cost
