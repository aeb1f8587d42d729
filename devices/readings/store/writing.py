"""Writing: set-based and idempotent, and exact about what was new and what was revised."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from devices.readings.instants import hour_of, to_millisecond
from devices.readings.samples import Received, Sample, Value, WriteResult, storable
from devices.readings.store.base import NotStorable, UnknownMetric
from devices.readings.store.engine import Engine
from devices.readings.store.places import Place, give_slots, places_of
from devices.readings.store.tables import ORIGINS, RECEIVED, ROWS, TEXTS, Key, Record, Table
from devices.readings.store.watermark import expired as expired_of
from devices.readings.store.watermark import marks

_NOTHING: Record = (None,) * 8
Merge = Callable[[Record, Record], Record]
"""Stored values and ours give the values to store; equal to the stored ones: nothing to do."""


@dataclass(slots=True)
class Batch:
    """One batch turned into records of the three tables, and what the tables said about them."""

    samples: Sequence[Sample]
    places: dict[int, Place]
    rows: dict[Key, list[Any]] = field(default_factory=dict)
    texts: dict[Key, list[Any]] = field(default_factory=dict)
    known_rows: dict[Key, Record] = field(default_factory=dict)
    known_texts: dict[Key, Record] = field(default_factory=dict)

    def fill(self, engine: Engine) -> None:
        """Spread every sample over the slots of its device's streams."""
        places, rows, texts = self.places, self.rows, self.texts
        for sample in self.samples:
            at, sequence, origin = (
                engine.instant(sample.at),
                sample.sequence,
                ORIGINS[sample.origin],
            )
            for metric, value in sample.values.items():
                if isinstance(value, (str, bool)):
                    text, flag = (value, None) if isinstance(value, str) else (None, value)
                    texts[metric, at, sequence] = [origin, 0, text, flag]
                    continue
                place = places[metric]
                key = (place.stream, at, sequence)
                record = rows.get(key)
                if record is None:
                    record = rows[key] = [origin, 0, *_NOTHING]
                record[place.position + 1] = float(value)

    def outcome(self, engine: Engine) -> WriteResult:
        """Which values were new and which revised, by what the tables held before."""
        if not self.known_rows and not self.known_texts:
            return WriteResult(new=self.samples)
        new, revised, unchanged = [], [], 0
        for sample in self.samples:
            fresh: dict[int, Value] = {}
            changed: dict[int, Value] = {}
            for metric, value in sample.values.items():
                before = self._before(metric, value, engine.instant(sample.at), sample.sequence)
                if before is None:
                    fresh[metric] = value
                elif before != value:
                    changed[metric] = value
            unchanged += len(sample.values) - len(fresh) - len(changed)
            if fresh:
                new.append(_part(sample, fresh))
            if changed:
                revised.append(_part(sample, changed))
        return WriteResult(new, revised, unchanged)

    def _before(self, metric: int, value: Value, at: Any, sequence: int) -> Value | None:
        """The value that was stored before, if any."""
        if isinstance(value, (str, bool)):
            _, text, flag = self.known_texts.get((metric, at, sequence), (0, None, None))
            return text if flag is None else bool(flag)
        place = self.places[metric]
        known = self.known_rows.get((place.stream, at, sequence))
        stored: float | None = known[place.position] if known else None
        return stored


def _part(sample: Sample, values: dict[int, Value]) -> Sample:
    return sample if len(values) == len(sample.values) else replace(sample, values=values)


def write(engine: Engine, samples: Sequence[Sample], received: Sequence[Received]) -> WriteResult:
    """See `ReadingStore.write`."""
    if not samples and not received:
        return WriteResult()
    with transaction.atomic():
        engine.hold_open()
        mark = marks(engine)  # read after the lock: the roller moves it under the lock
        expired = expired_of(engine, mark, samples)
        ours = merged_samples(samples, expired)
        places = checked_places(engine, ours)
        results = [
            _write_batch(engine, ours[start : start + engine.batch], places)
            for start in range(0, len(ours), engine.batch)
        ]
        result = WriteResult(
            new=[sample for part in results for sample in part.new],
            revised=[sample for part in results for sample in part.revised],
            unchanged=sum(part.unchanged for part in results),
            expired=expired,
        )
        log_late(engine, result, mark.closed)
        advance_latest(engine, result)
        _keep_received(engine, received)
    return result


def merged_samples(samples: Sequence[Sample], expired: Sequence[Sample]) -> list[Sample]:
    """Samples in the order of their identity, each identity once; of two values the later wins.

    Without those that are expired.
    """
    gone = {id(sample) for sample in expired}
    merged: dict[tuple[int, datetime, int], Sample] = {}
    for sample in samples:
        if not sample.values or id(sample) in gone:
            continue
        at = to_millisecond(sample.at)
        if at is not sample.at:
            sample = replace(sample, at=at)
        key = (sample.device, at, sample.sequence)
        twin = merged.get(key)
        if twin is not None:
            sample = replace(twin, values={**twin.values, **sample.values})
        merged[key] = sample
    return [merged[key] for key in sorted(merged)]


def checked_places(engine: Engine, samples: Sequence[Sample]) -> dict[int, Place]:
    """Where every metric of the samples stands, after checking devices and values."""
    metrics = {metric for sample in samples for metric in sample.values}
    places = places_of(engine, metrics)
    numeric = set()
    for sample in samples:
        for metric, value in sample.values.items():
            if places[metric].device != sample.device:
                raise UnknownMetric(f"Metric {metric} is not one of device {sample.device}.")
            if not storable(value):
                raise NotStorable(f"Metric {metric} at {sample.at}: {value!r} cannot be stored.")
            if not isinstance(value, (str, bool)) and places[metric].stream is None:
                numeric.add(metric)
    if numeric:
        give_slots(engine, numeric, places)
    return places


