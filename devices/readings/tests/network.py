"""Devices to test with, a plain-Python model of the store, and what the tiers must hold."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from devices.models import (
    Community,
    Connection,
    DataType,
    Device,
    DeviceType,
    Metric,
    ThingSpeakChannel,
)
from devices.readings.instants import EPOCH, HOUR
from devices.readings.keeping import Cut, Dropped
from devices.readings.periods import day_span, month_span
from devices.readings.samples import (
    AggregateRequest,
    Bucket,
    Sample,
    Tier,
    Value,
)
from devices.readings.store import ReadingStore, store_at
from devices.readings.store.clickhouse import Server
from devices.readings.store.clickhouse.schema import COLUMNS
from devices.readings.store.summary import STATISTICS, TIER_TABLES

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)
_numbers = count(1)
Identity = tuple[datetime, int]
Values = dict[int, dict[Identity, Value]]
"""What the store must hold, by metric and identity."""


def device(zone: str = "UTC") -> Device:
    """A new device in a community of its own."""
    number = next(_numbers)
    community = Community.objects.create(name=f"Village {number}", slug=f"v{number}", zone=zone)
    kind, _ = DeviceType.objects.get_or_create(name="Probe", slug="probe")
    return Device.objects.create(community=community, type=kind, name="Tank")


def metrics(owner: Device, how_many: int, data_type: str = DataType.FLOAT) -> list[Metric]:
    """New metrics of a device."""
    return [
        Metric.objects.create(
            device=owner, name=f"m{next(_numbers)}", label="Level", unit="cm", data_type=data_type
        )
        for _ in range(how_many)
    ]


def minutes(start: datetime, number: int) -> datetime:
    """So many minutes later."""
    return start + timedelta(minutes=number)


@contextmanager
def undone() -> Iterator[None]:
    """One example of a property test: what it writes is gone afterwards."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    empty_rows()


def in_the_database() -> bool:
    """Whether readings are kept beside all else, so that they are of the same transactions."""
    return settings.READINGS_ADDRESS is None


def examples(number: int) -> int:
    """So many examples of a property test; a quarter where each costs a server many statements."""
    return number if in_the_database() else number // 4


def empty_rows() -> None:
    """Empty the big tables where they are not of the transaction that a test undoes."""
    if settings.READINGS_ADDRESS is not None:
        server = Server.of(settings.READINGS_ADDRESS)
        for table in COLUMNS:
            server.run(f"TRUNCATE TABLE {table}")


def remember(values: Values, samples: Iterable[Sample]) -> None:
    """Do to the model what writing the samples must do to the store."""
    for sample in samples:
        for metric, value in sample.values.items():
            values.setdefault(metric, {})[sample.at, sample.sequence] = value


def span_start(tier: Tier, at: datetime, zone: ZoneInfo) -> datetime:
    """The beginning of the bucket that holds an instant."""
    if tier is Tier.HOUR:
        return at - (at - EPOCH) % HOUR
    return (day_span if tier is Tier.DAY else month_span)(at, zone).bucket


def recomputed(values: dict[Identity, Value], tier: Tier, zone: ZoneInfo) -> list[Bucket]:
    """The buckets of a tier, computed from all readings, the slow and obvious way."""
    groups: dict[datetime, list[tuple[Identity, float]]] = defaultdict(list)
    for identity in sorted(values):
        groups[span_start(tier, identity[0], zone)].append((identity, float(values[identity])))
    buckets = []
    for start in sorted(groups):
        numbers = [number for _, number in groups[start]]
        buckets.append(
            Bucket(
                start=start,
                count=len(numbers),
                minimum=min(numbers),
                maximum=max(numbers),
                sum=math.fsum(numbers),
                sum_of_squares=math.fsum(number**2 for number in numbers),
                first=numbers[0],
                last=numbers[-1],
                first_at=groups[start][0][0][0],
                last_at=groups[start][-1][0][0],
            )
        )
    return buckets


def asked(
    store: ReadingStore, metric: int, tier: Tier, zone: str, values: dict[Identity, Value]
) -> list[Bucket]:
    """What a reader gets for whole buckets around all the values."""
    instants = [at for at, _ in values] or [START]
    width = HOUR if tier is Tier.HOUR else tier
    since = span_start(tier, min(instants), ZoneInfo(zone))
    until = span_start(tier, max(instants) + timedelta(days=32), ZoneInfo(zone))
    if tier is Tier.HOUR:
        until = max(instants) + HOUR
    return list(store.aggregate(AggregateRequest(metric, since, until, width)).buckets)


def tier_of(tier: Tier, metric: int) -> list[Bucket]:
    """What the tier's own table holds of a metric."""
    engine = store_at(settings.READINGS_ADDRESS).engine
    rows = engine.read(
        f"SELECT bucket, {STATISTICS} FROM {engine.source(TIER_TABLES[tier])} "
        "WHERE metric_id = %s ORDER BY bucket",
        [metric],
    )
    buckets = []
    for start, *facts, first_at, last_at in rows:
        values: list[Any] = [start, *facts, first_at, last_at]
        values[0], values[-2:] = engine.moment(start), map(engine.moment, (first_at, last_at))
        buckets.append(Bucket(*values))
    return buckets


def source() -> ThingSpeakChannel:
    account = Connection.objects.create(name="Account")
    return ThingSpeakChannel.objects.create(device=device(), connection=account, channel_id=9)


def drop_before(store: ReadingStore, before: datetime) -> Dropped:
    """Drop the readings of every device that are older."""
    return store.drop(dict.fromkeys(Device.objects.values_list("pk", flat=True), Cut(before)))
