"""Asking where metrics' values stand, and giving a slot to those that have none yet."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from django.db import transaction

from devices.readings.models import SLOTS, Slot, Stream
from devices.readings.store.base import UnknownMetric
from devices.readings.store.engine import Engine
from devices.readings.store.places import Memory, Place


def remembered_places(engine: Engine, metrics: Collection[int], memory: Memory) -> dict[int, Place]:
    """Places of the metrics, asking only for those not seen before; raises UnknownMetric."""
    known = memory.places
    found = {metric: known[metric] for metric in metrics if metric in known}
    if len(found) < len(metrics):
        found |= places_of(engine, set(metrics) - found.keys())
    return found


def places_of(engine: Engine, metrics: Collection[int]) -> dict[int, Place]:
    """Places of the metrics; raises UnknownMetric when one does not exist (any more)."""
    wanted, params = engine.relation("k", [("id", "int8")], [[metric] for metric in metrics])
    rows = engine.query(
        "SELECT m.id, m.device_id, s.stream_id, s.position FROM "
        f"{wanted} JOIN devices_metric m ON m.id = k.id "
        "LEFT JOIN readings_slot s ON s.metric_id = m.id",
        params,
    )
    found = {metric: Place(*rest) for metric, *rest in rows}
    if len(found) < len(metrics):
        missing = sorted(set(metrics) - found.keys())
        raise UnknownMetric(f"No such metric: {', '.join(map(str, missing))}.")
    return found


def give_slots(engine: Engine, metrics: Iterable[int], places: dict[int, Place]) -> None:
    """Give each of the metrics a slot of its device, and enter it in `places`."""
    needed = defaultdict(list)
    for metric in sorted(metrics):
        needed[places[metric].device].append(metric)
    for device in sorted(needed):
        with transaction.atomic():
            _give(engine, device, needed[device], places)


def _give(engine: Engine, device: int, metrics: list[int], places: dict[int, Place]) -> None:
    """Under the lock of the device's first stream: two workers may meet the same new metric."""
    Stream.objects.get_or_create(device_id=device, number=1)
    streams = list(Stream.objects.select_for_update().filter(device_id=device).order_by("number"))
    places.update(places_of(engine, metrics))  # another worker may have been faster
    given = []
    for metric in metrics:
        if places[metric].stream is not None:
            continue
        stream = streams[-1]
        if stream.used == SLOTS:
            stream = Stream.objects.create(device_id=device, number=stream.number + 1)
            streams.append(stream)
        stream.used += 1
        given.append(Slot(metric_id=metric, stream=stream, position=stream.used))
        places[metric] = Place(device, stream.pk, stream.used)
    engine.clear([(slot.stream_id, slot.position) for slot in given])
    Slot.objects.bulk_create(given)
    Stream.objects.bulk_update(streams, ["used"])
