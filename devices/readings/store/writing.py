"""Writing: set-based and idempotent, and exact about what was new and what was revised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from operator import attrgetter

import orjson
from django.db import DatabaseError, connection, transaction

from devices.readings.instants import hour_of
from devices.readings.samples import Received, Sample, WriteResult
from devices.readings.store import newest
from devices.readings.store.engine import DeviceHour, Engine
from devices.readings.store.gathering import gather
from devices.readings.store.overlaying import Merge, overlay, overlay_text
from devices.readings.store.tables import (
    RECEIVED,
    ROWS,
    TEXTS,
    Key,
    Record,
    Records,
    Table,
    keys_of,
)
from devices.readings.store.watermark import divided, held_marks


def write(engine: Engine, samples: Sequence[Sample], received: Sequence[Received]) -> WriteResult:
    """See `ReadingStore.write`."""
    if not samples and not received:
        return WriteResult()
    with joined():
        mark = held_marks(engine)
        engine.hold({one.device for part in (samples, received) for one in part})
        expired, ours = divided(engine, mark, samples)
        batch = gather(engine, ours, mark)
        batch.known_rows = _upsert(engine, ROWS, batch.rows, overlay)
        batch.known_texts = _upsert(engine, TEXTS, batch.texts, overlay_text)
        doubted = engine.doubts(batch, mark.closed, [])
        result = replace(batch.outcome(engine.instants), expired=expired)
        log_late(engine, result, mark.closed, doubted)
        newest.advance(engine, batch)
        _keep_received(engine, received)
    return result


@contextmanager
def joined() -> Iterator[None]:
    """The caller's transaction, or a new one: a savepoint costs as much as storing a reading.

    A caller's transaction in which the database failed can only be undone.
    """
    if not connection.in_atomic_block:
        with transaction.atomic():
            yield
        return
    try:
        yield
    except DatabaseError:
        transaction.set_rollback(True)
        raise


def _upsert(
    engine: Engine, table: Table, records: Mapping[Key, Record], merge: Merge
) -> dict[Key, Record]:
    """Insert what is missing and merge the rest; what was stored before, where anything was."""
    known = insert_missing(engine, table, records)
    skip = len(table.fixed)

    def merged(key: Key) -> Record:
        return merge(known[key], records[key][skip:])

    differing = [key for key, stored in known.items() if merged(key) != stored]
    if differing:
        # Decide again on what is there once nobody else can change it.
        known.update(engine.locked(table, differing))
        engine.update(table, [(key, merged(key)) for key in differing])
    return known


def insert_missing(
    engine: Engine, table: Table, records: Mapping[Key, Record]
) -> dict[Key, Record]:
    """Insert the records whose keys are not there; the stored values of those that are."""
    keys = keys_of(records)
    known: dict[Key, Record] = {}
    for start in range(0, len(keys), engine.batch):
        known |= engine.insert(table, keys[start : start + engine.batch], records)
    return known


def _overlay_fields(stored: Record, ours: Record) -> Record:
    """Received fields: partial messages merge, a corrected entry explains the corrected value.

    What changed it is also what brought it.
    """
    before, now = orjson.loads(stored[1]), orjson.loads(ours[1])
    both = {**before, **now}
    return stored if both == before else (ours[0], _document(both))


def log_late(
    engine: Engine, result: WriteResult, closed: datetime, doubted: Iterable[DeviceHour] = ()
) -> None:
    """Enter the hours that the tiers hold already and that changed now, and those in doubt."""
    hours = {
        (sample.device, engine.instant(hour_of(sample.at)))
        for part in (result.new, result.revised)
        for sample in part
        if sample.at < closed
    }
    hours.update((device, engine.instant(hour)) for device, hour in doubted)
    if hours:
        engine.execute_many(
            "INSERT INTO readings_latelog (device_id, hour, days_only) "
            "SELECT n.device_id, n.hour, n.days_only FROM {rows}",
            (("device_id", "int8"), ("hour", "timestamptz"), ("days_only", "bool")),
            [(device, hour, False) for device, hour in sorted(hours)],
        )


def _keep_received(engine: Engine, received: Sequence[Received]) -> None:
    entries = Records(partial(_entry, engine))
    instants = map(engine.instant, map(attrgetter("at"), received))
    sources, numbers = (map(attrgetter(name), received) for name in ("source", "sequence"))
    last = dict(zip(zip(sources, instants, numbers, strict=True), received, strict=True))
    entries.put(last, last.values())
    _upsert(engine, RECEIVED, entries, _overlay_fields)


def _entry(engine: Engine, key: Key, entry: Received) -> Record:
    arrived = entry.arrived and engine.instant(entry.arrived)
    return (*key, entry.device, arrived, _document(entry.fields))


def _document(fields: Mapping[str, str | None]) -> str:
    """Fields as JSON text. What no database takes (NUL, half a surrogate pair) becomes U+FFFD."""
    try:
        text = orjson.dumps(fields if isinstance(fields, dict) else dict(fields))
    except orjson.JSONEncodeError:  # half a surrogate pair
        text = b"\\u0000"
    if b"\\u0000" in text:  # perhaps a NUL
        text = orjson.dumps({_kept(name): value and _kept(value) for name, value in fields.items()})
    return text.decode()


def _kept(text: str) -> str:
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return clean.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
