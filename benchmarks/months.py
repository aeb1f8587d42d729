"""What people and sources ask of today, on a site with five years of months beside a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import median

from django.db import transaction

from benchmarks.filled import devices, execute, timed
from benchmarks.report import Figure
from devices.models import Metric
from devices.readings.samples import AggregateRequest, Sample
from devices.readings.store import get_store, partitions
from devices.readings.store.partitions import Month
from devices.readings.store.tables import RECEIVED, ROWS, TEXTS

DEVICES, METRICS = 200, 5
NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)
YEARS = range(2021, 2026)
MINUTES = 20
RUNS = 200


def run() -> Iterator[Figure]:
    """Milliseconds of each question, before and after the months of five years were made."""
    found = devices(DEVICES, METRICS, NOW)
    get_store().roll_up(NOW - timedelta(days=1))  # as on any site that lives
    for minute in range(MINUTES):
        get_store().write([_sample(some, minute) for some in found])
    for name in ("readings_latestrow", "readings_slot", "devices_metric", ROWS.name):
        execute(f"VACUUM ANALYZE {name}")
    questions = _questions(found)
    new = {what: median(timed(ask, RUNS)) for what, ask in questions.items()}
    with transaction.atomic():
        for table in (ROWS, TEXTS, RECEIVED):
            months = {Month(year, month) for year in YEARS for month in range(1, 13)}
            partitions.ensure(table.name, months)
    for what, ask in questions.items():
        old = median(timed(ask, RUNS))
        yield Figure("months", f"{what}, with {12 * len(YEARS)} months more", old, new[what], "ms",
                     RUNS, at_least=0.7)  # fmt: skip


def _sample(metrics: list[Metric], minute: int, value: float = 2.5) -> Sample:
    values = {metric.pk: value for metric in metrics}
    return Sample(metrics[0].device_id, NOW + timedelta(minutes=minute), 1, values)


def _questions(found: list[list[Metric]]) -> dict[str, Callable[[], object]]:
    store, numbers = get_store(), count(1)
    keys = [metric.pk for some in found[:20] for metric in some]
    until = NOW + timedelta(minutes=MINUTES)
    request = AggregateRequest(keys[0], NOW, until, timedelta(minutes=1))
    return {
        "the last two rows of a device again": lambda: store.write(
            [_sample(found[0], MINUTES - 2), _sample(found[0], MINUTES - 1)]
        ),
        "a row corrected": lambda: store.write([_sample(found[1], 0, float(next(numbers)))]),
        "newest of 100 metrics": lambda: store.latest(keys),
        "a chart of 20 minutes": lambda: store.aggregate(request),
    }
