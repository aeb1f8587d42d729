"""The roller: closes hours, then brings every hour, day and month in the late log up to date.

Exact beside any number of writers. A writer reads the watermark under a shared lock and logs what
it changes before it; the watermark moves under the exclusive lock, when no writer is half done. Log
rows are deleted in one statement and what they stand for is read in a later one: whatever was
logged by then was committed by then, and what is logged afterwards stays for the next round.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from devices.readings.instants import EPOCH, HOUR, hour_of
from devices.readings.periods import Period, Span, day_span, month_span, split_hours
from devices.readings.samples import Tier
from devices.readings.store.engine import Engine
from devices.readings.store.tables import RECEIVED, ROWS, TEXTS, Owned
from devices.readings.store.watermark import marks

GRACE = timedelta(minutes=5)
"""An hour closes so long after its end: most readings are in by then and need no late log."""
DeviceHour = tuple[int, datetime]


def roll_up(engine: Engine, now: datetime) -> int:
    """See `ReadingStore.roll_up`."""
    _close(engine, hour_of(now - GRACE))
    with transaction.atomic():
        if not engine.become_roller():
            return 0
        _log_closed(engine)
        _log_moved(engine)
    return drain(engine)


def drain(engine: Engine) -> int:
    """Work the late log off, a portion in each transaction; how many buckets that made."""
    buckets = 0
    while True:
        with transaction.atomic():
            work = _take(engine) if engine.become_roller() else {}
            if not work:
                return buckets
            buckets += _recompute(engine, work)


def _close(engine: Engine, until: datetime) -> None:
    """Move the watermark: from now on writers log what they change before it."""
    if until <= marks(engine).closed:
        return
    with transaction.atomic():
        engine.hold_closed()
        engine.change(
            "INSERT INTO readings_watermark (id, closed, rolled) VALUES (1, %s, %s) "
            "ON CONFLICT (id) DO UPDATE SET closed = excluded.closed "
            "WHERE readings_watermark.closed < excluded.closed",
            [engine.instant(until), engine.instant(EPOCH)],
        )


def _log_closed(engine: Engine) -> None:
    """Enter the hours between what was rolled up before and the watermark."""
    mark = marks(engine)
    if mark.rolled >= mark.closed:
        return
    engine.log_heard(mark.rolled, mark.closed)
    engine.change("UPDATE readings_watermark SET rolled = closed WHERE id = 1")


def _log_moved(engine: Engine) -> None:
    """Enter the days of devices whose community (or whose community's zone) is another now.

    Days older than what the store keeps readings of stay as they are.
    """
    moved = engine.query(
        "SELECT z.device_id, z.zone, c.zone, k.readings_from FROM readings_dayzone z "
        "JOIN devices_device d ON d.id = z.device_id "
        "JOIN devices_community c ON c.id = d.community_id "
        "LEFT JOIN readings_keptfrom k ON k.device_id = z.device_id WHERE z.zone <> c.zone"
    )
    for device, before, zone, kept in moved:
        since = EPOCH if kept is None else engine.moment(kept)
        _forget_days(engine, device, since, ZoneInfo(before))
        engine.log_days_of(device, since)
        engine.change("UPDATE readings_dayzone SET zone = %s WHERE device_id = %s", [zone, device])


def _forget_days(engine: Engine, device: int, since: datetime, zone: ZoneInfo) -> None:
    """Of the month in which readings begin to be kept, its older days stay, and it is made anew."""
    begins = {Tier.DAY: since, Tier.MONTH: month_span(since, zone).since}
    for tier, bucket in begins.items():
        engine.forget_from(tier, device, bucket)


def _take(engine: Engine) -> dict[DeviceHour, bool]:
    """Delete a portion of the log: device hours, and whether only their days are wrong."""
    taken = engine.query(
        "DELETE FROM readings_latelog WHERE (device_id, hour) IN (SELECT DISTINCT device_id, hour "
        "FROM readings_latelog ORDER BY device_id, hour LIMIT %s) "
        "RETURNING device_id, hour, days_only",
        [engine.rolled_at_once],
    )
    work: dict[DeviceHour, bool] = {}
    for device, stored, days_only in taken:
        key = (device, engine.moment(stored))
        work[key] = bool(days_only) and work.get(key, True)
    return work


def _recompute(engine: Engine, work: dict[DeviceHour, bool]) -> int:
    """Compute the hours anew, then the days and months they lie in; how many buckets that made."""
    zones = _zones(engine, {device for device, _ in work})
    hours: list[Owned] = []
    for (device, hour), days_only in work.items():
        if not days_only:
            hours.append((device, Span(hour, hour, hour + HOUR)))
    days = _periods(work, day_span, zones)
    made = engine.remake(Tier.HOUR, hours, [], hours)
    inner, edges = [], []
    for device, day in days:
        whole, rest = split_hours(day, day.until, ())
        inner += [(device, span) for span in whole]
        edges += [(device, span) for span in rest]
    # There are edges where midnight is not on a whole UTC hour: India, Nepal.
    made += engine.remake(Tier.DAY, days, inner, edges)
    months = _periods(((device, day.since) for device, day in days), month_span, zones)
    return made + engine.remake(Tier.MONTH, months, months, [])


def _zones(engine: Engine, devices: Iterable[int]) -> dict[int, ZoneInfo]:
    """The zone in force for each device's days, fixed for new devices; deleted ones are absent."""
    wanted, params = engine.relation("k", [("id", "int8")], [[device] for device in devices])
    engine.change(
        "INSERT INTO readings_dayzone (device_id, zone) SELECT d.id, c.zone "
        f"FROM {wanted} JOIN devices_device d ON d.id = k.id "
        "JOIN devices_community c ON c.id = d.community_id WHERE true "
        "ON CONFLICT (device_id) DO NOTHING",
        params,
    )
    rows = engine.query(
        f"SELECT z.device_id, z.zone FROM {wanted} JOIN readings_dayzone z ON z.device_id = k.id",
        params,
    )
    return {device: ZoneInfo(zone) for device, zone in rows}


def _periods(
    instants: Iterable[DeviceHour], period: Period, zones: dict[int, ZoneInfo]
) -> list[Owned]:
    """The days (or months) of devices that hold the instants; an hour may lie in two days."""
    found = set()
    for device, at in instants:
        if zone := zones.get(device):
            found.add((device, period(at, zone)))
            found.add((device, period(at + HOUR - timedelta.resolution, zone)))
    return sorted(found)


def prepare(engine: Engine, now: datetime) -> None:
    """See `ReadingStore.prepare`."""
    for table in (ROWS, TEXTS, RECEIVED):
        engine.make_ahead(table, now)
