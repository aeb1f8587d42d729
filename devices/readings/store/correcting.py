"""Correcting: values replaced, added and taken out again in one pass over the rows.

One pass, in the one order in which every writer locks (rows, texts, latest readings, each by key):
two passes would meet a live writer's locks crosswise. A row whose last value went stays, empty: a
writer that has seen it would update nothing if it vanished.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db import transaction

from devices.readings.instants import to_millisecond
from devices.readings.samples import Correction, Sample, Value, WriteResult
from devices.readings.store import newest
from devices.readings.store.batch import Batch
from devices.readings.store.engine import DeviceHour, Engine
from devices.readings.store.gathering import gather
from devices.readings.store.overlaying import Merge, overlay, overlay_text
from devices.readings.store.places import Place
from devices.readings.store.placing import places_of
from devices.readings.store.tables import ROWS, TEXTS, Key, Record, Table
from devices.readings.store.watermark import divided, held_marks
from devices.readings.store.writing import insert_missing, log_late


@dataclass(slots=True)
class _Gone:
    """Values to take out, by the record that holds them, and what has really gone."""

    rows: dict[Key, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    texts: dict[Key, Value] = field(default_factory=dict)
    removed: set[tuple[int | str, Key]] = field(default_factory=set)

    def fill(self, engine: Engine, samples: Iterable[Sample], places: Mapping[int, Place]) -> None:
        """Find the record and slot of every value."""
        for sample in samples:
            at, sequence = engine.instant(sample.at), sample.sequence
            for metric, value in sample.values.items():
                if isinstance(value, (str, bool)):
                    self.texts[metric, at, sequence] = value
                    continue
                place = places[metric]
                if place.stream is not None:
                    self.rows[place.stream, at, sequence][place.position] = float(value)

    def from_row(self, key: Key, stored: Record) -> Record:
        """A row's record without the values that are still the stored ones."""
        origin, revised, *numbers = stored
        for position, value in self.rows.get(key, {}).items():
            if numbers[position - 1] == value:
                numbers[position - 1] = None
                revised &= ~(1 << (position - 1))
                self.removed.add((position, key))
        return (origin, revised, *numbers)

    def from_text(self, key: Key, stored: Record) -> Record:
        """A text's record, emptied if it still holds the value."""
        origin, _, text, flag = stored
        before = text if flag is None else bool(flag)
        if key in self.texts and before == self.texts[key]:
            self.removed.add(("text", key))
            return (origin, 0, None, None)
        return stored

    def has_gone(self, engine: Engine, sample: Sample, metric: int, place: Place) -> bool:
        """Whether a value that was to go has gone."""
        at, value = engine.instant(sample.at), sample.values[metric]
        if isinstance(value, (str, bool)):
            return ("text", (metric, at, sample.sequence)) in self.removed
        return (place.position, (place.stream, at, sample.sequence)) in self.removed


def correct(engine: Engine, samples: Sequence[Sample], gone: Sequence[Sample]) -> Correction:
    """See `ReadingStore.correct`."""
    if not samples and not gone:
        return Correction(WriteResult())
    with transaction.atomic():
        mark = held_marks(engine)
        engine.hold({one.device for part in (samples, gone) for one in part})
        expired, ours = divided(engine, mark, samples)
        _, leaving_now = divided(engine, mark, gone)
        going = [sample._replace(at=to_millisecond(sample.at)) for sample in leaving_now]
        batch = gather(engine, ours, mark._replace(slots_gone=None))  # all places are needed
        leaving = {metric for sample in going for metric in sample.values} - batch.places.keys()
        batch.places.update(places_of(engine, leaving))
        written, removed, doubted = _pass(engine, batch, going, mark.closed)
        written = replace(written, expired=expired)
        changed = replace(written, revised=[*written.revised, *removed])
        log_late(engine, changed, mark.closed, doubted)
        if removed:
            parts = (changed.new, changed.revised)
            newest.lock({m for part in parts for one in part for m in one.values}, batch.places)
        newest.advance(engine, batch)
        # What had gone before may still stand as the newest where rows are in no transaction.
        newest.retract(engine, removed if engine.transactional else going, batch.places)
    return Correction(written, removed)


def _pass(
    engine: Engine, batch: Batch, gone: Sequence[Sample], closed: datetime
) -> tuple[WriteResult, list[Sample], Collection[DeviceHour]]:
    leaving = _Gone()
    leaving.fill(engine, gone, batch.places)
    batch.known_rows = _revise(
        engine, ROWS, batch.rows, overlay, leaving.rows.keys(), leaving.from_row
    )
    batch.known_texts = _revise(
        engine, TEXTS, batch.texts, overlay_text, leaving.texts.keys(), leaving.from_text
    )
    removed = []
    for sample in gone:
        values = {
            metric: value
            for metric, value in sample.values.items()
            if leaving.has_gone(engine, sample, metric, batch.places[metric])
        }
        if values:
            removed.append(sample._replace(values=values))
    doubted = engine.doubts(batch, closed, gone)
    return batch.outcome(engine.instants), removed, doubted


def _revise(
    engine: Engine,
    table: Table,
    records: Mapping[Key, Record],
    merge: Merge,
    leaving: Iterable[Key],
    take_out: Callable[[Key, Record], Record],
) -> dict[Key, Record]:
    """Insert what is missing, merge the rest and take out what goes; what was stored before."""
    skip = len(table.fixed)
    known = insert_missing(engine, table, records)

    def merged(key: Key, stored: Record) -> Record:
        return merge(stored, records[key][skip:]) if key in records else stored

    touched = {key for key, stored in known.items() if merged(key, stored) != stored}
    wanted = sorted(touched.union(leaving))
    locked = engine.locked(table, wanted) if wanted else {}
    known.update({key: stored for key, stored in locked.items() if key in known})
    updates = [
        (key, after)
        for key, stored in locked.items()
        if (after := merged(key, take_out(key, stored))) != stored
    ]
    if updates:
        engine.update(table, updates)
    return known
