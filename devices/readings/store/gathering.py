"""Samples turned into records of the tables, and what the tables say about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot
from operator import attrgetter, itemgetter
from typing import Any

from devices.readings.instants import to_millisecond
from devices.readings.models import SLOTS
from devices.readings.samples import LARGEST, Sample, Value, WriteResult, storable
from devices.readings.store.base import NotStorable, UnknownMetric
from devices.readings.store.engine import Engine
from devices.readings.store.places import (
    Memory,
    Place,
    Shape,
    give_slots,
    memory,
    remembered_places,
)
from devices.readings.store.tables import NUMBERS, ORIGINS, Key, Record, Records
from devices.readings.store.watermark import Marks

_FLOAT = frozenset([float])
_EMPTY: Record = (None,) * len(NUMBERS)
_IDENTITY = attrgetter("device", "at", "sequence")


Placed = tuple[Shape, Sample] | tuple[None, Record]
"""What stands behind a row's key: a usual sample, all numbers of one stream, or a whole record."""


def row_of(placed: Placed) -> Record:
    """The record (origin, revised, v1 … v8)."""
    if placed[0] is None:
        return placed[1]
    shape, sample = placed
    return (ORIGINS[sample.origin], 0, *shape.arrange((None, *sample.values.values())))


def filled_of(record: Sequence[Any]) -> int:
    """Which slots a record fills, a bit for each."""
    return sum(1 << slot for slot, value in enumerate(record[-SLOTS:]) if value is not None)


@dataclass(slots=True)
class Batch:
    """Samples as records (origin, revised, *values) by key, and what was stored there before."""

    samples: Sequence[Sample] = ()
    places: dict[int, Place] = field(default_factory=dict)
    """Of the metrics whose shape was not remembered; those of the others are `remembered`."""
    remembered: Mapping[int, Place] = field(default_factory=dict)
    rows: Records[Placed] = field(default_factory=lambda: Records(row_of))
    texts: dict[Key, Record] = field(default_factory=dict)
    known_rows: dict[Key, Record] = field(default_factory=dict)
    known_texts: dict[Key, Record] = field(default_factory=dict)

    def place(self, metric: int) -> Place:
        """Where a metric of the batch stands."""
        return self.places.get(metric) or self.remembered[metric]

    def filled(self, key: Key) -> int:
        """Which slots a row fills, a bit for each."""
        placed = self.rows.behind[key]
        return filled_of(placed[1]) if placed[0] is None else placed[0].filled

    def outcome(self, engine: Engine) -> WriteResult:
        """Which values were new and which revised, by what the tables held before."""
        if not self.known_rows and not self.known_texts:
            return WriteResult(self.samples, [], 0)
        new, revised, unchanged = [], [], 0
        met = {key[1:] for known in (self.known_rows, self.known_texts) for key in known}
        for sample in self.samples:
            at = engine.instant(sample.at)
            if (at, sample.sequence) not in met:
                new.append(sample)
                continue
            fresh, changed = self._compared(sample, at)
            unchanged += len(sample.values) - len(fresh) - len(changed)
            if fresh:
                new.append(_part(sample, fresh))
            if changed:
                revised.append(_part(sample, changed))
        return WriteResult(new, revised, unchanged)

    def _compared(self, sample: Sample, at: Any) -> tuple[dict[int, Value], dict[int, Value]]:
        """The values of a sample that were not there before, and those that were others."""
        fresh, changed = {}, {}
        for metric, value in sample.values.items():
            before = self._before(metric, value, at, sample.sequence)
            if before is None:
                fresh[metric] = value
            elif before != value:
                changed[metric] = value
        return fresh, changed

    def _before(self, metric: int, value: Value, at: Any, sequence: int) -> Value | None:
        """The value that was stored before, if any."""
        if isinstance(value, (str, bool)):
            _, text, flag = self.known_texts.get((metric, at, sequence), (0, None, None))
            return text if flag is None else bool(flag)
        place = self.place(metric)
        known = self.known_rows.get((place.stream, at, sequence))
        stored: float | None = known[place.position] if known else None
        return stored


def _part(sample: Sample, values: dict[int, Value]) -> Sample:
    return sample if len(values) == len(sample.values) else replace(sample, values=values)


