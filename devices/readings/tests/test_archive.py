"""What was archived before it was dropped is read as if it were still there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from devices.models import DataType, Device, Metric
from devices.readings.keeping import Cut, Dropped
from devices.readings.models import ArchivedFile, Row, TextValue
from devices.readings.paging import all_readings
from devices.readings.samples import (
    AggregateRequest,
    Buckets,
    HistoriesRequest,
    HistoryRequest,
    IntegralRequest,
    Origin,
    PercentileRequest,
    Sample,
    Tier,
    Value,
)
from devices.readings.store import ReadingStore
from devices.readings.tests.network import device, metrics

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
NOW = datetime(2026, 5, 20, 7, 30, tzinfo=UTC)
MONTHS_KEPT = datetime(2026, 4, 3, tzinfo=UTC)
"""With two days more: everything before April goes."""


@pytest.fixture(autouse=True)
def archive(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """An archive of the test's own; the clock stands after everything that is written here."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    with time_machine.travel(NOW, tick=False):
        yield settings.ARCHIVE_DIR


def drop(store: ReadingStore, readings: datetime, hours: datetime | None = None) -> Dropped:
    """Archive and drop what every device has of earlier times."""
    devices = Device.objects.values_list("pk", flat=True)
    return store.drop(dict.fromkeys(devices, Cut(readings, hours, archive=True)))


def told(buckets: Buckets) -> list[tuple[Any, ...]]:
    """What statistics say, whatever tier they are from; sums but for the last digits."""
    return [
        (
            one.start,
            one.count,
            one.minimum,
            one.maximum,
            pytest.approx(one.sum, rel=1e-9, abs=1e-6),
            pytest.approx(one.sum_of_squares, rel=1e-9, abs=1e-6),
            (one.first, one.first_at),
            (one.last, one.last_at),
        )
        for one in buckets.buckets
    ]


def answers(
    store: ReadingStore, metric: Metric, since: datetime, until: datetime
) -> dict[str, Any]:
    """Everything that can be asked of single readings of a range."""
    key = metric.pk
    history = HistoryRequest(key, since, until, limit=7)
    after = store.history(history)[-1:]
    found: dict[str, Any] = {
        "all": list(all_readings(key, since, until)),
        "first": store.history(history),
        "newest": store.history(HistoryRequest(key, since, until, limit=7, newest_first=True)),
        "next": [
            store.history(HistoryRequest(key, since, until, 5, newest, (one.at, one.sequence)))
            for one in after
            for newest in (False, True)
        ],
        "lines": store.histories(HistoriesRequest([key], since, until))[key],
        "count": [store.survey(key, since, until, most).readings for most in (0, 3, 10_000)],
        "completeness": None
        if metric.data_type == "text"
        else store.completeness(key, since, until),
    }
    if metric.data_type == DataType.TEXT:
        return found
    for width in (timedelta(minutes=10), timedelta(hours=6), timedelta(days=3), Tier.DAY,
                  Tier.MONTH, None):  # fmt: skip
        wanted = (key, since, until, width)
        if width != timedelta(minutes=10) or until - since < timedelta(days=100):
            found[f"buckets of {width}"] = told(store.aggregate(AggregateRequest(*wanted)))
        found[f"percentiles of {width}"] = store.percentiles(
            PercentileRequest(*wanted, percents=[0.5, 50, 99.9, 100])
        ) if width != timedelta(minutes=10) else None  # fmt: skip
        found[f"integrals of {width}"] = [
            (one.start, pytest.approx(one.area), pytest.approx(one.change), one.known_s)
            for one in store.integrate(
                IntegralRequest(*wanted, bridge=timedelta(days=3))
            ).buckets
        ] if width != timedelta(minutes=10) else None  # fmt: skip
    return found


def network(store: ReadingStore, zone: str = "Asia/Kolkata") -> tuple[Device, list[Metric]]:
    """A device with a metric of every type, and another device beside it."""
    owner = device(zone)
    kinds = [DataType.FLOAT, DataType.INTEGER, DataType.BOOLEAN, DataType.TEXT]
    found = [metrics(owner, 1, kind)[0] for kind in kinds]
    (other,) = metrics(device(), 1)
    store.write([Sample(other.device_id, JANUARY, 1, {other.pk: 1.5})])
    return owner, found


def fill(store: ReadingStore, owner: Device, found: list[Metric]) -> None:
    """Four and a half months, every seven hours and a bit, now and then two at once."""
    level, count, pump, mode = (one.pk for one in found)
    samples = []
    for n in range(450):
        at = JANUARY + timedelta(hours=7.3 * n, milliseconds=n)
        values: dict[int, Value] = {level: n / 7, count: n % 5, pump: n % 3 == 0}
        if n % 4 == 0:
            values[mode] = f"mode {n % 3} “°”"
        samples.append(Sample(owner.pk, at, n, values, Origin.BACKFILL if n % 2 else Origin.LIVE))
        if n % 10 == 0:
            samples.append(Sample(owner.pk, at, n + 10_000, {level: -n / 3}))
    store.write(samples)
    store.write([Sample(owner.pk, samples[5].at, samples[5].sequence, {level: 99.25})])  # revised
    store.roll_up(NOW)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hours", [None, datetime(2026, 2, 10, tzinfo=UTC), MONTHS_KEPT])
def test_every_answer_is_the_same_as_before(store: ReadingStore, hours: datetime | None) -> None:
    owner, found = network(store)
    fill(store, owner, found)
    ranges = [
        (JANUARY - timedelta(days=3), NOW),
        (datetime(2026, 1, 20, 3, 17, tzinfo=UTC), datetime(2026, 2, 3, 4, 5, tzinfo=UTC)),
        (APRIL - timedelta(days=9, minutes=13), APRIL + timedelta(days=9, minutes=3)),
        (APRIL, NOW),
        (JANUARY, APRIL),
    ]
    before = [answers(store, one, *bounds) for one in found for bounds in ranges]
    latest = store.latest([one.pk for one in found])
    held = store.held(Metric.objects.values_list("pk", flat=True), JANUARY, APRIL)
    rows = Row.objects.count() + TextValue.objects.count()

    dropped = drop(store, MONTHS_KEPT, hours)

    assert dropped.trouble is None
    assert dropped.archived == held
    assert Row.objects.filter(at__lt=APRIL).count() == 0
    assert TextValue.objects.filter(at__lt=APRIL).count() == 0
    assert 0 < Row.objects.count() + TextValue.objects.count() < rows
    after = [answers(store, one, *bounds) for one in found for bounds in ranges]
    for old, new in zip(before, after, strict=True):
        for name, answer in old.items():
            assert new[name] == answer, name
    assert store.latest([one.pk for one in found]) == latest
    assert sorted(ArchivedFile.objects.values_list("month", flat=True)) == [
        JANUARY, datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC),
    ]  # fmt: skip
