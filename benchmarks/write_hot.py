"""Writing rows of 100,000 channels in random order, beside a raw binary COPY of the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import timedelta
from statistics import median

from django.db import connection, models

from benchmarks.report import Figure
from benchmarks.write import START, new_raw_table, ours_rate, raw_rate
from devices.models import Community, Device, DeviceType, Metric
from devices.readings.models import SLOTS, Slot, Stream
from devices.readings.samples import Sample
from devices.readings.store import get_store

CHANNELS = 100_000
BATCH = 10_000
ROUNDS = 5
SEED = 20261126


def run() -> Iterator[Figure]:
    """Rows a second, one writer: every channel once a minute, in an order that nobody knows."""
    channels = new_channels()
    new_raw_table()
    chance = random.Random(SEED)
    ours, raw = [], []
    for minute in range(ROUNDS + 1):
        chance.shuffle(channels)
        at = START + timedelta(minutes=minute)
        samples = [
            Sample(device, at, minute + 1, {metric: metric / 8 + minute for metric in metrics})
            for device, metrics in channels
        ]
        raw.append(raw_rate(samples, BATCH))
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


def _copied(template: models.Model, source: str, changed: Mapping[str, str]) -> None:
    """Rows like one that is there, but for some columns."""
    meta = template._meta
    columns = [str(one.column) for one in meta.concrete_fields if one.column != "id"]
    chosen = ", ".join(changed.get(name, f"t.{name}") for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {meta.db_table} ({', '.join(columns)}) SELECT {chosen} "
            f"FROM (SELECT * FROM {meta.db_table} WHERE {meta.pk.column} = %s) t "
            f"CROSS JOIN {source}",
            [template.pk],
        )
        cursor.execute(f"ANALYZE {meta.db_table}")