def gather(engine: Engine, samples: Sequence[Sample], mark: Marks) -> Batch:
    """Check the samples, merge those of one identity, and spread them over streams and slots.

    Raises UnknownMetric or NotStorable.
    """
    merged = _merged(samples)
    metrics_of = [tuple(sample.values) for sample in merged]
    known = memory(mark.slots_gone)
    batch = Batch(merged, remembered=known.places)
    shapes = _shapes(engine, batch, metrics_of, known)
    for sample, metrics in zip(merged, metrics_of, strict=True):
        shape = shapes[metrics]
        if shape.device != sample.device:
            raise UnknownMetric(f"Metric {metrics[0]} is not one of device {sample.device}.")
        stream, values = shape.stream, sample.values.values()
        # The length of numbers as a vector is finite and small only when each of them is.
        if stream is None or not (
            _FLOAT.issuperset(map(type, values)) and hypot(*values) <= LARGEST  # type: ignore[arg-type]
        ):
            _spread(engine, sample, batch)
            continue
        key = (stream, engine.instant(sample.at), sample.sequence)
        batch.rows.behind[key] = (shape, sample)
    return batch


def _shapes(
    engine: Engine, batch: Batch, metrics_of: Sequence[tuple[int, ...]], known: Memory
) -> Mapping[tuple[int, ...], Shape]:
    """The shapes of the batch, and perhaps others."""
    new = set(metrics_of) - known.shapes.keys()
    batch.places = remembered_places(engine, set().union(*new), known)
    _give_slots(engine, batch)
    if not new:
        return known.shapes
    shapes = {metrics: _shape_of(metrics, batch.places) for metrics in new}
    known.keep(batch.places, shapes)
    return {metrics: shapes.get(metrics) or known.shapes[metrics] for metrics in metrics_of}


def _merged(samples: Sequence[Sample]) -> list[Sample]:
    """Samples in the order of their identity, each identity once; of two values the later wins."""
    full = [_kept(sample) for sample in samples if sample.values]
    merged = dict(zip(map(_IDENTITY, full), full, strict=True))
    if len(merged) < len(full):
        merged = {}
        for sample in full:
            key = _IDENTITY(sample)
            twin = merged.get(key)
            if twin is not None:
                sample = replace(twin, values={**twin.values, **sample.values})
            merged[key] = sample
    return [merged[key] for key in sorted(merged)]


def _kept(sample: Sample) -> Sample:
    """A sample with its time as it is kept."""
    at = to_millisecond(sample.at)
    return sample if at is sample.at else replace(sample, at=at)


def _give_slots(engine: Engine, batch: Batch) -> None:
    """Give a slot to every metric whose first number is among the samples."""
    homeless = {metric for metric, place in batch.places.items() if place.stream is None}
    if not homeless:
        return
    numeric = set()
    for sample in batch.samples:
        for metric in homeless & sample.values.keys():
            if batch.places[metric].device != sample.device:
                raise UnknownMetric(f"Metric {metric} is not one of device {sample.device}.")
            if not isinstance(sample.values[metric], (str, bool)):
                numeric.add(metric)
    if numeric:
        give_slots(engine, numeric, batch.places)


def _shape_of(metrics: tuple[int, ...], places: Mapping[int, Place]) -> Shape:
    """The shape of samples of these metrics; raises UnknownMetric for those of several devices."""
    device = places[metrics[0]].device
    for metric in metrics:
        if places[metric].device != device:
            raise UnknownMetric(f"Metric {metric} is not one of device {device}.")
    streams = {places[metric].stream for metric in metrics}
    stream = streams.pop() if len(streams) == 1 else None
    order = [0] * len(NUMBERS)
    for number, metric in enumerate(metrics, start=1):
        if stream is not None:
            order[places[metric].position - 1] = number
    filled = sum(1 << slot for slot, number in enumerate(order) if number)
    return Shape(device, stream, filled, itemgetter(*order))


def _spread(engine: Engine, sample: Sample, batch: Batch) -> None:
    """Any sample, value by value. Raises NotStorable."""
    at, origin = engine.instant(sample.at), ORIGINS[sample.origin]
    rows: dict[int | None, list[Any]] = {}
    for metric, value in sample.values.items():
        if not storable(value):
            raise NotStorable(f"Metric {metric} at {sample.at}: {value!r} cannot be stored.")
        if isinstance(value, (str, bool)):
            text, flag = (value, None) if isinstance(value, str) else (None, value)
            batch.texts[metric, at, sample.sequence] = (origin, 0, text, flag)
            continue
        place = batch.place(metric)
        record = rows.setdefault(place.stream, [origin, 0, *_EMPTY])
        record[place.position + 1] = float(value)
    for stream, record in rows.items():
        batch.rows.behind[stream, at, sample.sequence] = (None, tuple(record))
