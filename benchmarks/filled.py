"""Devices whose readings are in PostgreSQL already: put there by the server itself, quickly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from devices.models import Community, Device, DeviceType, Metric
from devices.readings.models import Slot
from devices.readings.samples import Sample
from devices.readings.store import get_store, partitions
from devices.readings.store.tables import NUMBERS, ROWS

ZONE = "Asia/Kolkata"  # days begin at half past: the hard case


def devices(count: int, metrics: int, before: datetime) -> list[list[Metric]]:
    """So many devices with so many numbers each, which said one thing before an instant."""
    place = Community.objects.create(name="Bench", slug="bench", zone=ZONE)
    kind = DeviceType.objects.get(slug="overhead-tank")
    rows = Device.objects.bulk_create(
        Device(community=place, type=kind, name=f"Device {n}") for n in range(count)
    )
    made = Metric.objects.bulk_create(
        Metric(device=device, name=f"m{n}", label=f"m{n}", expected_every_s=60)
        for device in rows
        for n in range(metrics)
    )
    found = [made[start : start + metrics] for start in range(0, len(made), metrics)]
    get_store().write(
        [
            Sample(some[0].device_id, before - timedelta(days=1), 1, {one.pk: 1.0 for one in some})
            for some in found
        ]
    )
    return found


def fill(metrics: Sequence[Metric], since: datetime, until: datetime, every: timedelta) -> int:
    """A reading of each metric of one device at every step; how many rows that are.

    In the order in which a site of many devices stores them, only device after device.
    """
    months = {partitions.month_of(since)}
    while max(months).following.begins < until:
        months.add(max(months).following)
    with transaction.atomic():
        partitions.ensure(ROWS.name, months)
    slots = Slot.objects.filter(metric__in=metrics).order_by("position")
    columns = ", ".join(NUMBERS[slot.position - 1] for slot in slots)
    numbers = ", ".join(f"50 + 40 * sin(n / {700 + 90 * place}.0)" for place in range(len(slots)))
    return execute(
        f"INSERT INTO {ROWS.name} (at, stream_id, origin, revised, sequence, {columns}) "
        f"SELECT %s + n * %s, %s, 1, 0, n, {numbers} FROM generate_series(0, %s) n",
        since, every, slots[0].stream_id, (until - since) // every - 1,
    )  # fmt: skip


def execute(sql: str, *params: Any) -> int:
    """Run a statement; how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        touched: int = cursor.rowcount
        return touched


def timed(action: Callable[[], object], times: int) -> list[float]:
    """Milliseconds of each run, after two that do not count."""
    taken = []
    for _ in range(times + 2):
        started = time.perf_counter()
        action()
        taken.append((time.perf_counter() - started) * 1000)
    return taken[2:]
