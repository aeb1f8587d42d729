"""Filling a year of one channel, at one entry a minute, beside the store's own bulk writing."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db import connection
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
from devices.readings.store import get_store
from ingestion.dispatch import Queues, dispatch
from ingestion.equipment import equipment
from ingestion.models import UNREAD, Gap, SourceDay
from ingestion.work import Worker

BATCH = 10_000
# Memory is measured from here on, half way: the caches of the process and the database are full.
WARM_PAGES = 33
MOST_GROWTH_MB = 16.0


def run() -> Iterator[Figure]:
    """Entries a second through the whole way of a page, and how much memory grows meanwhile."""
    newest = timezone.now().astimezone(UTC).replace(microsecond=0) - timedelta(seconds=5)
    with serving(newest) as url:
        filled, grown_mb = _fill(_channel("Filled", url))
    written = _write(_channel("Written", "http://127.0.0.1:1"), newest)
    engine = connection.vendor
    yield Figure("backfill", f"a year at one a minute, {engine}", filled, written, "entries/s",
                 1, more_is_better=True, at_least=0.5)  # fmt: skip
    yield Figure(
        "backfill", f"memory growth, {engine}", max(grown_mb, 0.1), MOST_GROWTH_MB, "MB", 1
    )


def _channel(name: str, url: str) -> ThingSpeakChannel:
    """A channel of three numbers, asked as often as the machine manages."""
    place = Community.objects.create(name=name, slug=name.lower())
    kind = DeviceType.objects.get(slug="overhead-tank")
    device = Device.objects.create(community=place, type=kind, name=name)
    account = Connection.objects.create(name=name, base_url=url, rate_limit=60_000)
    source = ThingSpeakChannel.objects.create(
        device=device, connection=account, channel_id=1, interval_s=86_400
    )
    for n in range(1, FIELDS + 1):
        metric = Metric.objects.create(device=device, name=f"m{n}", label=f"m{n}", position=n)
        FieldMapping.objects.create(source=source, field=f"field{n}", metric=metric)
    return source


def _fill(source: ThingSpeakChannel) -> tuple[float, float]:
    """Entries a second until nothing is missing, and by how many MB the process grew."""
    worker = Worker(equipment())
    queues = Queues(worker.poll, worker.fill)
    gate = worker.equipment.gate
    dispatch(timezone.now, gate, queues)  # the live poll, which finds the year to be missing
    pages, warm_kb = 0, 0
    started = time.perf_counter()
    while Gap.objects.filter(state__in=UNREAD).exists():
        pages += dispatch(timezone.now, gate, queues).pages
        if pages == WARM_PAGES:
            warm_kb = _peak_kb()
    taken = time.perf_counter() - started
    counted = sum(SourceDay.objects.filter(source=source).values_list("entries", flat=True))
    assert counted == ENTRIES, f"{counted} of {ENTRIES} entries were read"
    return ENTRIES / taken, (_peak_kb() - warm_kb) / 1024


def _write(source: ThingSpeakChannel, newest: datetime) -> float:
    """Entries a second of the store alone: the same samples and received entries, ready made."""
    metrics = [metric.pk for metric in source.device.metrics.order_by("position")]
    store, taken = get_store(), 0.0
    for last in range(ENTRIES, 0, -BATCH):
        samples, received = [], []
        for number in range(max(last - BATCH, 0) + 1, last + 1):
            at = newest - EVERY * (ENTRIES - number)
            texts = values(number)
            numbers = {metric: float(text) for metric, text in zip(metrics, texts, strict=True)}
            fields = {f"field{n}": text for n, text in enumerate(texts, 1)}
            samples.append(Sample(source.device_id, at, number, numbers, Origin.BACKFILL))
            received.append(Received(source.pk, source.device_id, at, number, fields))
        started = time.perf_counter()
        store.write(samples, received)
        taken += time.perf_counter() - started
    return ENTRIES / taken


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
