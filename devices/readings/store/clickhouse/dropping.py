"""Dropping by age: a month's partition goes for nothing; of whoever does not keep it, by DELETE."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are numbers

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from devices.readings.instants import to_ms
from devices.readings.keeping import Part, Volume
from devices.readings.store.clickhouse.clusters import place_of
from devices.readings.store.clickhouse.literals import listed
from devices.readings.store.clickhouse.schema import KEYS
from devices.readings.store.clickhouse.server import Server
from devices.readings.store.engine import Engine
from devices.readings.store.partitions import Month
from devices.readings.store.summary import TIER_TABLES
from devices.readings.store.tables import RECEIVED, ROWS, TEXTS

OWNERS = {
    ROWS.name: ("stream_id", "readings_stream"),
    RECEIVED.name: ("source_id", "devices_source"),
    **dict.fromkeys((TEXTS.name, *TIER_TABLES.values()), ("metric_id", "devices_metric")),
}
"""Whose a row is, and where the books name them."""


def months(server: Server, table: str) -> dict[Month, tuple[int, int]]:
    """Rows and bytes on disk of each month of a table."""
    place = place_of(server, table)
    rows = server.rows(
        f"SELECT partition, sum(rows), sum(bytes_on_disk) FROM {place.parts} "
        f"WHERE active AND database = '{place.database}' AND table = '{place.table}' "
        "GROUP BY partition ORDER BY partition"
    )
    return {Month(int(name[:4]), int(name[4:])): (count, size) for name, count, size in rows}


def volumes(server: Server, tables: Sequence[str]) -> list[Volume]:
    """What the rows of each month take up in these tables together, oldest first."""
    counts: Counter[Month] = Counter()
    sizes: Counter[Month] = Counter()
    for table in tables:
        for month, (count, size) in months(server, table).items():
            counts[month] += count
            sizes[month] += size
    return [
        Volume(month.begins, month.following.begins, counts[month], sizes[month])
        for month in sorted(sizes)
    ]


def parts(server: Server, table: str, owner: str) -> list[Part]:
    """What each owner's rows take up in each month, if all rows are of one length."""
    found: list[Part] = []
    for month, (_, size) in months(server, table).items():
        where = _within(table, month)
        rows = server.rows(f"SELECT {owner}, count() FROM {table} WHERE {where} GROUP BY {owner}")
        whole = sum(count for _, count in rows)
        found += [Part(month.begins, key, size * count / whole, True) for key, count in rows]
    return found


def drop_until(engine: Engine, server: Server, table: str, until: datetime) -> int:
    """Drop the months that are over at an instant; how many rows went."""
    gone = 0
    for month, (rows, _) in months(server, table).items():
        if month.following.begins <= min(until, timezone.now()):
            _drop(server, table, month)
            gone += rows
    return gone


def drop_of(
    engine: Engine,
    server: Server,
    table: str,
    owner: str,
    until: Mapping[int, datetime | None],
    done: Mapping[int, datetime],
) -> int:
    """See `Engine.drop_of`. What belongs to nobody (any more) is over age."""
    gone = 0
    for month, (rows, _) in months(server, table).items():
        ends = month.following.begins
        if ends > timezone.now():
            continue
        keeping = {one for one, at in until.items() if at is None or at < ends}
        if _drop_unless_held(engine, server, table, owner, month, keeping):
            gone += rows
            continue
        there = _owners(server, table, owner, month)
        going = [one for one in there - keeping if one not in done or done[one] < ends]
        if going:
            gone += _delete(server, table, owner, month, going)
    return gone


def sweep(engine: Engine, server: Server) -> None:
    """Delete rows of streams, metrics and sources that are no more.

    Decided while no writer is half done: a stream may be too new for others to see.
    """
    for table, (owner, owners) in OWNERS.items():
        if not _orphans(engine, server, table, owner, owners):
            continue
        with transaction.atomic():
            engine.hold_closed()
            if gone := _orphans(engine, server, table, owner, owners):
                target = place_of(server, table).target
                server.run(f"DELETE FROM {target} WHERE {owner} IN {listed(gone)}")


def _orphans(engine: Engine, server: Server, table: str, owner: str, owners: str) -> list[int]:
    there = {one for (one,) in server.rows(f"SELECT DISTINCT {owner} FROM {table}")}
    known = {one for (one,) in engine.query(f"SELECT id FROM {owners}")}
    return sorted(there - known)


def _drop_unless_held(
    engine: Engine, server: Server, table: str, owner: str, month: Month, keeping: set[int]
) -> bool:
    """Drop a month of which nobody keeps a row; asked again when no writer is half done."""
    if not keeping.isdisjoint(_owners(server, table, owner, month)):
        return False
    with transaction.atomic():
        engine.hold_closed()
        if not keeping.isdisjoint(_owners(server, table, owner, month)):
            return False
        _drop(server, table, month)
    return True


def _owners(server: Server, table: str, owner: str, month: Month) -> set[int]:
    """Whoever has a row in a month."""
    rows = server.rows(f"SELECT DISTINCT {owner} FROM {table} WHERE {_within(table, month)}")
    return {one for (one,) in rows}


def _drop(server: Server, table: str, month: Month) -> None:
    partition = f"{month.year:04}{month.month:02}"
    server.run(f"ALTER TABLE {place_of(server, table).target} DROP PARTITION ID '{partition}'")


def _delete(server: Server, table: str, owner: str, month: Month, owners: Sequence[int]) -> int:
    """Row by row, once: the disk is free when the rest of the month goes."""
    where = f"{owner} IN {listed(sorted(owners))} AND {_within(table, month)}"
    ((count,),) = server.rows(f"SELECT count() FROM {table} WHERE {where}")
    if count:
        server.run(f"DELETE FROM {place_of(server, table).target} WHERE {where}")
    return int(count)


def _within(table: str, month: Month) -> str:
    instant = "at" if table in KEYS else "bucket"
    return f"{instant} >= {to_ms(month.begins)} AND {instant} < {to_ms(month.following.begins)}"
