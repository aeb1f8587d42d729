"""Samples checked, merged and turned into a batch of records of the tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import chain
from math import hypot
from operator import eq, itemgetter
from typing import Any, cast

from devices.readings.instants import to_millisecond
from devices.readings.samples import LARGEST, Sample, Value, storable
from devices.readings.store.base import NotStorable, UnknownMetric
from devices.readings.store.batch import Batch
from devices.readings.store.engine import Engine
from devices.readings.store.places import Memory, Place, Shape, memory
from devices.readings.store.placing import give_slots, remembered_places
from devices.readings.store.tables import NUMBERS, ORIGINS, Record
from devices.readings.store.watermark import Marks

_NUMBERS = {float, int}
_LARGEST_WHOLE = 2.0**53 - 1
"""Up to here a double is one whole number only: beyond, some are rounded to others."""
_EMPTY: Record = (None,) * len(NUMBERS)
_FROM_THE_LEAST = (itemgetter(2), itemgetter(1), itemgetter(0))
"""A sample's identity: sorting three times by a part of it is faster than once by all."""


def gather(engine: Engine, samples: Sequence[Sample], mark: Marks) -> Batch:
    """Check the samples, merge those of one identity, and spread them over streams and slots.

    Raises UnknownMetric or NotStorable.
    """
    merged, (devices, at, sequences, values, _) = _merged(_in_order(samples))
    known = memory(mark.slots_gone)
    batch = Batch(merged, memory=known)
    shapes = _shapes(engine, batch, known, values)
    if [shape.device for shape in shapes] != list(devices):
        raise _strange(merged, shapes)
    streams = [shape.stream for shape in shapes]
    keys = zip(streams, engine.instants(at), sequences, strict=True)
    usual = list(chain.from_iterable([one.values() for one in values]))
    if None not in streams and _are_numbers(usual):
        batch.rows.put(keys, shapes, merged)
        batch.rows.numbers = cast("list[float]", usual)
        return batch
    for key, shape, sample in zip(keys, shapes, merged, strict=True):
        if shape.stream is not None and _are_numbers(sample.values.values()):
            batch.rows.put([key], [shape], [sample])
        else:
            _spread(engine, sample, batch)
    return batch


def _strange(samples: Sequence[Sample], shapes: Sequence[Shape]) -> UnknownMetric:
    """What is wrong where not every sample is of the device whose metrics it speaks of."""
    pairs = zip(samples, shapes, strict=True)
    sample = next(sample for sample, shape in pairs if shape.device != sample.device)
    metric = next(iter(sample.values))
    return UnknownMetric(f"Metric {metric} is not one of device {sample.device}.")


def _are_numbers(values: Collection[Value]) -> bool:
    """Whether all are numbers that can be stored as they are."""
    kinds = set(map(type, values))
    if not kinds <= _NUMBERS:
        return False
    # The length of numbers as a vector is finite and small only when each of them is.
    try:
        length = hypot(*values)  # type: ignore[arg-type]
    except OverflowError:  # a whole number beyond all doubles
        return False
    return length <= (_LARGEST_WHOLE if int in kinds else LARGEST)


def _shapes(
    engine: Engine, batch: Batch, known: Memory, values: Sequence[Mapping[int, Value]]
) -> Sequence[Shape]:
    """The shape of each sample, which has these values."""
    with suppress(KeyError):  # none of the tuples is kept: nothing new for the collector
        return list(map(known.shapes.__getitem__, map(tuple, values)))
    metrics_of = list(map(tuple, values))
    new = set(metrics_of) - known.shapes.keys()
    batch.places = remembered_places(engine, set().union(*new), known)
    _give_slots(engine, batch)
    shapes = {metrics: _shape_of(metrics, batch.places) for metrics in new}
    known.keep(batch.places, shapes)
    return [shapes.get(metrics) or known.shapes[metrics] for metrics in metrics_of]


def _in_order(samples: Sequence[Sample]) -> list[Sample]:
    """Samples that say anything, to the millisecond, in the order of their identity."""
    full = [sample for sample in samples if sample.values]
    if any([sample.at.microsecond % 1000 for sample in full]):  # noqa: C419 - faster
        full = [sample._replace(at=to_millisecond(sample.at)) for sample in full]
    for part in _FROM_THE_LEAST:
        full.sort(key=part)
    return full


def _columns(samples: Sequence[Sample]) -> tuple[Sequence[Any], ...]:
    return tuple(zip(*samples, strict=True)) if samples else ((),) * len(Sample._fields)


def _merged(ordered: list[Sample]) -> tuple[list[Sample], tuple[Sequence[Any], ...]]:
    """Each identity once, of two values the later; and the same as columns."""
    columns = _columns(ordered)
    identities = zip(*columns[:3], strict=True)
    following = zip(*[column[1:] for column in columns[:3]], strict=True)
    if not any(map(eq, identities, following)):
        return ordered, columns
    merged: list[Sample] = []
    for sample in ordered:
        if merged and merged[-1][:3] == sample[:3]:
            merged[-1] = merged[-1]._replace(values={**merged[-1].values, **sample.values})
        else:
            merged.append(sample)
    return merged, _columns(merged)


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
    return Shape(device, stream, filled, _arranging(*order))


@cache
def _arranging(*order: int) -> Callable[[Record], Record]:
    """Shared by all shapes of one order: what is few stays where the machine finds it fast."""
    return itemgetter(*order)


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
        batch.rows.put([(stream, at, sample.sequence)], [None], [tuple(record)])