def _write_batch(
    engine: Engine, samples: Sequence[Sample], places: dict[int, Place]
) -> WriteResult:
    batch = Batch(samples, places)
    batch.fill(engine)
    batch.known_rows = _upsert(engine, ROWS, batch.rows, overlay)
    batch.known_texts = _upsert(engine, TEXTS, batch.texts, overlay_text)
    return batch.outcome(engine)


def _upsert(
    engine: Engine, table: Table, records: Mapping[Key, Sequence[Any]], merge: Merge
) -> dict[Key, Record]:
    """Insert what is missing and merge the rest; what was stored before, where anything was."""
    if not records:
        return {}
    known = engine.insert(table, [(*key, *records[key]) for key in sorted(records)])
    skip = len(table.fixed)

    def merged(key: Key) -> Record:
        return merge(known[key], tuple(records[key][skip:]))

    differing = [key for key, stored in known.items() if merged(key) != stored]
    if differing:
        # Decide again on what is there once nobody else can change it.
        known.update(engine.locked(table, differing))
        engine.update(table, [(key, merged(key)) for key in differing])
    return known


def overlay(stored: Record, ours: Record) -> Record:
    """Numeric slots: fill what is empty, replace and mark what differs."""
    revised, values = stored[0], list(stored[1:])
    for slot, value in enumerate(ours[1:]):
        if value is None or value == values[slot]:
            continue
        if values[slot] is not None:
            revised |= 1 << slot
        values[slot] = value
    return (revised, *values)


def overlay_text(stored: Record, ours: Record) -> Record:
    """A text or a flag: replace and mark what differs."""
    return stored if stored[1:] == ours[1:] else (1, *ours[1:])


def _overlay_fields(stored: Record, ours: Record) -> Record:
    """Received fields: partial messages merge, a corrected entry explains the corrected value."""
    before, now = json.loads(stored[0]), json.loads(ours[0])
    both = {**before, **now}
    return stored if both == before else (_document(both),)


def log_late(engine: Engine, result: WriteResult, closed: datetime) -> None:
    """Enter the hours that the tiers hold already and that changed now."""
    hours = {
        (sample.device, engine.instant(hour_of(sample.at)))
        for part in (result.new, result.revised)
        for sample in part
        if sample.at < closed
    }
    if hours:
        engine.execute_many(
            "INSERT INTO readings_latelog (device_id, hour, days_only) {rows}",
            ("int8", "timestamptz", "bool"),
            [(device, hour, False) for device, hour in sorted(hours)],
        )


def advance_latest(engine: Engine, result: WriteResult) -> None:
    """Bring the newest reading of each metric up to date: by the reading's own time."""
    best: dict[int, tuple[Sample, bool]] = {}
    for revised, part in ((False, result.new), (True, result.revised)):
        for sample in part:
            for metric in sample.values:
                rival = best.get(metric)
                if rival is None or _moment(sample) >= _moment(rival[0]):
                    best[metric] = (sample, revised)
    if best:
        engine.execute_many(
            "INSERT INTO readings_latest AS l "
            "(metric_id, at, sequence, origin, revised, number, text, flag) {rows} "
            "ON CONFLICT (metric_id) DO UPDATE SET at = excluded.at, sequence = excluded.sequence, "
            "origin = excluded.origin, revised = excluded.revised, number = excluded.number, "
            "text = excluded.text, flag = excluded.flag "
            "WHERE (excluded.at, excluded.sequence) >= (l.at, l.sequence)",
            ("int8", "timestamptz", "int8", "int2", "bool", "float8", "text", "bool"),
            [_latest_record(engine, metric, *best[metric]) for metric in sorted(best)],
        )


def _moment(sample: Sample) -> tuple[datetime, int]:
    return (sample.at, sample.sequence)


def _latest_record(engine: Engine, metric: int, sample: Sample, revised: bool) -> Record:
    value = sample.values[metric]
    is_text, is_flag = isinstance(value, str), isinstance(value, bool)
    return (
        metric,
        engine.instant(sample.at),
        sample.sequence,
        ORIGINS[sample.origin],
        revised,
        None if is_text or is_flag else float(value),
        value if is_text else None,
        value if is_flag else None,
    )


def _keep_received(engine: Engine, received: Sequence[Received]) -> None:
    entries: dict[Key, Sequence[Any]] = {}
    for entry in received:
        key = (entry.source, engine.instant(entry.at), entry.sequence)
        entries[key] = (entry.device, _document(entry.fields))
    ordered = sorted(entries)
    for start in range(0, len(ordered), engine.batch):
        part = ordered[start : start + engine.batch]
        _upsert(engine, RECEIVED, {key: entries[key] for key in part}, _overlay_fields)


def _document(fields: Mapping[str, str | None]) -> str:
    """Fields as JSON text. What no database takes (NUL, half a surrogate pair) becomes U+FFFD."""
    text = json.dumps(fields)
    if "\\u0000" in text or "\\ud" in text:  # perhaps such a character
        fields = {_kept(name): value and _kept(value) for name, value in fields.items()}
        return json.dumps(fields)
    return text


def _kept(text: str) -> str:
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return clean.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
