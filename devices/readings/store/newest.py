"""The newest reading of each metric, by the reading's own time: kept beside the rows.

Numbers stand by kind: stream and filled slots (`models.LatestRow`), texts and flags by metric
(`models.LatestText`). Every writer locks numbers before texts, each in the order of keys.

A kind's row is not written again for each of its rows: those that are less than an hour newer are
found among the rows (`latest`). A writer that has seen the kind's row committed writes nothing for
them. That is right as long as the kind's row only moves on: what one writer leaves out is within
the hour then, or older than the newest. It moves back only where a newest reading is taken out:
whoever remembers forgets, and once those who did not know yet are done, it is looked up again.

`WHERE true` in the upserts tells SQLite that what follows is no join's condition.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter

from django.db import transaction

from devices.readings.instants import EPOCH, HOUR, MILLISECOND
from devices.readings.models import SLOTS, LatestRow, LatestText, Slot
from devices.readings.samples import HistoryRequest, Reading, Sample
from devices.readings.store.batch import Batch, filled_of
from devices.readings.store.engine import Engine
from devices.readings.store.latest import (
    CHANGING,
    IS_NEWER,
    Newest,
    following,
    newest_of_slot,
    newest_rows,
)
from devices.readings.store.overlaying import Merge, overlay, overlay_text
from devices.readings.store.places import Kind, Place, Shape
from devices.readings.store.reading import history
from devices.readings.store.tables import NUMBERS, ORIGINS, Key, Record

_POSITIONS = range(1, SLOTS + 1)
_END = datetime(9999, 12, 31, tzinfo=UTC)
_VALUES = ", ".join((*CHANGING, "exact"))

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
    ("exact", "bool"),
)
# What follows the kind's row must still be found: the row stays.
EMPTY_ROWS = (
    f"UPDATE readings_latestrow SET {', '.join(f'{number} = NULL' for number in NUMBERS)} "
    "WHERE (stream_id, at, sequence) IN (SELECT n.stream_id, n.at, n.sequence FROM {rows})"
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
Gone = tuple[int, datetime, int]
"""Position, time and number of a value that was taken out."""


def advance(engine: Engine, batch: Batch) -> None:
    """Bring the newest readings up to date with what a batch changed."""
    known = {key: batch.rows[key] for key in sorted(batch.known_rows)}
    changed = dict(_changed(known, batch.known_rows, overlay))
    if changed:  # a record that was merged fills other slots than before
        _lock_rows({stream for stream, *_ in changed})
        engine.execute_many(EMPTY_ROWS, ROW_COLUMNS[:3], sorted(changed))
    leading = list(batch.leading(leaving=known))
    kinds = [(key, (key[0], filled_of(record))) for key, record in changed.items()]
    kinds += [(key, kind) for key, kind, _ in leading]
    rows: dict[Kind, Key] = {kind: key for key, kind in sorted(kinds)}
    if rows:
        exact = not engine.transactional
        records = [
            (*key, filled, *(changed.get(key) or batch.rows[key]), exact)
            for (_, filled), key in sorted(rows.items())
        ]
        engine.execute_many(ADVANCE_ROWS, ROW_COLUMNS, records)
        if not exact:
            transaction.on_commit(partial(_follow, engine, leading))
    texts: dict[int, Record] = {}
    for (metric, at, sequence), record in _changed(batch.texts, batch.known_texts, overlay_text):
        origin, revised, text, flag = record
        texts[metric] = (metric, at, sequence, origin, bool(revised), text, flag)
    if texts:
        engine.execute_many(ADVANCE_TEXTS, TEXT_COLUMNS, [texts[one] for one in sorted(texts)])


def _follow(engine: Engine, leading: Iterable[tuple[Key, Kind, Shape | None]]) -> None:
    for (_, at, _), _, shape in leading:
        if shape:
            shape.follow(at, engine.instant(engine.moment(at) + HOUR))


def _changed(
    records: Mapping[Key, Record], known: Mapping[Key, Record], merge: Merge
) -> Iterator[tuple[Key, Record]]:
    """Records as they are stored now, without those that were stored so before; by key."""
    for key in sorted(records):
        record = records[key]
        before = known.get(key)
        if before is not None:
            after = merge(before, record)
            if after == before:
                continue
            record = after
        yield key, record


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
    gone: dict[int, set[Gone]] = defaultdict(set)
    for sample in removed:
        for metric, value in sample.values.items():
            place = places[metric]
            if isinstance(value, (str, bool)):
                _retract_text(engine, texts.get(metric), sample)
            elif place.stream is not None:
                gone[place.stream].add((place.position, sample.at, sample.sequence))
    changed = {
        row.stream_id: gone[row.stream_id]
        for row in LatestRow.objects.filter(stream__in=gone)
        if any(_stands(row, at, sequence) for _, at, sequence in gone[row.stream_id])
    }
    if not changed:
        return
    _look_up(engine, changed)
    engine.change("UPDATE readings_watermark SET slots_gone = slots_gone + 1 WHERE id = 1")
    if engine.transactional:
        transaction.on_commit(partial(_look_again, engine, changed.keys()), robust=True)


def _stands(row: LatestRow, at: datetime, sequence: int) -> bool:
    """Whether what is newest of a kind, or follows that, may have been this row."""
    return (row.at, row.sequence) == (at, sequence) or (at >= row.at and not row.exact)


def _look_again(engine: Engine, streams: Collection[int]) -> None:
    """Once every writer is done that remembers what stood before."""
    with transaction.atomic():
        engine.hold_closed()
        _lock_rows(streams)
        _look_up(engine, dict.fromkeys(streams, ()))


def _look_up(engine: Engine, streams: Mapping[int, Collection[Gone]]) -> None:
    """Let the newest readings of streams be what the rows say, or stood before without the `gone`.

    What stood before is all that is known of readings which are no longer kept.
    """
    before = newest_rows(engine, streams)
    slots = Slot.objects.filter(stream__in=streams).order_by("stream_id", "position")
    rows: dict[Key, dict[int, Newest]] = defaultdict(dict)
    for metric, stream, position in slots.values_list("metric_id", "stream_id", "position"):
        left = [
            row
            for row in before.get(stream, ())
            if (position, engine.moment(row[0]), row[1]) not in streams[stream]
        ]
        there = [_newest_number(engine, metric), newest_of_slot(left, position)]
        known = [one for one in there if one is not None]
        if known:
            newest = max(known, key=itemgetter(0, 1))
            rows[stream, newest.at, newest.sequence][position] = newest
    LatestRow.objects.filter(stream__in=streams).delete()
    exact = not engine.transactional
    records = [(*key, *_together(some), exact) for key, some in sorted(rows.items())]
    engine.execute_many(ADVANCE_ROWS, ROW_COLUMNS, records)


def _newest_number(engine: Engine, metric: int) -> Newest | None:
    """What the rows say."""
    reading = _newest(engine, metric, _END)
    if reading is None:
        return None
    at, origin = engine.instant(reading.at), ORIGINS[reading.origin]
    return Newest(at, reading.sequence, origin, int(reading.revised), float(reading.value))


def _together(slots: Mapping[int, Newest]) -> Record:
    """Slots of one row, by position, as (filled, origin, revised, v1 … v8)."""
    values = [slots[position].value if position in slots else None for position in _POSITIONS]
    revised = sum(1 << (position - 1) for position, one in slots.items() if one.revised)
    origin = next(iter(slots.values())).origin
    return (filled_of(values), origin, revised, *values)


def settle(engine: Engine, until: datetime) -> None:
    """Enter what follows the newest rows of kinds from before an instant: its rows may go then."""
    chosen = ", ".join(f"r.{name}" for name in CHANGING[2:])
    rows = engine.query(
        f"SELECT l.stream_id, r.at, r.sequence, l.filled, {chosen}, l.exact "
        f"FROM readings_latestrow l {following(engine)} WHERE l.at < %s AND {IS_NEWER} "
        "ORDER BY l.stream_id, l.filled",
        [engine.instant(until)],
    )
    for start in range(0, len(rows), engine.batch):
        engine.execute_many(ADVANCE_ROWS, ROW_COLUMNS, rows[start : start + engine.batch])


def hand_over(engine: Engine, *, exact: bool) -> None:
    """Before the rows of another engine count: `exact` says whether that one looks among no rows.

    `engine` is that of the books; nobody may write meanwhile.
    """
    settle(engine, _END)
    engine.change("UPDATE readings_latestrow SET exact = %s", [exact])


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
    request = HistoryRequest(metric, EPOCH, until + MILLISECOND, limit=1, newest_first=True)
    return next(iter(history(engine, request)), None)
