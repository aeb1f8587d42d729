"""The newest reading of each metric, by the reading's own time: kept beside the rows.

`WHERE true` in the upserts tells SQLite that what follows is no join's condition.

Numbers stand by stream and filled slots (`models.LatestRow`), texts and flags by metric
(`models.LatestText`). Every writer locks numbers before texts, each in the order of keys.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from devices.models import DataType
from devices.readings.instants import EPOCH
from devices.readings.models import SLOTS, LatestRow, LatestText
from devices.readings.samples import HistoryRequest, Reading, Sample
from devices.readings.store.engine import Engine
from devices.readings.store.gathering import Batch, filled_of
from devices.readings.store.overlaying import Merge, overlay, overlay_text
from devices.readings.store.places import Place
from devices.readings.store.reading import history, value_of
from devices.readings.store.tables import NUMBERS, ORIGIN_OF, ORIGINS, Key, Record

_MILLISECOND = timedelta(milliseconds=1)
_VALUES = ", ".join(("at", "sequence", "origin", "revised", *NUMBERS))
_BIT = "(1 << (s.position - 1))"

ADVANCE_ROWS = (
    f"INSERT INTO readings_latestrow AS l (stream_id, filled, {_VALUES}) "
    f"SELECT n.stream_id, n.filled, n.{_VALUES.replace(', ', ', n.')} FROM {{rows}} "
    "WHERE true ON CONFLICT (stream_id, filled) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in _VALUES.split(', '))} "
    "WHERE (excluded.at, excluded.sequence) >= (l.at, l.sequence)"
)
ROW_COLUMNS = (
    *(("stream_id", "int4"), ("at", "timestamptz"), ("sequence", "int8"), ("filled", "int2")),
    *(("origin", "int2"), ("revised", "int2")),
    *((number, "float8") for number in NUMBERS),
)
FORGET_ROWS = (
    "DELETE FROM readings_latestrow WHERE (stream_id, at, sequence) IN "
    "(SELECT n.stream_id, n.at, n.sequence FROM {rows})"
)
ADVANCE_TEXTS = (
    "INSERT INTO readings_latesttext AS l "
    "(metric_id, at, sequence, origin, revised, text, flag) "
    "SELECT n.metric_id, n.at, n.sequence, n.origin, n.revised, n.text, n.flag FROM {rows} "
    "WHERE true ON CONFLICT (metric_id) DO UPDATE SET at = excluded.at, "
    "sequence = excluded.sequence, origin = excluded.origin, revised = excluded.revised, "
    "text = excluded.text, flag = excluded.flag "
    "WHERE (excluded.at, excluded.sequence) >= (l.at, l.sequence)"
)
TEXT_COLUMNS = (
    *(("metric_id", "int8"), ("at", "timestamptz"), ("sequence", "int8"), ("origin", "int2")),
    *(("revised", "bool"), ("text", "text"), ("flag", "bool")),
)


class Newest(NamedTuple):
    """The newest number of a slot; `at` as the engine has it."""

    at: Any
    sequence: int
    value: float


def advance(engine: Engine, batch: Batch) -> None:
    """Bring the newest readings up to date with what a batch changed."""
    known = {key: batch.rows[key] for key in sorted(batch.known_rows)}
    changed = dict(_changed(known, batch.known_rows, overlay))
    if changed:  # a record that was merged fills other slots than before
        _lock_rows({stream for stream, *_ in changed})
        engine.execute_many(FORGET_ROWS, ROW_COLUMNS[:3], sorted(changed))
    kinds = [(key, (key[0], filled_of(record))) for key, record in changed.items()]
    rows = {kind: key for key, kind in sorted([*kinds, *batch.kinds(leaving=known)])}
    if rows:
        records = [
            (*key, filled, *(changed.get(key) or batch.rows[key]))
            for (_, filled), key in sorted(rows.items())
        ]
        engine.execute_many(ADVANCE_ROWS, ROW_COLUMNS, records)
    texts: dict[int, Record] = {}
    for (metric, at, sequence), record in _changed(batch.texts, batch.known_texts, overlay_text):
        origin, revised, text, flag = record
        texts[metric] = (metric, at, sequence, origin, bool(revised), text, flag)
    if texts:
        engine.execute_many(ADVANCE_TEXTS, TEXT_COLUMNS, [texts[one] for one in sorted(texts)])


def _changed(
    records: Mapping[Key, Record], known: Mapping[Key, Record], merge: Merge
) -> Iterator[tuple[Key, Record]]:
    """Records as they are stored now, without those that were stored so before; by key."""
    for key in sorted(records):
        record = records[key]
        before = known.get(key)
        if before is not None:
            after = merge(before, record[1:])
            if after == before:
                continue
            record = (record[0], *after)
        yield key, record


def latest(engine: Engine, metrics: Collection[int]) -> dict[int, Reading]:
    """See `ReadingStore.latest`."""
    wanted, params = engine.relation("k", [("id", "int8")], [[metric] for metric in metrics])
    number = f"CASE s.position {' '.join(f'WHEN {n} THEN l.v{n}' for n in range(1, SLOTS + 1))} END"
    rows = engine.query(
        f"SELECT m.id, m.data_type, l.at, l.sequence, {number}, l.origin, l.revised & {_BIT}, "
        "t.at, t.sequence, t.text, t.flag, t.origin, t.revised "
        f"FROM {wanted} JOIN devices_metric m ON m.id = k.id "
        "LEFT JOIN readings_slot s ON s.metric_id = m.id "
        f"LEFT JOIN readings_latestrow l ON l.stream_id = s.stream_id AND l.filled & {_BIT} <> 0 "
        "LEFT JOIN readings_latesttext t ON t.metric_id = m.id",
        params,
    )
    found: dict[int, Reading] = {}
    for metric, data_type, *stored in rows:
        if data_type in (DataType.FLOAT, DataType.INTEGER):
            at, sequence, number, origin, revised = stored[:5]
            value = value_of(data_type, number, None, None)
        else:
            at, sequence, text, flag, origin, revised = stored[5:]
            value = value_of(data_type, None, text, flag)
        if value is None:
            continue
        moment, other = engine.moment(at), found.get(metric)
        if other is None or (moment, sequence) > (other.at, other.sequence):
            found[metric] = Reading(
                metric, moment, sequence, value, ORIGIN_OF[origin], bool(revised)
            )
    return found


def newest_numbers(engine: Engine, streams: Collection[int]) -> dict[int, list[Newest | None]]:
    """What stands as the newest number of each slot of streams; None: nothing."""
    wanted, params = engine.relation("k", [("owner", "int8")], [[one] for one in sorted(streams)])
    rows = engine.query(
        f"SELECT k.owner, l.at, l.sequence, {', '.join(f'l.{name}' for name in NUMBERS)} "
        f"FROM {wanted} JOIN readings_latestrow l ON l.stream_id = k.owner "
        "ORDER BY l.at, l.sequence",
        params,
    )
    found: dict[int, list[Newest | None]] = {stream: [None] * SLOTS for stream in streams}
    for stream, at, sequence, *values in rows:
        for slot, value in enumerate(values):
            if value is not None:
                found[stream][slot] = Newest(at, sequence, value)
    return found


def lock(metrics: Collection[int], places: Mapping[int, Place]) -> None:
    """Lock the newest readings that may change, in the order in which every writer does."""
    _lock_rows({places[metric].stream for metric in metrics} - {None})
    texts = LatestText.objects.select_for_update().filter(metric__in=metrics)
    list(texts.order_by("metric_id").values_list("metric_id"))


def _lock_rows(streams: Collection[int | None]) -> None:
    rows = LatestRow.objects.select_for_update().filter(stream__in=streams)
    list(rows.order_by("stream_id", "filled").values_list("stream_id"))


def retract(engine: Engine, removed: Sequence[Sample], places: Mapping[int, Place]) -> None:
    """Where the newest reading has gone, the newest one that is left takes its place."""
    metrics = {metric for sample in removed for metric in sample.values}
    texts = LatestText.objects.in_bulk(metrics)
    gone: dict[Key, dict[int, int]] = defaultdict(dict)
    for sample in removed:
        for metric, value in sample.values.items():
            place = places[metric]
            if isinstance(value, (str, bool)):
                _retract_text(engine, texts.get(metric), sample)
            elif place.stream is not None:
                gone[place.stream, sample.at, sample.sequence][metric] = place.position
    for row in LatestRow.objects.filter(stream__in={stream for stream, *_ in gone}):
        positions = gone.get((row.stream_id, row.at, row.sequence))
        if positions:
            _retract_numbers(engine, row, positions)


def _retract_numbers(engine: Engine, row: LatestRow, gone: Mapping[int, int]) -> None:
    """Metrics whose number has gone, by position; what else the row fills stays as it is."""
    LatestRow.objects.filter(stream=row.stream_id, filled=row.filled).delete()
    left = [
        None if position in gone.values() else getattr(row, name)
        for position, name in enumerate(NUMBERS, start=1)
    ]
    records = []
    if filled := filled_of(left):
        at, revised = engine.instant(row.at), row.revised & filled
        records.append((row.stream_id, at, row.sequence, filled, row.origin, revised, *left))
    for metric, position in gone.items():
        reading = _newest(engine, metric, row.at)
        if reading is not None:
            numbers: list[float | None] = [None] * SLOTS
            numbers[position - 1] = float(reading.value)
            bit = 1 << (position - 1)
            at, origin = engine.instant(reading.at), ORIGINS[reading.origin]
            revised = bit if reading.revised else 0
            records.append((row.stream_id, at, reading.sequence, bit, origin, revised, *numbers))
    engine.execute_many(ADVANCE_ROWS, ROW_COLUMNS, records)


def _retract_text(engine: Engine, text: LatestText | None, gone: Sample) -> None:
    if text is None or (text.at, text.sequence) != (gone.at, gone.sequence):
        return
    reading = _newest(engine, text.metric_id, gone.at)
    if reading is None:
        text.delete()
        return
    value = reading.value
    text.at, text.sequence = reading.at, reading.sequence
    text.origin, text.revised = ORIGINS[reading.origin], reading.revised
    text.text = value if isinstance(value, str) else None
    text.flag = value if isinstance(value, bool) else None
    text.save()


def _newest(engine: Engine, metric: int, until: datetime) -> Reading | None:
    """The newest reading of a metric up to an instant."""
    request = HistoryRequest(metric, EPOCH, until + _MILLISECOND, limit=1, newest_first=True)
    return next(iter(history(engine, request)), None)
