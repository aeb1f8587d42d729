"""Where each metric's values stand. Slots are given on first use and never given twice.

A place is remembered once the transaction that read it is committed: one that is undone would
leave a slot that is given to another metric next. All is forgotten when any metric is deleted, and
when a newest reading is taken out.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from devices.readings.models import SLOTS, Slot, Stream
from devices.readings.store.base import UnknownMetric
from devices.readings.store.engine import Engine

Kind = tuple[int, int]
"""A stream, and which of its slots a row fills, a bit for each."""


@dataclass(frozen=True, slots=True)
class Place:
    """A metric's device and, once it had a number, its stream and position (1 to 8)."""

    device: int
    stream: int | None
    position: int


@dataclass(slots=True)
class Memory:
    """What was seen since the last metric, or newest reading, went; of one database."""

    slots_gone: int | None
    places: dict[int, Place] = field(default_factory=dict)
    shapes: dict[tuple[int, ...], Shape] = field(default_factory=dict)

    def keep(self, places: Mapping[int, Place], shapes: Mapping[tuple[int, ...], Shape]) -> None:
        """Remember what cannot change, once the transaction that found it is committed.

        A metric without a stream may be given one, and a shape follows its metrics.
        """
        lasting = {key: place for key, place in places.items() if place.stream is not None}
        whole = {key: shape for key, shape in shapes.items() if shape.stream is not None}

        def keep() -> None:
            self.places.update(lasting)
            self.shapes.update(whole)

        if lasting:
            transaction.on_commit(keep)


@dataclass(slots=True, eq=False)
class Shape:
    """What samples of the same metrics have in common: whose they are and where they stand."""

    device: int
    stream: int | None
    """The one stream of all the metrics; None when they stand in several, or in none."""
    filled: int
    """One bit for each slot of that stream."""
    arrange: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    """(None, *values) as the eight slots of that stream."""
    followed: tuple[Any, Any] | None = None
    """From when until when rows of its kind only follow the newest one that is entered."""

    def is_followed_at(self, at: Any) -> bool:
        """Whether a row of this time only follows, so that it is found among the rows."""
        return self.followed is not None and self.followed[0] <= at < self.followed[1]

    def follow(self, since: Any, until: Any) -> None:
        """Remember from when until when rows only follow; what is older than known is none."""
        if self.followed is None or self.followed[0] < since:
            self.followed = since, until


_MOST_SHAPES = 200_000
_memories: dict[str, Memory] = {}
"""By database."""


def memory(slots_gone: int | None) -> Memory:
    """What may be believed of earlier batches, by `slots_gone` of the watermark; None: nothing."""
    if slots_gone is None:
        return Memory(None)
    name = str(connection.settings_dict["NAME"])
    known = _memories.get(name)
    if known is None or known.slots_gone != slots_gone or len(known.shapes) > _MOST_SHAPES:
        known = _memories[name] = Memory(slots_gone)
    return known


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
