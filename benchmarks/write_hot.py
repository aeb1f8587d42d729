"""Writing rows of 100,000 channels in random order, beside a raw binary COPY of the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import timedelta
from statistics import median
from typing import Any

from django.db import connection, models, transaction

from benchmarks.report import Figure
from benchmarks.write import RAW, START, new_raw_table, ours_rate, raw_rate
from devices.models import Community, Device, DeviceType, Metric
from devices.readings.models import SLOTS, Slot, Stream
from devices.readings.samples import Sample
from devices.readings.store import get_store
from devices.readings.store.partitions import ensure, month_of
from devices.readings.store.tables import ROWS

CHANNELS = 100_000
BATCH = 10_000
HELD = 30
"""Minutes that both tables hold before: an index with leaves for all channels."""
ROUNDS = 5
SEED = 20261126


def run() -> Iterator[Figure]:
    """Rows a second, one writer: every channel once a minute, in an order that nobody knows.

    Into tables that hold something, after a checkpoint: each page that is touched goes to the log
    whole, once.
    """
    channels = new_channels()
    new_raw_table()
    for table in (ROWS.name, RAW):
        _fill(table)
    chance = random.Random(SEED)
    ours, raw = [], []
    for minute in range(ROUNDS + 1):
        chance.shuffle(channels)
        at = START + timedelta(minutes=HELD + minute)
        samples = [
            Sample(device, at, minute + 1, {metric: metric / 8 + minute for metric in metrics})
            for device, metrics in channels
        ]
        _execute("CHECKPOINT")
        raw.append(raw_rate(samples, BATCH))
        _execute("CHECKPOINT")
        ours.append(ours_rate(samples, BATCH))
    what = f"rows of {CHANNELS} channels in random order, batches of {BATCH}"
    yield Figure("write-hot", what, median(ours[1:]), median(raw[1:]), "rows/s", ROUNDS,
                 more_is_better=True, at_least=0.5)  # fmt: skip


def new_channels() -> list[tuple[int, list[int]]]:
    """Devices and their eight metrics, which have their slots; by SQL, or it takes ten minutes."""
    place = Community.objects.create(name="Bench", slug="bench")
    kind = DeviceType.objects.get(slug="overhead-tank")
    device = Device.objects.create(community=place, type=kind, name="Device 1")
    metric = Metric.objects.create(device=device, name="m1", label="m1")
    _copied(
        device,
        f"generate_series(2, {CHANNELS}) AS n",
        {"uuid": "gen_random_uuid()", "name": "'Device ' || n"},
    )
    _copied(
        metric,
        f"devices_device d CROSS JOIN generate_series(1, {SLOTS}) AS n "
        f"WHERE d.id <> {device.pk} OR n > 1",
        {"device_id": "d.id", "name": "'m' || n", "label": "'m' || n"},
    )
    stream = Stream.objects.create(device=device, number=1, used=SLOTS)
    _copied(stream, f"devices_device d WHERE d.id <> {device.pk}", {"device_id": "d.id"})
    first = Slot.objects.create(metric=metric, stream=stream, position=1)
    _copied(
        first,
        "readings_stream s JOIN devices_metric m USING (device_id) "
        f"WHERE m.id <> {metric.pk} AND s.number = 1",
        {"metric_id": "m.id", "stream_id": "s.id", "position": "substr(m.name, 2)::int"},
    )
    get_store().roll_up(START - timedelta(days=1))  # as on any site that lives
    found: dict[int, list[int]] = {}
    for owner, pk in Metric.objects.order_by("pk").values_list("device_id", "pk"):
        found.setdefault(owner, []).append(pk)
    return list(found.items())


def _fill(table: str) -> None:
    """Minutes before, in the order in which they came."""
    with transaction.atomic():
        ensure(ROWS.name, {month_of(START)})
    numbers = ", ".join(f"n / {slot}.0" for slot in range(1, SLOTS + 1))
    _execute(
        f"INSERT INTO {table} ({', '.join(ROWS.columns)}) "
        f"SELECT s.id, %s + n * interval '1 minute', n, 1, 0, {numbers} "
        f"FROM generate_series(0, {HELD - 1}) n CROSS JOIN readings_stream s",
        START,
    )
    _execute(f"ANALYZE {table}")


def _execute(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def _copied(template: models.Model, source: str, changed: Mapping[str, str]) -> None:
    """Rows like one that is there, but for some columns."""
    meta = template._meta
    columns = [str(one.column) for one in meta.concrete_fields if one.column != "id"]
    chosen = ", ".join(changed.get(name, f"t.{name}") for name in columns)
    _execute(
        f"INSERT INTO {meta.db_table} ({', '.join(columns)}) SELECT {chosen} "
        f"FROM (SELECT * FROM {meta.db_table} WHERE {meta.pk.column} = %s) t CROSS JOIN {source}",
        template.pk,
    )
    _execute(f"ANALYZE {meta.db_table}")
