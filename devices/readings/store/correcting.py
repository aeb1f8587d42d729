"""Correcting: values replaced, added and taken out again in one pass over the rows.

One pass, in the one order in which every writer locks (rows, texts, latest readings, each by key):
two passes would meet a live writer's locks crosswise. A row whose last value went stays, empty: a
writer that has seen it would update nothing if it vanished.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.db import transaction

from devices.readings.instants import EPOCH, to_millisecond
from devices.readings.models import Latest
from devices.readings.samples import Correction, HistoryRequest, Reading, Sample, Value, WriteResult
from devices.readings.store.engine import Engine
from devices.readings.store.places import Place, places_of
from devices.readings.store.reading import history
from devices.readings.store.tables import ORIGINS, ROWS, TEXTS, Key, Record, Table
from devices.readings.store.watermark import expired as expired_of
from devices.readings.store.watermark import marks
from devices.readings.store.writing import (
    Batch,
    Merge,
    advance_latest,
    checked_places,
    log_late,
    merged_samples,
    overlay,
    overlay_text,
)

_MILLISECOND = timedelta(milliseconds=1)


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
        """A row's record (revised, v1 … v8) without the values that are still the stored ones."""
        revised, *numbers = stored
        for position, value in self.rows.get(key, {}).items():
            if numbers[position - 1] == value:
                numbers[position - 1] = None
                revised &= ~(1 << (position - 1))
                self.removed.add((position, key))
        return (revised, *numbers)

    def from_text(self, key: Key, stored: Record) -> Record:
        """A text's record (revised, text, flag), emptied if it still holds the value."""
        _, text, flag = stored
        before = text if flag is None else bool(flag)
        if key in self.texts and before == self.texts[key]:
            self.removed.add(("text", key))
            return (0, None, None)
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
        engine.hold_open()
        mark = marks(engine)  # read after the lock: the roller moves it under the lock
        expired = expired_of(engine, mark, samples)
        ours = merged_samples(samples, expired)
        staying = {id(sample) for sample in expired_of(engine, mark, gone)}
        going = [
            replace(sample, at=to_millisecond(sample.at))
            for sample in gone
            if id(sample) not in staying
        ]
        places = checked_places(engine, ours)
        leaving = {metric for sample in going for metric in sample.values} - places.keys()
        places.update(places_of(engine, leaving))
        written, removed = _pass(engine, ours, going, places)
        written = replace(written, expired=expired)
        changed = replace(written, revised=[*written.revised, *removed])
        log_late(engine, changed, mark.closed)
        if removed:
            _lock_latest(changed)
        advance_latest(engine, written)
        _retract_latest(engine, removed)
    return Correction(written, removed)


def _pass(
    engine: Engine, samples: Sequence[Sample], gone: Sequence[Sample], places: dict[int, Place]
) -> tuple[WriteResult, list[Sample]]:
    batch = Batch(samples, places)
    batch.fill(engine)
    leaving = _Gone()
    leaving.fill(engine, gone, places)
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
            if leaving.has_gone(engine, sample, metric, places[metric])
        }
        if values:
            removed.append(replace(sample, values=values))
    return batch.outcome(engine), removed


def _revise(
    engine: Engine,
    table: Table,
    records: Mapping[Key, Sequence[Any]],
    merge: Merge,
    leaving: Iterable[Key],
    take_out: Callable[[Key, Record], Record],
) -> dict[Key, Record]:
    """Insert what is missing, merge the rest and take out what goes; what was stored before."""
    skip = len(table.fixed)
    known = engine.insert(table, [(*k, *records[k]) for k in sorted(records)]) if records else {}

    def merged(key: Key, stored: Record) -> Record:
        return merge(stored, tuple(records[key][skip:])) if key in records else stored

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


def _lock_latest(changed: WriteResult) -> None:
    """Lock the latest readings that may change, in the order in which every writer does."""
    metrics = {m for part in (changed.new, changed.revised) for one in part for m in one.values}
    rows = Latest.objects.select_for_update().filter(metric__in=metrics).order_by("metric_id")
    list(rows.values_list("metric_id"))


def _retract_latest(engine: Engine, removed: Sequence[Sample]) -> None:
    """Where the latest reading has gone, the newest one that is left takes its place."""
    gone = {(metric, one.at, one.sequence) for one in removed for metric in one.values}
    rows = Latest.objects.filter(metric__in={metric for metric, _, _ in gone})
    for latest in rows.order_by("metric_id"):
        if (latest.metric_id, latest.at, latest.sequence) not in gone:
            continue
        request = HistoryRequest(
            latest.metric_id, EPOCH, latest.at + _MILLISECOND, limit=1, newest_first=True
        )
        newest = history(engine, request)
        if newest:
            _show(latest, newest[0])
        else:
            latest.delete()


def _show(latest: Latest, reading: Reading) -> None:
    value = reading.value
    is_text, is_flag = isinstance(value, str), isinstance(value, bool)
    latest.at, latest.sequence = reading.at, reading.sequence
    latest.origin, latest.revised = ORIGINS[reading.origin], reading.revised
    latest.text = value if isinstance(value, str) else None
    latest.flag = value if isinstance(value, bool) else None
    latest.number = None if is_text or is_flag else float(value)
    latest.save()
