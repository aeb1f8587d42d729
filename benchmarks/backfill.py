"""Filling a year of one channel, at one entry a minute, beside the store's own bulk writing."""

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
from ingestion.models import UNREAD, Gap, SourceDay
from ingestion.work import Worker

BATCH = 10_000
# Filling and writing take turns, so that a machine that is busy for a while is so for both.
ROUNDS = 6
MOST_GROWTH_MB = 16.0


def run() -> Iterator[Figure]:
    """Entries a second through the whole way of a page, and how much memory grows meanwhile."""
    newest = timezone.now().astimezone(UTC).replace(microsecond=0) - timedelta(seconds=5)
    ratios, peaks, writing_s, written = [], [], 0.0, 0
    # An engine begins as the last batch taught it, and pages teach other things than news alone.
    alone = _Alone(_channel("Written"), deepcopy(get_store()))
    _make_months(_Alone(_channel("Before"), get_store()), newest)
    with serving(newest) as url:
        filling = _Filling(_channel("Filled", url))
        while written < ENTRIES:
            taken = filling.carry_on(ENTRIES // ROUNDS)
            peaks.append(_peak_mb())
            begin, written = written, filling.read()
            assert written > begin, f"only {written} of {ENTRIES} entries were read"
            write_s = alone.write(newest, begin, written)
            writing_s += write_s
            ratios.append(write_s / taken)
    engine, rate = connection.vendor, ENTRIES / writing_s
    yield Figure("backfill", f"a year at one a minute, {engine}", median(ratios) * rate, rate,
                 "entries/s", len(ratios), more_is_better=True, at_least=0.5)  # fmt: skip
    # From half way on: by then the caches of the process and of the database are full.
    grown_mb = max(peaks[-1] - peaks[len(peaks) // 2], 0.1)
    yield Figure("backfill", f"memory growth, {engine}", grown_mb, MOST_GROWTH_MB, "MB", 1)


def _channel(name: str, url: str = "") -> ThingSpeakChannel:
    """A channel of three numbers, asked as often as the machine manages; not without an address."""
    place = Community.objects.create(name=name, slug=name.lower())
    kind = DeviceType.objects.get(slug="overhead-tank")
    device = Device.objects.create(community=place, type=kind, name=name)
    account = Connection.objects.create(
        name=name, base_url=url or "http://127.0.0.1:1", rate_limit=60_000, enabled=bool(url)
    )
    source = ThingSpeakChannel.objects.create(
        device=device, connection=account, channel_id=1, interval_s=86_400
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
        self._tick()  # the live poll, which finds the year to be missing

    def carry_on(self, least: int) -> float:
        """Fill so many entries at least, or the rest; seconds taken."""
        before, started = self.read(), time.perf_counter()
        while Gap.objects.filter(state__in=UNREAD).exists() and self.read() - before < least:
            self._tick()
        return time.perf_counter() - started

    def read(self) -> int:
        """How many entries were read, each counted once."""
        days = SourceDay.objects.filter(source=self.source)
        return int(days.aggregate(read=Sum("entries", default=0))["read"])

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
