"""The standard engine: PostgreSQL 15 or newer, with set-based writes beside other writers."""

# ruff: noqa: S608 - SQL is put together from constants of this package; values are parameters

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from django.db import IntegrityError, connection, transaction

from devices.readings.instants import to_millisecond
from devices.readings.keeping import Volume
from devices.readings.store import ordering, partitions
from devices.readings.store.arrays import arrays, columns_of
from devices.readings.store.engine import Stored
from devices.readings.store.sqlrows import SqlRows
from devices.readings.store.tables import RECEIVED, ROWS, TEXTS, Key, Record, Table, whole

WATERMARK_LOCK = 0x7E1E_0001
"""Advisory lock: shared by writers, exclusive for moving the watermark."""
ROLLER_LOCK = 0x7E1E_0002
"""Advisory lock: whoever drains the late log."""
COPY_FROM = 500
"""Records from which a COPY beats sending arrays."""


class PostgresqlEngine(SqlRows):
    """Writers insert side by side in one order of keys; conflicts wait for each other."""

    batch = 10_000
    whole_months = True
    rolled_at_once = 2_000
    instant = staticmethod(to_millisecond)

    def __init__(self) -> None:
        """Nothing was met yet."""
        self._repeated: set[str] = set()
        """Tables of which this process last wrote what was there already."""

    @contextmanager
    def _cursor(self) -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
        # Django's own cursor binds parameters in the client: slow for arrays, no binary COPY.
        connection.ensure_connection()
        with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
            yield cursor

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
        connection.ensure_connection()
        with (
            connection.wrap_database_errors,
            psycopg.Cursor(connection.connection) as cursor,
        ):
            return cursor.execute(sql, params, binary=True).fetchall()

    def hold_open(self, sql: str) -> Stored:
        """The shared lock, until the transaction ends; both on one way to the server and back.

        Two statements: the second sees what was committed while the first one waited.
        """
        with self._cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock_shared({WATERMARK_LOCK}); {sql}")
            cursor.nextset()
            return cursor.fetchall()

    def hold_closed(self) -> None:
        """The exclusive lock, until the transaction ends."""
        self.query("SELECT pg_advisory_xact_lock(%s)", [WATERMARK_LOCK])

    def become_roller(self) -> bool:
        """The roller's lock, if nobody has it."""
        return bool(self.query("SELECT pg_try_advisory_xact_lock(%s)", [ROLLER_LOCK])[0][0])

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
        """A COPY of many records that are not stored yet; else one statement of arrays.

        What is most of all written is new: history, or what came since the last poll. So nobody
        looks before, until something was there.
        """
        span = _span(keys)
        partitions.ensure(table.name, _months(keys, span))
        if len(keys) >= COPY_FROM:
            near = self._near(table, keys, span) if table.name in self._repeated else {}
            known = {key: record for key, record in near.items() if key in records}
            new = [key for key in keys if key not in known] if known else keys
            if self._copied(table, new, records):
                if not known:
                    self._repeated.discard(table.name)
                return known
            self._repeated.add(table.name)
        return self._insert_missing(table, list(whole(records, keys)))

    def _copied(self, table: Table, keys: Sequence[Key], records: Mapping[Key, Record]) -> bool:
        """Copy the records of these keys; False, with nothing stored, where one is taken."""
        try:
            if keys:
                self._copy(table, keys, records)
        except IntegrityError:
            return False
        return True

    def _near(
        self, table: Table, keys: Sequence[Key], span: tuple[datetime, datetime]
    ) -> dict[Key, Record]:
        """What is stored between the first and the last key of each owner, up to as many as these.

        Whoever fills a hole page by page meets its edges again; there is little else.
        """
        owner, at, _ = table.key
        owners, instants = [key[0] for key in keys], [key[1] for key in keys]
        within = self.within("t.at", *span)
        first = dict(zip(reversed(owners), reversed(instants), strict=True))
        last = dict(zip(owners, instants, strict=True))
        spans = [(one, since, last[one]) for one, since in first.items()]
        kinds = (table.types[0], table.types[1], table.types[1])
        chosen = ", ".join(f"stored.{column}" for column, _ in _changing(table))
        with self._cursor() as cursor:
            cursor.execute(
                f"SELECT {chosen} FROM unnest({arrays(kinds)}) AS k(owner, since, until) "
                f"CROSS JOIN LATERAL (SELECT * FROM {table.name} t WHERE t.{owner} = k.owner "
                f"AND t.{at} >= k.since AND t.{at} <= k.until{within} LIMIT {len(keys)}) AS stored "
                f"LIMIT {len(keys)}",
                columns_of(spans, kinds),
            )
            return {row[:3]: row[3:] for row in cursor.fetchall()}

    def _copy(self, table: Table, keys: Sequence[Key], records: Mapping[Key, Record]) -> None:
        """Binary COPY. Raises IntegrityError, and stores nothing, where a key is taken.

        The server stores the first rows while the others are made.
        """
        columns = ", ".join(table.columns)
        statement = f"COPY {table.name} ({columns}) FROM STDIN (FORMAT BINARY)"
        with transaction.atomic(), self._cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(table.types)
            for record in whole(records, keys):
                copy.write_row(record)

    def _insert_missing(self, table: Table, records: Sequence[Record]) -> dict[Key, Record]:
        """One statement; it returns only which records were there already."""
        columns = ", ".join(table.columns)
        key = ", ".join(table.key)
        with self._cursor() as cursor:
            if len(records) == 1:  # a push: without arrays it takes half the time
                values = ", ".join(f"%s::{kind}" for kind in table.types)
                cursor.execute(
                    f"INSERT INTO {table.name} ({columns}) VALUES ({values}) "
                    f"ON CONFLICT ({key}) DO NOTHING",
                    records[0],
                )
                return {} if cursor.rowcount else self._read(cursor, table, [records[0][:3]])
            cursor.execute(
                "WITH staged AS MATERIALIZED ("
                f"SELECT * FROM unnest({arrays(table.types)}) WITH ORDINALITY AS s({columns}, n)"
                f"), done AS (INSERT INTO {table.name} ({columns}) "
                f"SELECT {columns} FROM staged ORDER BY {key} "
                f"ON CONFLICT ({key}) DO NOTHING RETURNING {key}) "
                f"SELECT s.n FROM staged s LEFT JOIN done d USING ({key}) "
                f"WHERE d.{table.key[0]} IS NULL",
                columns_of(records, table.types),
            )
            there = [records[number - 1][:3] for (number,) in cursor.fetchall()]
            return self._read(cursor, table, there) if there else {}

    def _read(
        self, cursor: psycopg.Cursor[Any], table: Table, keys: Sequence[Key], suffix: str = ""
    ) -> dict[Key, Record]:
        columns = ", ".join(f"t.{column}" for column, _ in _changing(table))
        order = ", ".join(f"t.{column}" for column in table.key)
        key = ", ".join(table.key)
        within = self._within(keys)
        cursor.execute(
            f"SELECT {columns} FROM unnest({arrays(table.types[:3])}) AS k({key}) "
            f"JOIN {table.name} t USING ({key}) WHERE true{within} ORDER BY {order} {suffix}",
            columns_of(keys, table.types[:3]),
        )
        return {row[:3]: row[3:] for row in cursor.fetchall()}

    def locked(self, table: Table, keys: Sequence[Key]) -> dict[Key, Record]:
        """Locked in the order of keys, like every writer does."""
        with self._cursor() as cursor:
            return self._read(cursor, table, sorted(keys), "FOR UPDATE OF t")

    def update(self, table: Table, records: Sequence[tuple[Key, Record]]) -> None:
        """One statement for all."""
        columns = _changing(table)
        names = ", ".join(column for column, _ in columns)
        assignments = ", ".join(f"{column} = n.{column}" for column, _ in columns[3:])
        same = " AND ".join(f"t.{column} = n.{column}" for column in table.key)
        within = self._within([key for key, _ in records])
        with self._cursor() as cursor:
            kinds = [kind for _, kind in columns]
            cursor.execute(
                f"UPDATE {table.name} t SET {assignments} "
                f"FROM unnest({arrays(kinds)}) AS n({names}) WHERE {same}{within}",
                columns_of([(*key, *values) for key, values in records], kinds),
            )

    def _within(self, keys: Sequence[Key]) -> str:
        """`within`, of the rows `t` that these keys name."""
        return self.within("t.at", *_span(keys))

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

    def change(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run a statement on a cursor that takes long arrays."""
        with self._cursor() as cursor:
            cursor.execute(sql, params)
            return max(cursor.rowcount, 0)


def _months(keys: Sequence[Key], span: tuple[datetime, datetime]) -> set[partitions.Month]:
    """The months in which the keys lie, all within a span."""
    ends = {partitions.month_of(at) for at in span}
    return ends if len(ends) == 1 else {partitions.month_of(at) for _, at, _ in keys}


def _span(keys: Sequence[Key]) -> tuple[datetime, datetime]:
    """The first and the last instant of keys."""
    instants = [at for _, at, _ in keys]
    return min(instants), max(instants)


@cache
def _instants_loader() -> type[psycopg.abc.Loader]:
    """What reads an instant that came as text, in the zone of the connection: UTC."""
    oid = psycopg.adapters.types["timestamptz"].oid
    loader = psycopg.adapters.get_loader(oid, psycopg.pq.Format.TEXT)
    assert loader is not None  # noqa: S101 - the driver knows the type
    return loader


def _changing(table: Table) -> list[tuple[str, str]]:
    """Name and type of the columns of the key and of those that may change."""
    pairs = list(zip(table.columns, table.types, strict=True))
    return [*pairs[:3], *pairs[table.changing :]]
