"""Filling a year of one channel, at one entry a minute, beside the store's own bulk writing.

Two months at a time, as «backfill this range» asks for them. Filling and writing take turns, so
that a machine that is busy for a while is so for both.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from benchmarks.report import Figure
from benchmarks.year import ENTRIES, EVERY, FIELDS, serving, values
from devices.models import (
    Community,
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Metric,
    ThingSpeakChannel,
)
from devices.readings.samples import Origin, Received, Sample
from devices.readings.store import ReadingStore, get_store
from ingestion.dispatch import Queues, dispatch
from ingestion.equipment import batch_equipment
from ingestion.gaps.backfill import request_backfill
from ingestion.models import UNREAD, Gap, SourceDay
from ingestion.work import Worker

BATCH = 10_000
ROUNDS = 6
PART = ENTRIES // ROUNDS
MOST_GROWTH_MB = 16.0


def run() -> Iterator[Figure]:
    """Entries a second through the whole way of a page, and how much memory grows meanwhile."""
    ratios, peaks, writing_s = [], [], 0.0
    newest = timezone.now().astimezone(UTC).replace(microsecond=0) - timedelta(seconds=5)
    # An engine begins as the last batch taught it, and pages teach other things than news alone.
    alone = _Alone(_channel("Written", newest), deepcopy(get_store()))
    _make_months(_Alone(_channel("Before", newest), get_store()), newest)
    with serving(newest) as url:
        filling = _Filling(_channel("Filled", newest, url))
        for begin in range(0, ENTRIES, PART):
            taken = filling.fill(newest, begin, begin + PART)
            peaks.append(_peak_mb())
            write_s = alone.write(newest, begin, begin + PART)
            writing_s += write_s
            ratios.append(write_s / taken)
    engine, rate = connection.vendor, ENTRIES / writing_s
    yield Figure("backfill", f"a year at one a minute, {engine}", median(ratios) * rate, rate,
                 "entries/s", len(ratios), more_is_better=True, at_least=0.5)  # fmt: skip
    # From half way on: by then the caches of the process and of the database are full.
    grown_mb = max(peaks[-1] - peaks[len(peaks) // 2], 0.1)
    yield Figure("backfill", f"memory growth, {engine}", grown_mb, MOST_GROWTH_MB, "MB", 1)


def _channel(name: str, newest: datetime, url: str = "") -> ThingSpeakChannel:
    """A channel of three numbers, asked as often as the machine manages; not without an address.

    Nothing before its newest entry is wanted until somebody asks for it.
    """
    place = Community.objects.create(name=name, slug=name.lower())
    kind = DeviceType.objects.get(slug="overhead-tank")
    device = Device.objects.create(community=place, type=kind, name=name)
    account = Connection.objects.create(
        name=name, base_url=url or "http://127.0.0.1:1", rate_limit=60_000, enabled=bool(url)
    )
    source = ThingSpeakChannel.objects.create(
        device=device, connection=account, channel_id=1, interval_s=86_400, history_from=newest
    )
    for n in range(1, FIELDS + 1):
        metric = Metric.objects.create(device=device, name=f"m{n}", label=f"m{n}", position=n)
        FieldMapping.objects.create(source=source, field=f"field{n}", metric=metric)
    return source


def _make_months(alone: _Alone, newest: datetime) -> None:
    """Have an entry in every month of the year: whoever wrote the first one would pay for it."""
    for back in range(0, ENTRIES, BATCH):
        alone.write(newest, back, back + 1)


class _Filling:
    """The real dispatcher and worker, driven without a pause until nothing is missing."""

    def __init__(self, source: ThingSpeakChannel) -> None:
        self.source = source
        self.worker = Worker(batch_equipment())
        self._tick()  # the live poll

    def fill(self, newest: datetime, begin: int, end: int) -> float:
        """Fill the entries from `begin` to `end`, counted from the newest; seconds taken."""
        since, until = newest - EVERY * (end - 1), newest - EVERY * begin
        request_backfill(self.source, since, until, timezone.now())
        started = time.perf_counter()
        while Gap.objects.filter(state__in=UNREAD).exists():
            self._tick()
        taken = time.perf_counter() - started
        days = SourceDay.objects.filter(source=self.source)
        read = days.aggregate(read=Sum("entries", default=0))["read"]
        assert read == end, f"{read} of {end} entries were read"
        return taken

    def _tick(self) -> None:
        queues = Queues(self.worker.poll, self.worker.fill)
        dispatch(timezone.now, self.worker.equipment.gate, queues)


@dataclass(frozen=True, slots=True)
class _Alone:
    """The store alone: the same samples and received entries, ready made, of another channel."""

    source: ThingSpeakChannel
    store: ReadingStore

    def write(self, newest: datetime, begin: int, end: int) -> float:
        """Seconds for the entries from `begin` to `end`, counted from the newest."""
        source, taken = self.source, 0.0
        metrics = [metric.pk for metric in source.device.metrics.order_by("position")]
        for start in range(begin, end, BATCH):
            samples, received = [], []
            for back in range(start, min(start + BATCH, end)):
                at, number = newest - EVERY * back, ENTRIES - back
                texts = values(number)
                numbers = {metric: float(text) for metric, text in zip(metrics, texts, strict=True)}
                fields = {f"field{n}": text for n, text in enumerate(texts, 1)}
                samples.append(Sample(source.device_id, at, number, numbers, Origin.BACKFILL))
                received.append(Received(source.pk, source.device_id, at, number, fields))
            started = time.perf_counter()
            self.store.write(samples, received)
            taken += time.perf_counter() - started
        return taken


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
