"""Devices whose readings go into the archive, and everything that can be asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devices.models import DataType, Device, Metric
from devices.readings.keeping import Cut, Dropped
from devices.readings.paging import all_readings
from devices.readings.samples import (
    AggregateRequest,
    Buckets,
    HistoriesRequest,
    HistoryRequest,
    IntegralRequest,
    Integrals,
    Origin,
    PercentileRequest,
    Sample,
    Tier,
    Value,
)
from devices.readings.store import ReadingStore
from devices.readings.tests.network import device, metrics

JANUARY, FEBRUARY, MARCH, APRIL = (datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 5))
NOW = datetime(2026, 5, 20, 7, 30, tzinfo=UTC)
CUT = APRIL + timedelta(days=2)
"""With the two days that are always kept longer: everything before April goes."""
WIDTHS = (timedelta(hours=6), timedelta(days=3), Tier.DAY, Tier.MONTH, None)


def drop(store: ReadingStore, before: datetime = CUT, hours: datetime | None = None) -> Dropped:
    """Archive and drop what every device has of earlier times."""
    return store.drop(
        {
            key: Cut(before, hours, archive=True)
            for key in Device.objects.values_list("pk", flat=True)
        }
    )


def network(zone: str = "Asia/Kolkata") -> list[Metric]:
    """The metrics of a device: one of every type."""
    owner = device(zone)
    kinds = (DataType.FLOAT, DataType.INTEGER, DataType.BOOLEAN, DataType.TEXT)
    return [metrics(owner, 1, kind)[0] for kind in kinds]


def fill(store: ReadingStore, found: Sequence[Metric]) -> None:
    """Four and a half months, every seven hours and a bit; at times two at once; one revised."""
    level, count, pump, mode = (one.pk for one in found)
    owner = found[0].device_id
    samples = []
    for n in range(450):
        at = JANUARY + timedelta(hours=7.3 * n, milliseconds=n)
        values: dict[int, Value] = {level: n / 7, count: n % 5, pump: n % 3 == 0}
        if n % 4 == 0:
            values[mode] = f"mode {n % 3} “°”"
        samples.append(Sample(owner, at, n, values, Origin.BACKFILL if n % 2 else Origin.LIVE))
        if n % 10 == 0:
            samples.append(Sample(owner, at, n + 10_000, {level: -n / 3}))
    store.write(samples)
    store.write([Sample(owner, samples[5].at, samples[5].sequence, {level: 99.25})])
    store.roll_up(NOW)


def answers(store: ReadingStore, metric: Metric, since: datetime, until: datetime) -> Any:
    """Everything that can be asked of a metric's readings in a range, by what was asked."""
    key = metric.pk
    page = store.history(HistoryRequest(key, since, until, limit=7))
    line = store.histories(HistoriesRequest([key], since, until))[key]
    found: dict[str, Any] = {
        "all": list(all_readings(key, since, until)),
        "newest": store.history(HistoryRequest(key, since, until, limit=7, newest_first=True)),
        "pages": [
            store.history(HistoryRequest(key, since, until, 5, newest, (one.at, one.sequence)))
            for one in page[-1:]
            for newest in (False, True)
        ],
        "line": [*zip(line.at, line.values, strict=True)],
        "counts": [store.count(key, since, until, most) for most in (0, 3, 10_000)],
    }
    if metric.data_type != DataType.TEXT:
        found["days"] = store.completeness(key, since, until)
        fine = [timedelta(minutes=30)] if until - since < timedelta(days=70) else []
        for width in (*fine, *WIDTHS):
            found[f"buckets of {width}"] = statistics(store, key, since, until, width)
    return found


def statistics(
    store: ReadingStore, metric: int, since: datetime, until: datetime, width: Any
) -> Any:
    """Buckets, percentiles and integrals; sums but for their last digits."""
    wanted = (metric, since, until, width)
    day = timedelta(days=1)
    return (
        told(store.aggregate(AggregateRequest(*wanted))),
        store.percentiles(PercentileRequest(*wanted, percents=[0.5, 50, 99.9, 100])),
        lines(store.integrate(IntegralRequest(*wanted, bridge=day))),
    )


def told(buckets: Buckets) -> list[Any]:
    """What statistics say, whatever tier they are from."""
    return [
        (one.start, one.count, one.minimum, one.maximum, one.first, one.first_at, one.last,
         one.last_at, near(one.sum), near(one.sum_of_squares))
        for one in buckets.buckets
    ]  # fmt: skip


def lines(integrals: Integrals) -> list[Any]:
    """What integrals say, whatever tier they are from."""
    return [
        (one.start, near(one.known_s), near(one.area), near(one.change))
        for one in integrals.buckets
    ]


def near(number: float) -> Any:
    """Sums depend on the order of what is added, in their last digits."""
    return pytest.approx(number, rel=1e-9, abs=1e-6)
