"""The newest reading of each metric, by the reading's own time: kept beside the rows.

`WHERE true` in the upserts tells SQLite that what follows is no join's condition.

Numbers stand by stream (`models.LatestRow`), texts and flags by metric (`models.LatestText`).
Every writer locks numbers before texts, each in the order of keys.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from devices.models import DataType
from devices.readings.instants import EPOCH
from devices.readings.models import SLOTS, LatestRow, LatestText
from devices.readings.samples import HistoryRequest, Reading, Sample
from devices.readings.store.engine import Engine
from devices.readings.store.gathering import Batch
from devices.readings.store.overlaying import Merge, overlay, overlay_text
from devices.readings.store.places import Place
from devices.readings.store.reading import history, value_of
from devices.readings.store.tables import NUMBERS, ORIGIN_OF, ORIGINS, Key, Record

_SLOTS = range(1, SLOTS + 1)
_OF_A_SLOT = ("v", "at", "sequence", "origin")
_MILLISECOND = timedelta(milliseconds=1)


def _advance_rows() -> str:
    """An upsert of (stream, at, sequence, origin, revised, v1 … v8), each slot for itself."""
    columns = [f"{name}{slot}" for slot in _SLOTS for name in _OF_A_SLOT]
    given = [
        f"n.v{slot}" if name == "v" else f"CASE WHEN n.v{slot} IS NOT NULL THEN n.{name} END"
        for slot in _SLOTS
        for name in _OF_A_SLOT
    ]
    newer = {
        slot: f"excluded.v{slot} IS NOT NULL AND (l.v{slot} IS NULL OR "
        f"(excluded.at{slot}, excluded.sequence{slot}) >= (l.at{slot}, l.sequence{slot}))"
        for slot in _SLOTS
    }
    changes = [
        f"{name}{slot} = CASE WHEN {newer[slot]} THEN excluded.{name}{slot} ELSE l.{name}{slot} END"
        for slot in _SLOTS
        for name in _OF_A_SLOT
    ]
    marks = " | ".join(
        f"(CASE WHEN {newer[slot]} THEN excluded.revised ELSE l.revised END & {1 << (slot - 1)})"
        for slot in _SLOTS
    )
    return (
        f"INSERT INTO readings_latestrow AS l (stream_id, revised, {', '.join(columns)}) "
        f"SELECT n.stream_id, n.revised, {', '.join(given)} FROM {{rows}} "
        f"WHERE true ON CONFLICT (stream_id) DO UPDATE SET {', '.join(changes)}, revised = {marks}"
    )


ADVANCE_ROWS = _advance_rows()
ROW_COLUMNS = (
    *(("stream_id", "int4"), ("at", "timestamptz"), ("sequence", "int8")),
    *(("origin", "int2"), ("revised", "int2")),
    *((number, "float8") for number in NUMBERS),
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


def advance(engine: Engine, batch: Batch) -> None:
    """Bring the newest readings up to date with what a batch changed."""
    for records in _rounds(batch):
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


def _rounds(batch: Batch) -> list[list[Record]]:
    """The newest records by stream, as often as it takes: a statement has each stream once.

    More than one of a stream only where the newest does not fill all slots that others fill.
    """
    newest: dict[int, Record] = {}
    older: defaultdict[int, list[Record]] = defaultdict(list)
    revising = {key[0] for key in batch.known_rows} | batch.mixed
    for key, record in _changed(batch.rows, batch.known_rows, overlay):
        stream = key[0]
        if stream in revising and stream in newest:
            older[stream].append(newest[stream])
        newest[stream] = (*key, *record)
    rounds = [list(newest.values())] if newest else []
    for stream, records in older.items():
        filled = _filled(newest[stream])
        number = 0
        for record in reversed(records):
            if _filled(record) - filled:
                filled |= _filled(record)
                number += 1
                if number == len(rounds):
                    rounds.append([])
                rounds[number].append(record)
    return rounds


def _filled(record: Record) -> set[int]:
    """The slots that a record fills."""
    return {slot for slot, value in enumerate(record[-SLOTS:]) if value is not None}


def latest(engine: Engine, metrics: Collection[int]) -> dict[int, Reading]:
    """See `ReadingStore.latest`."""
    wanted, params = engine.relation("k", [("id", "int8")], [[metric] for metric in metrics])
    numbers = ", ".join(_chosen(name) for name in ("at", "sequence", "v", "origin"))
    rows = engine.query(
        f"SELECT m.id, m.data_type, {numbers}, l.revised & (1 << (s.position - 1)), "
        "t.at, t.sequence, t.text, t.flag, t.origin, t.revised "
        f"FROM {wanted} JOIN devices_metric m ON m.id = k.id "
        "LEFT JOIN readings_slot s ON s.metric_id = m.id "
        "LEFT JOIN readings_latestrow l ON l.stream_id = s.stream_id "
        "LEFT JOIN readings_latesttext t ON t.metric_id = m.id",
        params,
    )
    found = {}
    for metric, data_type, *stored in rows:
        if data_type in (DataType.FLOAT, DataType.INTEGER):
            at, sequence, number, origin, revised = stored[:5]
            value = value_of(data_type, number, None, None)
        else:
            at, sequence, text, flag, origin, revised = stored[5:]
            value = value_of(data_type, None, text, flag)
        if value is not None:
            found[metric] = Reading(
                metric, engine.moment(at), sequence, value, ORIGIN_OF[origin], bool(revised)
            )
    return found


def _chosen(name: str) -> str:
    """SQL: a column of the metric's own slot."""
    whens = " ".join(f"WHEN {slot} THEN l.{name}{slot}" for slot in _SLOTS)
    return f"CASE s.position {whens} END"


