"""The standard engine: PostgreSQL 15 or newer, with set-based writes beside other writers."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from django.db import connection

from devices.readings.instants import to_millisecond
from devices.readings.keeping import Part, Volume
from devices.readings.store import ordering, partitions, sampling
from devices.readings.store.arrays import arrays, columns_of
from devices.readings.store.engine import Stored
from devices.readings.store.inserting import Inserter, changing, driver_cursor, read, span_of
from devices.readings.store.sqlrows import SqlRows
from devices.readings.store.tables import RECEIVED, ROWS, TEXTS, Key, Record, Table

WATERMARK_LOCK = 0x7E1E_0001
"""Advisory lock: shared by writers, exclusive for moving the watermark."""
ROLLER_LOCK = 0x7E1E_0002
"""Advisory lock: whoever drains the late log."""


class PostgresqlEngine(SqlRows):
    """Writers insert side by side in one order of keys; conflicts wait for each other."""

    batch = 10_000
    whole_months = True
    rolled_at_once = 2_000
    instant = staticmethod(to_millisecond)

    def __init__(self) -> None:
        """Nothing was met yet."""
        self._inserter = Inserter()

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT, their instants read by the driver's compiled code.

        Django's own loader of instants is Python: of a day of readings it takes half the time.
        """
        with connection.cursor() as cursor:
            cursor.cursor.adapters.register_loader("timestamptz", _instants_loader())
            cursor.execute(sql, params)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def many(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows in binary: neither side turns numbers into text and back."""
        with driver_cursor() as cursor:
            return cursor.execute(sql, params, binary=True).fetchall()

    def hold_open(self, sql: str) -> Stored:
        """The shared lock, until the transaction ends; both on one way to the server and back.

        Two statements: the second sees what was committed while the first one waited.
        """
        with driver_cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock_shared({WATERMARK_LOCK}); {sql}")
            cursor.nextset()
            return cursor.fetchall()

    def hold_closed(self) -> None:
        """The exclusive lock, until the transaction ends."""
        self.query("SELECT pg_advisory_xact_lock(%s)", [WATERMARK_LOCK])

    def become_roller(self) -> bool:
        """The roller's lock, if nobody has it."""
        return bool(self.query("SELECT pg_try_advisory_xact_lock(%s)", [ROLLER_LOCK])[0][0])

    def instants(self, at: Sequence[datetime]) -> Sequence[datetime]:
        """As they are: whole milliseconds already."""
        return at

    def moment(self, stored: datetime) -> datetime:
        """As it is: connections speak UTC."""
        return stored

    def hour_of(self, column: str) -> str:
        """UTC hours, whatever the session's zone."""
        return f"date_trunc('hour', {column}, 'UTC')"

    def relation(
        self, name: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]
    ) -> tuple[str, list[Any]]:
        """Arrays, one for each column."""
        names = ", ".join(column for column, _ in columns)
        kinds = [kind for _, kind in columns]
        return f"unnest({arrays(kinds)}) AS {name}({names})", columns_of(rows, kinds)

    def for_each(self, table: str, alias: str, condition: str) -> str:
        """OFFSET 0 keeps the planner from reading the table once for all rows, or from its end."""
        return (
            f"CROSS JOIN LATERAL (SELECT {alias}.* FROM {table} {alias} "
            f"WHERE {condition} OFFSET 0) AS {alias}"
        )

    def within(self, column: str, since: datetime, until: datetime | None = None) -> str:
        """Months outside are not planned, locked or opened: as fast with years of them."""
        return partitions.within(column, since, until)

    def newest_of(self, table: str, alias: str, condition: str) -> str:
        """A walk in the index from its end, for each."""
        return (
            f"LEFT JOIN LATERAL (SELECT {alias}.* FROM {table} {alias} WHERE {condition} "
            f"ORDER BY {alias}.at DESC, {alias}.sequence DESC LIMIT 1) AS {alias} ON true"
        )

    def hour_after(self, column: str) -> str:
        """An interval."""
        return f"({column} + interval '1 hour')"

    def insert(
        self, table: Table, keys: Sequence[Key], records: Mapping[Key, Record]
    ) -> dict[Key, Record]:
        """See `Inserter`."""
        return self._inserter.insert(table, keys, records)

    def locked(self, table: Table, keys: Sequence[Key]) -> dict[Key, Record]:
        """Locked in the order of keys, like every writer does."""
        with driver_cursor() as cursor:
            return read(cursor, table, sorted(keys), "FOR UPDATE OF t")

    def update(self, table: Table, records: Sequence[tuple[Key, Record]]) -> None:
        """One statement for all."""
        columns = changing(table)
        names = ", ".join(column for column, _ in columns)
        assignments = ", ".join(f"{column} = n.{column}" for column, _ in columns[3:])
        same = " AND ".join(f"t.{column} = n.{column}" for column in table.key)
        within = self.within("t.at", *span_of([key for key, _ in records]))
        with driver_cursor() as cursor:
            kinds = [kind for _, kind in columns]
            cursor.execute(
                f"UPDATE {table.name} t SET {assignments} "
                f"FROM unnest({arrays(kinds)}) AS n({names}) WHERE {same}{within}",
                columns_of([(*key, *values) for key, values in records], kinds),
            )

    def make_room(self, table: str, instants: Collection[datetime]) -> None:
        """Their months' partitions, in a table that has any."""
        if table in (ROWS.name, TEXTS.name, RECEIVED.name):
            partitions.ensure(table, {partitions.month_of(at) for at in instants})

    def make_ahead(self, table: Table, now: datetime) -> None:
        """Partitions of this month and the next two."""
        partitions.make_ahead(table.name, now)

    def put_in_order(self, table: Table, now: datetime) -> None:
        """A month that is over and lies as it came is sorted, one at a call."""
        ordering.put_in_order(table, now)

    def drop_until(self, table: Table, owners: str, until: datetime) -> int:
        """Whole months only, for nothing; what is left of a month goes with it later."""
        return partitions.drop(table.name, until)

    def drop_of(
        self,
        table: Table,
        until: Mapping[int, datetime | None],
        done: Mapping[int, datetime],
    ) -> int:
        """Whole months, for nothing where nobody keeps longer; else row by row of who does not."""
        return partitions.drop_of(table.name, table.key[0], until, done)

    def gone_until(self, dropped_until: datetime) -> datetime:
        """Whole months only."""
        return partitions.month_of(dropped_until).begins

    def volumes(self, tables: Sequence[Table]) -> list[Volume]:
        """Of each month's partitions, with their indexes; rows as the planner believes."""
        return partitions.volumes([table.name for table in tables])

    def parts(self, table: Table) -> list[Part]:
        """Of large months, by some of their pages."""
        return sampling.parts(table.name, table.key[0])

    def change(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run a statement on a cursor that takes long arrays."""
        with driver_cursor() as cursor:
            cursor.execute(sql, params)
            return max(cursor.rowcount, 0)


@cache
def _instants_loader() -> type[psycopg.abc.Loader]:
    """What reads an instant that came as text, in the zone of the connection: UTC."""
    oid = psycopg.adapters.types["timestamptz"].oid
    loader = psycopg.adapters.get_loader(oid, psycopg.pq.Format.TEXT)
    assert loader is not None  # noqa: S101 - the driver knows the type
    return loader
