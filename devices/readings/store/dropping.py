"""Dropping by age: only what is rolled up, and never what a sample may still change."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from devices.readings.instants import hour_of
from devices.readings.keeping import Cut, Dropped
from devices.readings.store import newest, runs
from devices.readings.store.archive.running import archive
from devices.readings.store.engine import Engine
from devices.readings.store.partitions import month_of
from devices.readings.store.rolling import drain
from devices.readings.store.tables import RECEIVED, ROWS, TEXTS
from devices.readings.store.watermark import marks

KEPT_LONGER = timedelta(days=2)
"""Readings are kept so much longer than samples are taken: no day may change without them."""
OWNERS = {
    ROWS: "SELECT id, device_id FROM readings_stream",
    TEXTS: "SELECT id, device_id FROM devices_metric",
}
"""SQL: the owners of readings, the first column of the key, and the device of each."""
_COLUMNS = (
    ("device_id", "int8"),
    ("readings_from", "timestamptz"),
    ("hours_from", "timestamptz"),
)
Instants = dict[int, datetime]
"""By device."""


def drop(engine: Engine, cuts: Mapping[int, Cut]) -> Dropped:
    """See `ReadingStore.drop`."""
    readings = {key: cut.readings_before for key, cut in cuts.items() if cut.readings_before}
    hours = {key: cut.hours_before for key, cut in cuts.items() if cut.hours_before}
    engine.sweep()
    _refuse_from_now_on(engine, readings, hours)
    drain(engine)
    until = _until(engine, readings.keys())
    run = archive(engine, _whole_months(until, cuts))
    for device, cut in cuts.items():
        if cut.archive:
            until.pop(device, None)
    gone = _drop_readings(engine, runs.make(engine, until | run.until))
    return Dropped(gone, _drop_hours(engine, hours.keys()), run.readings, run.trouble)


def drop_received_before(engine: Engine, before: datetime) -> int:
    """See `ReadingStore.drop_received_before`."""
    return engine.drop_until(RECEIVED, "devices_source", before)


def _refuse_from_now_on(engine: Engine, readings: Instants, hours: Instants) -> None:
    """Enter the cuts, none earlier than one before and none later than what is rolled up."""
    if not readings and not hours:
        return
    with transaction.atomic():
        engine.hold_closed()
        rolled = marks(engine).rolled
        before = {key: min(hour_of(at), rolled) for key, at in readings.items()}
        rows = [
            (
                key,
                engine.instant(before[key]) if key in before else None,
                engine.instant(min(hour_of(hours[key]), rolled)) if key in hours else None,
            )
            for key in sorted(readings.keys() | hours.keys())
        ]
        for start in range(0, len(rows), engine.batch):
            _enter(engine, rows[start : start + engine.batch])
        if before:
            latest = engine.instant(max(before.values()))
            engine.change(
                "UPDATE readings_watermark SET kept_from = %s "
                "WHERE id = 1 AND (kept_from IS NULL OR kept_from < %s)",
                [latest, latest],
            )


def _enter(engine: Engine, rows: Sequence[tuple[Any, ...]]) -> None:
    later = ", ".join(
        f"{name} = CASE WHEN k.{name} IS NULL OR excluded.{name} > k.{name} "
        f"THEN excluded.{name} ELSE k.{name} END"
        for name in ("readings_from", "hours_from")
    )
    engine.execute_many(
        "INSERT INTO readings_keptfrom AS k (device_id, readings_from, hours_from) "
        "SELECT n.device_id, n.readings_from, n.hours_from FROM {rows} WHERE true "
        f"ON CONFLICT (device_id) DO UPDATE SET {later}",
        _COLUMNS,
        rows,
    )


def _whole_months(until: Instants, cuts: Mapping[int, Cut]) -> Instants:
    """Up to when devices may be archived whose readings go into the archive before they go."""
    return {device: month_of(at).begins for device, at in until.items() if cuts[device].archive}


def _drop_readings(engine: Engine, until: Instants) -> int:
    """Rows of each device before an instant."""
    done = {device: gone for device, _, gone in _kept(engine) if gone is not None}
    if not until:
        return 0
    with transaction.atomic():
        newest.settle(engine, max(until.values()))
    rows = 0
    for table, owners in OWNERS.items():
        of_owner = dict(engine.query(owners))
        rows += engine.drop_of(
            table,
            {owner: until.get(device) for owner, device in of_owner.items()},
            {owner: done[device] for owner, device in of_owner.items() if device in done},
        )
    _remember(engine, until)
    return rows


def _kept(engine: Engine) -> list[tuple[int, datetime | None, datetime | None]]:
    """Each device's cut, and up to when its rows are gone."""

    def moment(stored: Any) -> datetime | None:
        return None if stored is None else engine.moment(stored)

    rows = engine.query("SELECT device_id, readings_from, dropped_until FROM readings_keptfrom")
    return [(device, moment(kept), moment(gone)) for device, kept, gone in rows]


def _until(engine: Engine, devices: Collection[int]) -> Instants:
    """Up to when each device's rows may go; not where the late log still speaks of that time."""
    until = {
        key: kept - KEPT_LONGER
        for key, kept, _ in _kept(engine)
        if kept is not None and key in devices
    }
    waiting: Instants = {}
    late = engine.query("SELECT device_id, min(hour) FROM readings_latelog GROUP BY device_id")
    for device, hour in late:  # another roller is at it: the next call drops
        waiting[device] = engine.moment(hour)
    return {key: at for key, at in until.items() if key not in waiting or waiting[key] >= at}


def _remember(engine: Engine, until: Instants) -> None:
    rows = [(key, engine.instant(at)) for key, at in sorted(until.items())]
    for start in range(0, len(rows), engine.batch):
        part = rows[start : start + engine.batch]
        wanted, params = engine.relation("u", [("id", "int8"), ("at", "timestamptz")], part)
        engine.change(
            f"UPDATE readings_keptfrom SET dropped_until = u.at FROM {wanted} "
            "WHERE u.id = readings_keptfrom.device_id "
            "AND (dropped_until IS NULL OR dropped_until < u.at)",
            params,
        )


def _drop_hours(engine: Engine, devices: Collection[int]) -> int:
    """Hours before what is kept of each device."""
    cuts: Instants = {}
    rows = engine.query("SELECT device_id, hours_from FROM readings_keptfrom")
    for device, before in rows:
        if before is None or device not in devices:
            continue
        cuts[device] = engine.moment(before) - KEPT_LONGER
    return engine.drop_hours(cuts)
