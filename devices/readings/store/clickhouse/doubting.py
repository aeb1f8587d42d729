"""What a write that was cut short left behind, and how the next write of the same repairs it.

A row is in ClickHouse before the transaction of the books is committed. If that is undone, the row
is there, and neither the newest readings nor the late log know of it. Whoever sent it is told of
the failure and sends it again: it finds the row, and would take it for a repeat.

- What is newer than the newest reading in the books was never committed: it counts as new. Nor was
  a value that the newest reading has otherwise: it counts as a revision.
- Of all else that is found unchanged in an hour that is closed, the hour is compared with what the
  tier holds of it. Where they differ the hour goes into the late log.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from devices.readings.instants import HOUR, from_ms, hour_of, to_ms
from devices.readings.periods import Span
from devices.readings.samples import Sample, Tier
from devices.readings.store.batch import Batch
from devices.readings.store.clickhouse.server import Server
from devices.readings.store.clickhouse.slots import slots_of_devices
from devices.readings.store.clickhouse.summing import of_readings
from devices.readings.store.clickhouse.tiers import by_owner, held
from devices.readings.store.engine import DeviceHour, Engine
from devices.readings.store.latest import Newest, newest_numbers
from devices.readings.store.tables import Key, Owned, Record


def doubts(
    engine: Engine, server: Server, batch: Batch, closed: datetime, gone: Sequence[Sample]
) -> set[DeviceHour]:
    """See `Rows.doubts`."""
    if batch.known_rows:
        batch.known_rows = _committed_rows(engine, batch.known_rows)
    if batch.known_texts:
        batch.known_texts = _committed_texts(engine, batch.known_texts)
    hours = {
        (sample.device, hour_of(sample.at))
        for sample in (*_repeated(engine, batch), *gone)
        if sample.at < closed
    }
    return _wrong(engine, server, hours) if hours else set()


def _repeated(engine: Engine, batch: Batch) -> Iterator[Sample]:
    """Samples of which anything was found to be there."""
    known = {key[:3] for key in batch.known_rows}, {key[:3] for key in batch.known_texts}
    if not any(known):
        return
    rows, texts = known
    for sample in batch.samples:
        at = engine.instant(sample.at), sample.sequence
        for metric in sample.values:
            if (metric, *at) in texts or (batch.place(metric).stream, *at) in rows:
                yield sample
                break


def _committed_rows(engine: Engine, known: Mapping[Key, Record]) -> dict[Key, Record]:
    """The rows with the values of which the books know."""
    newest = newest_numbers(engine, {key[0] for key in known})
    return {
        key: (
            origin,
            revised,
            *(
                _committed(key, value, *_of(there))
                for value, there in zip(values, newest[key[0]], strict=True)
            ),
        )
        for key, (origin, revised, *values) in known.items()
    }


def _of(newest: Newest | None) -> tuple[Any, Any, Any]:
    return (newest.at, newest.sequence, newest.value) if newest else (None, None, None)


def _committed_texts(engine: Engine, known: Mapping[Key, Record]) -> dict[Key, Record]:
    metrics = {key[0] for key in known}
    wanted, params = engine.relation("k", [("owner", "int8")], [[one] for one in sorted(metrics)])
    rows = engine.query(
        "SELECT k.owner, l.at, l.sequence, l.text, l.flag "
        f"FROM {wanted} JOIN readings_latesttext l ON l.metric_id = k.owner",
        params,
    )
    newest = {row[0]: row[1:] for row in rows}
    kept = {}
    for key, record in known.items():
        at, sequence, text, flag = newest.get(key[0], (None,) * 4)
        value = _committed(key, record[2:], at, sequence, (text, flag))
        if value is not None:
            kept[key] = (*record[:2], *value)
    return kept


def _committed(key: Key, stored: Any, at: Any, sequence: Any, newest: Any) -> Any:
    """The value that the books know of where `stored` was found: none is newer than the newest."""
    if at is None or (key[1], key[2]) > (at, sequence):
        return None
    return newest if (key[1], key[2]) == (at, sequence) else stored


def _wrong(engine: Engine, server: Server, hours: set[DeviceHour]) -> set[DeviceHour]:
    """The hours of which the tier holds something else than the readings say."""
    slots = slots_of_devices(engine, {device for device, _ in hours})
    spans: list[Owned] = [(device, Span(hour, hour, hour + HOUR)) for device, hour in hours]
    right = of_readings(server, slots, by_owner(spans), by_device=True)
    starts = {to_ms(hour) for _, hour in hours}
    pairs = {(metric, start) for metric in slots.device for start in starts}
    found = held(server, Tier.HOUR, pairs)
    return {
        (slots.device[metric], from_ms(start))
        for metric, start in right.keys() | found.keys()
        if right.get((metric, start)) != found.get((metric, start))
        and (slots.device[metric], from_ms(start)) in hours
    }