def lock(metrics: Collection[int], places: Mapping[int, Place]) -> None:
    """Lock the newest readings that may change, in the order in which every writer does."""
    streams = {places[metric].stream for metric in metrics} - {None}
    rows = LatestRow.objects.select_for_update().filter(stream__in=streams).order_by("stream_id")
    list(rows.values_list("stream_id"))
    texts = LatestText.objects.select_for_update().filter(metric__in=metrics)
    list(texts.order_by("metric_id").values_list("metric_id"))


def retract(engine: Engine, removed: Sequence[Sample], places: Mapping[int, Place]) -> None:
    """Where the newest reading has gone, the newest one that is left takes its place."""
    if not removed:
        return
    metrics = {metric for sample in removed for metric in sample.values}
    streams = {places[metric].stream for metric in metrics} - {None}
    rows = LatestRow.objects.in_bulk(streams)
    texts = LatestText.objects.in_bulk(metrics)
    for sample in removed:
        for metric, value in sample.values.items():
            if isinstance(value, (str, bool)):
                _retract_text(engine, texts.get(metric), sample)
            elif (stream := places[metric].stream) in rows:
                _retract_number(engine, rows[stream], metric, places[metric].position, sample)


def _retract_number(engine: Engine, row: LatestRow, metric: int, slot: int, gone: Sample) -> None:
    if _identity(row, str(slot)) != (gone.at, gone.sequence):
        return
    reading = _newest(engine, metric, gone)
    if reading is None:
        values = dict.fromkeys(_OF_A_SLOT)
    else:
        stored = float(reading.value), reading.at, reading.sequence, ORIGINS[reading.origin]
        values = dict(zip(_OF_A_SLOT, stored, strict=True))
    for name, value in values.items():
        setattr(row, f"{name}{slot}", value)
    bit = 1 << (slot - 1)
    row.revised = row.revised & ~bit | (bit if reading is not None and reading.revised else 0)
    row.save()


def _retract_text(engine: Engine, text: LatestText | None, gone: Sample) -> None:
    if text is None or _identity(text) != (gone.at, gone.sequence):
        return
    reading = _newest(engine, text.metric_id, gone)
    if reading is None:
        text.delete()
        return
    value = reading.value
    text.at, text.sequence = reading.at, reading.sequence
    text.origin, text.revised = ORIGINS[reading.origin], reading.revised
    text.text = value if isinstance(value, str) else None
    text.flag = value if isinstance(value, bool) else None
    text.save()


def _identity(row: LatestRow | LatestText, slot: str = "") -> tuple[Any, Any]:
    return getattr(row, f"at{slot}"), getattr(row, f"sequence{slot}")


def _newest(engine: Engine, metric: int, gone: Sample) -> Reading | None:
    """The newest reading that is left of a metric."""
    request = HistoryRequest(metric, EPOCH, gone.at + _MILLISECOND, limit=1, newest_first=True)
    return next(iter(history(engine, request)), None)
