"""Idempotent writing of wide rows into PostgreSQL beside a raw binary COPY into the same table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import psycopg
from django.db import connection, transaction

from benchmarks.report import Figure
from devices.models import Community, Device, DeviceType, Metric
from devices.readings.samples import Received, Sample
from devices.readings.store import get_store
from devices.readings.store.engine import Engine
from devices.readings.store.gathering import gather
from devices.readings.store.postgresql import PostgresqlEngine
from devices.readings.store.tables import ROWS
from devices.readings.store.watermark import marks
from devices.readings.store.writing import insert_missing

DEVICES = 2_000
SLOTS = 8
START = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
"""This month: what devices say now goes into its partition."""
ROUNDS = 7
ROWS_A_ROUND = 20_000
RAW = "bench_raw_row"


def run() -> Iterator[Figure]:
    """Rows a second, one writer, new rows in poll order, at 10,000 and at 1,000 rows a batch.

    Rows alone; the store's own write, which keeps the newest readings and the late log as well;
    and that with the entries as they were received.
    """
    metrics = new_metrics()
    new_raw_table()
    for batch, at_least in ((10_000, 0.6), (1_000, 0.5)):
        raw, rows, ours, full = [], [], [], []
        for round_ in range(ROUNDS + 1):
            samples = list(new_samples(metrics, round_, batch, 0))
            raw.append(raw_rate(samples, batch))
            ours.append(ours_rate(samples, batch))
            samples = list(new_samples(metrics, round_, batch, 1))
            full.append(_full(samples, batch))
            samples = list(new_samples(metrics, round_, batch, 2))
            rows.append(rows_rate(PostgresqlEngine(), samples, batch))
        limit = median(raw[1:])
        for what, taken, least in (
            ("rows", rows, at_least),
            ("rows, latest, late log", ours, at_least),
            ("rows, latest, late log, received entries", full, 0.3),
        ):
            rate = median(taken[1:])
            yield Figure("write", f"{what}, batches of {batch}", rate, limit, "rows/s",
                         ROUNDS, more_is_better=True, at_least=least)  # fmt: skip


def new_raw_table() -> None:
    """The table that takes the raw COPY: as that of the rows, with its key."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {RAW} (LIKE {ROWS.name} INCLUDING ALL)")


def new_metrics() -> list[list[int]]:
    """Eight metrics of each device; both tables know their streams afterwards."""
    place = Community.objects.create(name="Bench", slug="bench")
    kind = DeviceType.objects.get(slug="overhead-tank")
    devices = Device.objects.bulk_create(
        Device(community=place, type=kind, name=f"Device {n}") for n in range(DEVICES)
    )
    rows = Metric.objects.bulk_create(
        Metric(device=device, name=f"m{slot}", label=f"m{slot}")
        for device in devices
        for slot in range(SLOTS)
    )
    found = [[one.pk for one in rows[n : n + SLOTS]] for n in range(0, len(rows), SLOTS)]
    samples = [
        Sample(device.pk, START - timedelta(days=1), 1, dict.fromkeys(metrics, 1.0))
        for device, metrics in zip(devices, found, strict=True)
    ]
    get_store().write(samples)
    get_store().roll_up(START - timedelta(days=1))  # as on any site that lives
    global _DEVICES
    _DEVICES = [device.pk for device in devices]
    return found


_DEVICES: list[int] = []


def new_samples(
    metrics: Sequence[Sequence[int]], round_: int, batch: int, kind: int
) -> Iterator[Sample]:
    """A round's rows as polls bring them: each device once a tick."""
    ticks = ROWS_A_ROUND // DEVICES
    day = 1 if batch == 10_000 else 2
    base = START + timedelta(days=day, minutes=(round_ * 3 + kind) * ticks)
    for tick in range(ticks):
        at = base + timedelta(minutes=tick)
        for device, mine in zip(_DEVICES, metrics, strict=True):
            yield Sample(device, at, tick + 1, {m: m + tick + n / 8 for n, m in enumerate(mine)})


def raw_rate(samples: Sequence[Sample], batch: int) -> float:
    """Rows a second of COPY from ready tuples: what the machine can do."""
    records = [(s.device, s.at, s.sequence, 1, 0, *s.values.values()) for s in samples]
    started = time.perf_counter()
    for start in range(0, len(records), batch):
        with transaction.atomic():
            connection.ensure_connection()
            with (
                psycopg.Cursor(connection.connection) as cursor,
                cursor.copy(
                    f"COPY {RAW} ({', '.join(ROWS.columns)}) FROM STDIN (FORMAT BINARY)"
                ) as copy,
            ):
                copy.set_types(ROWS.types)
                for record in records[start : start + batch]:
                    copy.write_row(record)
    return len(records) / (time.perf_counter() - started)


def ours_rate(samples: Sequence[Sample], batch: int) -> float:
    """Rows a second of the store's own write."""
    store = get_store()
    started = time.perf_counter()
    for start in range(0, len(samples), batch):
        store.write(samples[start : start + batch])
    return len(samples) / (time.perf_counter() - started)


def rows_rate(engine: Engine, samples: Sequence[Sample], batch: int) -> float:
    """Rows a second of the part of the store's write that is about rows."""
    started = time.perf_counter()
    for start in range(0, len(samples), batch):
        with transaction.atomic():
            gathered = gather(engine, samples[start : start + batch], marks(engine))
            insert_missing(engine, ROWS, gathered.rows)
    return len(samples) / (time.perf_counter() - started)


def _full(samples: Sequence[Sample], batch: int) -> float:
    received = [Received(1, s.device, s.at, n * 1000 + s.sequence,
                {f"field{i}": str(v) for i, v in enumerate(s.values.values())})
                for n, s in enumerate(samples)]  # fmt: skip
    store = get_store()
    started = time.perf_counter()
    for start in range(0, len(samples), batch):
        store.write(samples[start : start + batch], received[start : start + batch])
    return len(samples) / (time.perf_counter() - started)
