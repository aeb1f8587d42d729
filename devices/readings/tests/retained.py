"""Devices that said something every day for months, and rules about how long that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

from devices.models import Metric, Source
from devices.readings.models import RetentionRule
from devices.readings.samples import (
    HistoryRequest,
    ReceivedRequest,
    Sample,
)
from devices.readings.store import ReadingStore
from devices.readings.tests.network import (
    device,
    metrics,
)

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 150  # to the end of May
NOW = JANUARY + timedelta(days=DAYS)


@contextmanager
def afterwards() -> Iterator[None]:
    """The clock stands after everything that is written here."""
    with time_machine.travel(NOW, tick=False):
        yield


def daily(metric: int, owner: int, said: str | None = None) -> list[Sample]:
    return [
        Sample(owner, JANUARY + timedelta(days=day, hours=5), day, {metric: said or float(day)})
        for day in range(DAYS)
    ]


def rule(readings: int | None, hours: int | None = None, **of: Any) -> RetentionRule:
    """A rule that has long been in force; of the whole site unless it names somebody."""
    RetentionRule.objects.filter(**({"community": None, "type": None} | of)).delete()
    made = RetentionRule.objects.create(readings_days=readings, hours_days=hours, **of)
    RetentionRule.objects.update(changed_at=JANUARY)
    return made


def held(store: ReadingStore, metric: Metric) -> list[datetime]:
    request = HistoryRequest(metric.pk, JANUARY, NOW)
    return [one.at for one in store.history(request)]


def spoken(store: ReadingStore, zone: str = "Asia/Kolkata") -> Metric:
    """A metric that said something every day, all of it rolled up."""
    (level,) = metrics(device(zone), 1)
    store.write(daily(level.pk, level.device_id))
    store.roll_up(NOW)
    return level


def said_at(level: Metric, at: datetime) -> Sample:
    return Sample(level.device_id, at, 10_000, {level.pk: 48.0})


def kept(store: ReadingStore, *sources: Source) -> list[datetime]:
    """When the entries that are kept of the sources were made."""
    return [
        entry.at for one in sources for entry in store.received(ReceivedRequest(one.pk, limit=9999))
    ]
