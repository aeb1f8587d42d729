"""A batch of samples on its way into the tables, and what they say of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any

from devices.readings.models import SLOTS
from devices.readings.samples import Sample, Value, WriteResult
from devices.readings.store.places import Kind, Memory, Place, Shape
from devices.readings.store.tables import ORIGINS, Key, Record, Records

Placed = tuple[Shape, Sample] | tuple[None, Record]
"""What stands behind a row's key: a usual sample, all numbers of one stream, or a whole record."""
Arrange = Callable[[tuple[Any, ...]], tuple[Any, ...]]
Column = Sequence[Any] | None
"""A value for each row; None: no row has one."""


def row_of(key: Key, placed: Placed) -> Record:
    """The whole record (*key, origin, revised, v1 … v8)."""
    if placed[0] is None:
        return (*key, *placed[1])
    shape, sample = placed
    values = shape.arrange((None, *sample.values.values()))
    return (*key, ORIGINS[sample.origin], 0, *values)


def columns_of(records: Records[Placed], keys: Sequence[Key]) -> Iterator[list[Column]]:
    """The records of these keys as columns (*key, origin, revised, v1 … v8), in several parts.

    Rows of a part are built alike: their columns are put into slots as a row's values would be.
    """
    placed = list(map(records.behind.__getitem__, keys))
    for arrange, (some, behind) in _alike(keys, placed).items():
        parts = [[key[place] for key in some] for place in range(3)]
        if arrange is None:
            yield [*parts, *zip(*behind, strict=True)]
            continue
        samples: list[Sample] = behind
        flat = list(chain.from_iterable([sample.values.values() for sample in samples]))
        width = len(samples[0].values)
        values = [flat[place::width] for place in range(width)]
        origins = [ORIGINS[sample.origin] for sample in samples]
        yield [*parts, origins, [0] * len(some), *arrange((None, *values))]


def _alike(
    keys: Sequence[Key], placed: Sequence[Placed]
) -> dict[Arrange | None, tuple[Sequence[Key], list[Any]]]:
    """Keys and what stands behind them, by how their rows are built; None: whole records."""
    shapes = list(map(itemgetter(0), placed))
    behind = list(map(itemgetter(1), placed))
    builds: dict[Shape | None, Arrange | None] = {
        shape: shape and shape.arrange for shape in set(shapes)
    }
    if len(set(builds.values())) == 1:
        return {builds[shapes[0]]: (keys, behind)}
    alike: dict[Arrange | None, tuple[list[Key], list[Any]]] = {}
    for key, shape, one in zip(keys, shapes, behind, strict=True):
        some, theirs = alike.setdefault(builds[shape], ([], []))
        some.append(key)
        theirs.append(one)
    return {**alike}


def filled_of(record: Sequence[Any]) -> int:
    """Which slots a record fills, a bit for each."""
    return sum(1 << slot for slot, value in enumerate(record[-SLOTS:]) if value is not None)


@dataclass(slots=True)
class Batch:
    """Samples as records (origin, revised, *values) by key, and what was stored there before."""

    samples: Sequence[Sample] = ()
    places: dict[int, Place] = field(default_factory=dict)
    """Of the metrics whose shape was not remembered; those of the others are in the memory."""
    memory: Memory = field(default_factory=lambda: Memory(None))
    rows: Records[Placed] = field(default_factory=lambda: Records(row_of))
    texts: dict[Key, Record] = field(default_factory=dict)
    known_rows: dict[Key, Record] = field(default_factory=dict)
    known_texts: dict[Key, Record] = field(default_factory=dict)

    def place(self, metric: int) -> Place:
        """Where a metric of the batch stands."""
        return self.places.get(metric) or self.memory.places[metric]

    def leading(self, leaving: Collection[Key]) -> Iterator[tuple[Key, Kind, Shape | None]]:
        """The newest row of each kind, perhaps with some older ones, and its shape if it has one.

        Without those `leaving` and those that only follow what stands.
        """
        behind = self.rows.behind
        staying = [key for key in behind if key not in leaving] if leaving else behind
        shapes = map(itemgetter(0), map(behind.__getitem__, staying))
        newest: dict[Shape | None, Key] = dict(zip(shapes, staying, strict=True))
        for shape, key in newest.items():
            if shape and not shape.is_followed_at(key[1]):
                yield key, (key[0], shape.filled), shape
        if None in newest:
            for key in staying:
                shape, record = behind[key]
                if shape is None:
                    yield key, (key[0], filled_of(record)), None

    def outcome(self, instant: Callable[[datetime], Any]) -> WriteResult:
        """Which values were new and which revised, by what the tables held before.

        `instant`: the engine's, by which keys were made.
        """
        if not self.known_rows and not self.known_texts:
            return WriteResult(self.samples, [], 0)
        new, revised, unchanged = [], [], 0
        met = {key[1:] for known in (self.known_rows, self.known_texts) for key in known}
        for sample in self.samples:
            at = instant(sample.at)
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
            *_, text, flag = self.known_texts.get((metric, at, sequence), (None, None))
            return text if flag is None else bool(flag)
        place = self.place(metric)
        known = self.known_rows.get((place.stream, at, sequence))
        stored: float | None = known[place.position + 1] if known else None
        return stored


def _part(sample: Sample, values: dict[int, Value]) -> Sample:
    return sample if len(values) == len(sample.values) else sample._replace(values=values)
