"""A batch of samples on its way into the tables, and what they say of it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Any, cast

from devices.readings.models import SLOTS
from devices.readings.samples import Sample, Value, WriteResult
from devices.readings.store.places import Kind, Memory, Place, Shape
from devices.readings.store.tables import ORIGINS, Key, Record, Records

Arrange = Callable[[tuple[Any, ...]], tuple[Any, ...]]
Column = Sequence[Any] | None
"""A value for each row, an array where none is missing; None: no row has one."""
_ORIGIN = attrgetter("origin")


def row_of(key: Key, shape: Shape | None, behind: Sample | Record) -> Record:
    """The whole record (*key, origin, revised, v1 … v8); what stands behind a key: see `Rows`."""
    if shape is None:
        return (*key, *behind)
    sample = cast("Sample", behind)
    values = shape.arrange((None, *sample.values.values()))
    return (*key, ORIGINS[sample.origin], 0, *values)


class Rows(Records):
    """Rows by key, in the order of keys.

    Behind each key stand the shape and the sample, where all its values are numbers of one stream:
    a usual one. Behind others stand None and the record.
    """

    def __init__(self) -> None:
        """None yet."""
        super().__init__(row_of, behind=2)
        self.numbers: Sequence[float] = ()
        """The values of all samples one after the other, as they were put, if all are usual."""

    def columns(self, keys: Sequence[Key]) -> Iterator[list[Column]]:
        """The rows of these keys as columns (*key, origin, revised, v1 … v8), in several parts.

        Rows of a part are built alike: their columns are put into slots as a row's values would be.
        """
        for arrange, (some, behind) in _alike(keys, *self.behind(keys)).items():
            parts = zip(*some, strict=True)
            if arrange is None:
                yield [*parts, *zip(*behind, strict=True)]
                continue
            numbers = array("d", self._numbers(behind))
            width = len(numbers) // len(some)
            values = [numbers[place::width] for place in range(width)]
            origins = list(map(ORIGINS.__getitem__, map(_ORIGIN, behind)))
            yield [*parts, origins, [0] * len(some), *arrange((None, *values))]

    def _numbers(self, samples: Sequence[Sample]) -> Sequence[float]:
        """The values of some of the usual samples, in their order, one after the other."""
        if self.numbers and self.order_kept and len(samples) == len(self):
            return self.numbers
        values = chain.from_iterable([sample.values.values() for sample in samples])
        return cast("Sequence[float]", list(values))


def _alike(
    keys: Sequence[Key], shapes: Sequence[Shape | None], behind: Sequence[Any]
) -> dict[Arrange | None, tuple[Sequence[Key], Sequence[Any]]]:
    """Keys and what stands behind them, by how their rows are built; None: whole records."""
    builds = {shape: shape.arrange if shape else None for shape in set(shapes)}
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
    rows: Rows = field(default_factory=Rows)
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
        keys = self.rows.keys_in_order()
        staying = [key for key in keys if key not in leaving] if leaving else keys
        shapes, behind = self.rows.behind(staying)
        newest: dict[Shape | None, Key] = dict(zip(shapes, staying, strict=True))
        for shape, key in newest.items():
            if shape and not shape.is_followed_at(key[1]):
                yield key, (key[0], shape.filled), shape
        if None in newest:
            for key, shape, record in zip(staying, shapes, behind, strict=True):
                if shape is None:
                    yield key, (key[0], filled_of(record)), None

    def outcome(self, instants: Callable[[Sequence[datetime]], Sequence[Any]]) -> WriteResult:
        """Which values were new and which revised, by what the tables held before.

        `instants`: the engine's, by which keys were made.
        """
        if not self.known_rows and not self.known_texts:
            return WriteResult(self.samples, [], 0)
        met = {key[1:] for known in (self.known_rows, self.known_texts) for key in known}
        times = instants([sample.at for sample in self.samples])
        keys = zip(times, [sample.sequence for sample in self.samples], strict=True)
        new: list[Sample] = []
        revised: list[Sample] = []
        unchanged = begin = 0
        for place in [place for place, key in enumerate(keys) if key in met]:  # most often few
            new += self.samples[begin:place]
            begin = place + 1
            sample = self.samples[place]
            fresh, changed = self._compared(sample, times[place])
            unchanged += len(sample.values) - len(fresh) - len(changed)
            if fresh:
                new.append(_part(sample, fresh))
            if changed:
                revised.append(_part(sample, changed))
        new += self.samples[begin:]
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
